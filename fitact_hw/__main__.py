"""``python -m fitact_hw``: the command line `fitact`."""

from __future__ import annotations

from fitact_hw.cli import main

main()
