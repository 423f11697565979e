"""Time of the test bench, as Python and C++ use it: :mod:`sim.engine.layout` hands it to the C++ sources.

Imports nothing: the simulator process does, and must start fast.
"""

HALF_PERIOD = 5
PERIOD = 2 * HALF_PERIOD
"""Time steps of the clock; rising edges at HALF_PERIOD + k * PERIOD."""

RESET_CYCLES = 8

CSR_LIMIT = 1000
"""Cycles after which a register access counts as unanswered (an upset can break the register block)."""
