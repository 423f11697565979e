"""Constants of the register map. Made from `csr.rdl` by `csr.py` (`make docs`): do not edit."""

from enum import IntEnum, IntFlag


class ErrorCode(IntEnum):
    """STATUS.code: why the machine halted."""

    NONE = 0
    """No error."""

    ILLEGAL_INSTRUCTION = 1
    """Unknown operation, a count of zero, a token for no unit, or hardware that is not there."""

    ADDRESS = 2
    """An access outside of the window, one that is not aligned, or an empty row in a DMA unit."""

    BUS = 3
    """The memory answered SLVERR or DECERR."""

    WATCHDOG = 4
    """WATCHDOG expired."""

    BUFFER_RANGE = 5
    """An access outside of a buffer."""

    TOKEN_OVERFLOW = 6
    """More tokens than a counter between two units can hold."""

    UNCORRECTED_WORD = 7
    """A wrong buffer word was read that could not be corrected, and CONTROL.halt_on_detect was set. Only with buffer
    protection.
    """


class Control(IntFlag):
    """The bits of CONTROL."""

    START = 0x1
    """Write 1: clear all state and run the program at PROGRAM."""

    IRQ_ENABLE = 0x2
    """1: raise the interrupt on done or error."""

    HALT_ON_DETECT = 0x4
    """1: halt with uncorrected_word when a wrong buffer word is read that cannot be corrected; 0: the lane reads as
    zero and the machine goes on. Only with buffer protection.
    """

    IRQ_ON_ALARM = 0x8
    """1: raise the interrupt also on STATUS.alarm. Only with an alarm of the clamps."""
