"""Subjects: a network with its data, binary points and bounds, shipped or in a folder; whatever is struck is one."""
