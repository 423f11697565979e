"""The chart of `fitact sim`: scaled to the data, schemes named as in the text."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitact_hw.errors import FitActError
from fitact_hw.simulate import charts
from fitact_hw.simulate.counts import ALL, Origin, count_outcomes, csv_text, read_csv

ORIGIN = Origin("alexnet", 16, 16, 32, "1x1", 7)
COUNTS = count_outcomes(
    (scheme, "bias_buffer", outcome, number)
    for scheme in ("unprotected", "clipact")
    for outcome, number in (("masked", 28), ("sdc", 1))
)


def test_sdc_axis_follows_the_data_and_names_are_titles() -> None:
    figure = charts.upsets(ORIGIN, COUNTS)
    assert [axis.get_title() for axis in figure.axes] == ["unprotected", "Clip-Act", "SDC"]
    assert figure.axes[-1].get_xlim()[1] == pytest.approx(0.18, abs=0.01)  # Wilson: 1 of 29 ends at 17.2 %
    assert figure.get_suptitle() == (
        "alexnet, 16x16, Q15.16, 1x1 upsets in live bits\n29 upsets under each scheme, seed 7"
    )
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["bias buffer (29)", f"{ALL} (29)"]


def test_counts_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "upsets.csv"
    path.write_text(csv_text(ORIGIN, COUNTS))
    assert path.read_text().splitlines()[1] == "alexnet,16,16,32,1x1,7,unprotected,bias_buffer,masked,28"
    assert read_csv(path) == (ORIGIN, COUNTS)
    path.write_text("scheme,upsets\nfitact,1\n")
    with pytest.raises(FitActError, match="no table of `fitact sim`"):
        read_csv(path)
