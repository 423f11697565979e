"""The chart of `fitact sim`: scaled to the data, schemes named as in the text."""

from __future__ import annotations

from collections import Counter

import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.simulate import charts
from fitact_hw.simulate.tables import ALL


def test_sdc_axis_follows_the_data_and_names_are_titles() -> None:
    tally = Counter({"masked": 28, "sdc": 1})
    counts = {scheme: {"bias_buffer": tally, ALL: tally} for scheme in ("unprotected", "clipact")}
    title = charts.heading("alexnet", AcceleratorConfig.create(word_bits=32), "1x1", 29, 7)
    figure = charts.upsets(counts, title)
    assert [axis.get_title() for axis in figure.axes] == ["unprotected", "Clip-Act", "SDC"]
    assert figure.axes[-1].get_xlim()[1] == pytest.approx(0.18, abs=0.01)  # Wilson: 1 of 29 ends at 17.2 %
    assert figure.get_suptitle() == (
        "alexnet, 16x16, Q15.16, 1x1 upsets in live bits\n29 upsets under each scheme, seed 7"
    )
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["bias buffer (29)", f"{ALL} (29)"]
