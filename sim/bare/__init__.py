"""Bare PE array: what the simulator reaches without the machine around it."""
