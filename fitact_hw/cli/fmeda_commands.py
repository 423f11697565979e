"""The command of safety analysis: fmeda."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fitact_hw.cli.campaign_commands import ConfidenceOption, stored
from fitact_hw.cli.checks import finite
from fitact_hw.cli.command import add
from fitact_hw.cli.options import SchemesOption, folder_option, fraction, given_file_option, names
from fitact_hw.cli.panels import CAMPAIGNS
from fitact_hw.config import MOST_MARGIN
from fitact_hw.errors import FitActError


def campaign_source(text: str | Path) -> Path:
    """A campaign folder, or a Parquet file of a campaign. Raises CampaignError if it cannot be one."""
    return Path(text) if Path(text).is_file() else stored(text)


def _rate(option: str, kind: str, default: str) -> Any:
    help_text = f"raw upset rate of {kind}, FIT per 10^6 bits [{default}]"
    return typer.Option(option, min=0, help=help_text, callback=finite(option))


def fmeda(
    campaigns: Annotated[
        list[Path],
        typer.Argument(
            help="campaign folders, or Parquet files of campaigns", parser=campaign_source, metavar="CAMPAIGN"
        ),
    ],
    sram_fit: Annotated[float | None, _rate("--sram-fit", "SRAM", "1000")] = None,
    flip_flop_fit: Annotated[float | None, _rate("--flip-flop-fit", "flip-flops", "1000")] = None,
    external_fit: Annotated[float | None, _rate("--external-fit", "external memory", "none")] = None,
    external_mbit: Annotated[
        float,
        typer.Option(
            "--external-mbit",
            min=0,
            help="external memory that is a line of the table, in 10^6 bits; its classes are only bounded",
            callback=finite("--external-mbit"),
        ),
    ] = 0.0,
    classes: Annotated[
        Path | None, given_file_option("CSV table: structure, effect, class (safe, dd, du, latent) [the shipped one]")
    ] = None,
    alarm_threshold: Annotated[
        int,
        typer.Option(
            "--alarm-threshold", min=0, help="clamp hits from which an SDC counts as `alarm` [0: there is no alarm]"
        ),
    ] = 0,
    alarms: Annotated[
        Path | None, given_file_option("hits of upsets that `fitact alarms` judged: its file *_upsets.csv")
    ] = None,
    alarm_margin: Annotated[
        int, typer.Option("--alarm-margin", min=0, max=MOST_MARGIN, help="margin (bits) of the hits in --alarms")
    ] = 0,
    schemes: SchemesOption = "",
    confidence: ConfidenceOption = "95%",
    out: Annotated[Path, folder_option("folder of the page and tables")] = Path("build/fmeda"),
) -> Any:
    """FMEDA of campaigns: FIT by structure and class, SPFM, LFM and PMHF against the ASIL targets."""
    if (alarms is not None or alarm_margin) and not alarm_threshold:
        raise FitActError("--alarms and --alarm-margin say how hits count: give --alarm-threshold N as well")
    from fitact_hw.alarms.struck import load_struck
    from fitact_hw.fmeda.classes import DEFAULT, Classes
    from fitact_hw.fmeda.rates import rates
    from fitact_hw.fmeda.run import run_fmeda
    from fitact_hw.fmeda.subjects import Alarm
    from fitact_hw.reporting.terminal import terminal

    return run_fmeda(
        terminal(),
        campaigns,
        out,
        rates(sram=sram_fit, flip_flop=flip_flop_fit, external=external_fit),
        Classes.load(classes or DEFAULT),
        schemes=names(schemes),
        confidence=fraction(confidence, "--confidence"),
        external_mbit=external_mbit,
        alarm=Alarm(alarm_threshold, alarm_margin, load_struck(alarms) if alarms else None)
        if alarm_threshold
        else None,
    )


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    add(app, CAMPAIGNS, fmeda)
