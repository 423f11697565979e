"""Fault lists in and out: faults from a file instead of drawn ones, and faults with their statuses for other tools."""
