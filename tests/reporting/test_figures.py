"""Charts: the same figure gives the same file, labels keep clear of each other and of what is drawn."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Annotation
from PIL import Image

from fitact_hw.faults import Outcome
from fitact_hw.reporting.figures import (
    dots,
    legend_below,
    new_figure,
    outcome_bars,
    place_labels,
    save_png,
    share_axis,
    svg_text,
)
from fitact_hw.reporting.palette import OUTCOMES, scheme_style


def test_png_is_small_repeatable_and_keeps_its_colours(tmp_path: Path) -> None:
    style = scheme_style("fitact")
    for name in ("a.png", "b.png"):
        figure, (axis,) = new_figure(1, 1, (4, 3), "title\nsecond line")
        dots(axis, [0, 1], [0.2, 0.4], ([0.1, 0.4], [0.3, 0.6]), style, "one", size=20)
        legend_below(figure, [axis], 1)
        save_png(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "P"
        found = np.array(picture.convert("RGB")).reshape(-1, 3).astype(int)
    wanted = [int(style.colour[i : i + 2], 16) for i in (1, 3, 5)]
    assert (abs(found - wanted).max(axis=1) < 16).sum() > 50  # the colour of the marker survives
    assert not list(tmp_path.glob("*.part*"))


def test_labels_keep_clear_of_each_other() -> None:
    points = [(1.0, 70.0, "first"), (1.02, 70.2, "second"), (1.04, 69.9, "third"), (5.0, 10.0, "at the right edge")]
    figure, (axis,) = new_figure(1, 1, (6, 4), "title")
    for x, y, _ in points:
        dots(axis, [x], [y], ([y - 1], [y + 1]), scheme_style("fitact"), "", upright=True)
    place_labels(figure, axis, points)
    figure.draw_without_rendering()
    shown = [text.get_window_extent() for text in axis.texts if isinstance(text, Annotation)]
    assert len(shown) == len(points)
    assert not [pair for pair in combinations(shown, 2) if pair[0].overlaps(pair[1])]
    frame = axis.get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in shown)


def test_share_axis_has_round_percentages() -> None:
    figure, (axis,) = new_figure(1, 1, (4, 3), "title")
    share_axis(axis, "x", 0.0123)
    figure.draw_without_rendering()
    texts = [label.get_text() for label in axis.get_xticklabels()]
    assert texts[0] == "0 %" or texts[1] == "0 %"
    assert "1 %" in texts
    assert axis.get_xlim()[1] < 0.02  # scaled to the data, not to 100 %


def test_every_outcome_is_drawn_with_its_hatch() -> None:
    _, (axis,) = new_figure(1, 1, (4, 3), "title")
    share = 1 / len(Outcome)
    outcome_bars(axis, [0], {outcome: [share] for outcome in Outcome})
    background, *bars = axis.patches
    assert background.get_width() == 1
    assert [bar.get_hatch() or "" for bar in bars] == [style.hatch for style in OUTCOMES.values()]
    assert sum(bar.get_width() for bar in bars) == pytest.approx(1)


def test_svg_is_repeatable_and_has_no_ids_to_clash() -> None:
    texts = []
    for _ in range(2):
        figure, (axis,) = new_figure(1, 1, (4, 3), "title")
        dots(axis, [0], [0.5], ([0.4], [0.6]), scheme_style("fitact"), "one")
        texts.append(svg_text(figure))
    assert texts[0] == texts[1]
    assert texts[0].startswith("<svg")
    assert "<metadata" not in texts[0]
