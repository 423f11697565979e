"""Arrays in npz files."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from zipfile import BadZipFile

import numpy as np

UNREADABLE = (OSError, KeyError, ValueError, EOFError, BadZipFile, zlib.error)
"""What reading a missing or damaged npz file raises: its parts share no base class."""


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A compressed npz file in memory."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
