"""What both kinds of accumulators know: the program's order and schedule, its operands, and what follows the sums."""

from __future__ import annotations

import numpy as np

from fitact_hw.injection.functional.epilogues import Epilogues
from fitact_hw.injection.functional.operands import Operands


class Accumulators:
    """The output tiles of one image's run. ``rows``: of the array, int64 (side,)."""

    def __init__(self, epilogues: Epilogues, operands: Operands) -> None:
        self.epilogues, self.operands = epilogues, operands
        self.schedule, self.order = epilogues.schedule, epilogues.order
        self.gemms, self.config = self.order.gemms, self.order.program.config
        self.rows = np.arange(self.config.side)
