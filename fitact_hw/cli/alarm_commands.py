"""The command of the clamps' alarm: alarms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fitact_hw.cli.campaign_commands import ConfidenceOption
from fitact_hw.cli.checks import alarm_margins, study_images
from fitact_hw.cli.command import add
from fitact_hw.cli.fmeda_commands import campaign_source
from fitact_hw.cli.options import folder_option, fraction
from fitact_hw.cli.panels import CAMPAIGNS


def alarms(
    campaign: Annotated[
        Path,
        typer.Argument(help="a campaign folder, or Parquet file of one", parser=campaign_source, metavar="CAMPAIGN"),
    ],
    margins: Annotated[
        str,
        typer.Option(
            "--margins",
            help="margins in bits: 2 counts only words at least 4 times their bound",
            callback=alarm_margins,
        ),
    ] = "0,1,2",
    images: Annotated[
        int,
        typer.Option(
            "--images",
            min=1,
            help="clean test images (of a shipped network: needs FITACT_CIFAR10)",
            callback=study_images,
        ),
    ] = 1000,
    confidence: ConfidenceOption = "95%",
    out: Annotated[Path, folder_option("folder of page, chart and tables")] = Path("build/alarms"),
) -> Any:
    """The clamps as a sensor: false alarms on clean images against coverage of SDC, from a campaign."""
    from fitact_hw.alarms.run import run_alarms
    from fitact_hw.reporting.terminal import terminal

    return run_alarms(
        terminal(),
        campaign,
        out,
        margins=tuple(int(margin) for margin in margins.split(",")),
        images=images,
        confidence=fraction(confidence, "--confidence"),
    )


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    add(app, CAMPAIGNS, alarms)
