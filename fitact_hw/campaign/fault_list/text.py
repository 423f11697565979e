"""Fault lists in the text form that commercial fault simulators share, and the dictionary of statuses.

A line is a fault: ``NA ~ (198:200) { FLOP "u_control.cycles_q[3]" }``. In front stands its status (``NA``: not
attempted yet), ``~`` is a bit flip, in parentheses the cycle, or first and last cycle: then every cycle of it is a
fault of its own. ``0`` and ``1`` in place of ``~`` are a stuck bit: without parentheses in the whole run, with one
number from that cycle on, with two from the first to the last. Braces name what is hit: ``FLOP`` a bit of a register
as ``path[bit]``, ``ARRY`` one of a memory as ``path[word][bit]``; several are hit together.
``// image 2, scheme fitact`` behind it says more; other tools skip it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from fitact_hw.campaign.fault_list.listed import Listed
from fitact_hw.campaign.fault_list.tables import Found
from fitact_hw.campaign.store import Row
from fitact_hw.errors import FitActError
from fitact_hw.faults import FaultEvent, Outcome, Upset

STATUSES: dict[str, tuple[str, str]] = {
    Outcome.MASKED.value: ("MA", "masked: outputs of the fault-free run"),
    Outcome.BENIGN.value: ("BE", "benign: other outputs, same class"),
    Outcome.SDC.value: ("SD", "silent data corruption: another class, no alarm"),
    Outcome.DETECTED.value: ("DE", "detected by a checker or by the machine"),
    Outcome.HANG.value: ("HA", "hang: ended by the watchdog, or never"),
    Outcome.BUS_ERROR.value: ("BU", "bus error: the machine stopped with an error code"),
}
"""Outcome -> status in the dictionary, and what it means."""

MOST = 1_000_000
"""Faults that one line may stand for."""

_FAULT = re.compile(
    r"(?P<status>[A-Z]{2})\s+(?P<kind>[^\s({]+)\s*"
    r"(?:\(\s*(?P<first>\d+)\s*(?::\s*(?P<last>\d+)\s*)?\)\s*)?\{(?P<targets>[^{}]*)\}"
)
_TARGET = re.compile(r'([A-Za-z]+)\s+"([^"]*)"')
_PLACE = re.compile(r"(?P<path>.*?)(?:\[(?P<word>\d+)\])?\[(?P<bit>\d+)\]")
_NOTE = re.compile(r"\b(image|scheme)\s+([\w.-]+)")
_BLOCK = re.compile(r"(?:\w+\s*\{|\})")
_KINDS = ("FLOP", "ARRY")
_FAULT_KINDS = ("~", "0", "1")


def text_faults(text: str) -> Iterator[Found]:
    """Faults of a text; a line may stand for several. What is wrong with a line comes as text."""
    skipping = False
    for number, line in enumerate(_without_comments(text), 1):
        content, _, note = line.partition("//")
        content = content.strip().removesuffix(";").strip()
        if content.startswith("StatusDefinitions"):
            skipping = True
        if skipping or not content or _BLOCK.fullmatch(content):
            skipping = skipping and "}" not in content
            continue
        place = f"line {number}"
        try:
            yield from _faults(place, content, note)
        except FitActError as error:
            yield f"{place}: {error}"


def _without_comments(text: str) -> Iterable[str]:
    """Lines, with ``/* */`` blanked and their number kept."""
    return re.sub(r"/\*.*?\*/", lambda match: "\n" * match[0].count("\n"), text, flags=re.DOTALL).splitlines()


def _faults(place: str, content: str, note: str) -> Iterator[Listed]:
    match = _FAULT.fullmatch(content)
    if match is None:
        raise FitActError(f'{content[:60]!r} is no fault: write NA ~ (cycle) {{ FLOP "path[bit]" }}')
    kind = match["kind"]
    if kind not in _FAULT_KINDS or (kind == "~" and match["first"] is None):
        raise FitActError(f"fault type {kind}: must be ~ (a bit flip, with its cycle), 0 or 1 (a stuck bit)")
    if kind != "~":
        yield _stuck(place, match, note)
        return
    first, last = int(match["first"]), int(match["last"] or match["first"])
    if not first <= last < first + MOST:
        raise FitActError(f"cycles ({first}:{last}): the first must not be after the last, {MOST:,} of them at most")
    masks, (image, scheme) = _masks(match["targets"]), _said(note)
    for cycle in range(first, last + 1):
        upsets = tuple(Upset(site, word, mask, cycle) for (site, word), mask in masks.items())
        yield Listed(place, upsets, image, scheme)


def _stuck(place: str, match: re.Match[str], note: str) -> Listed:
    first = int(match["first"] or 0)
    last = None if match["last"] is None else int(match["last"])
    upsets = tuple(
        Upset(site, word, mask, first, int(match["kind"]), last)
        for (site, word), mask in _masks(match["targets"]).items()
    )
    return Listed(place, upsets, *_said(note))


def _said(note: str) -> tuple[int, str]:
    """Image and scheme in the comment behind a fault."""
    said = dict(_NOTE.findall(note))
    image = said.get("image", "0")
    if not image.isdecimal():
        raise FitActError(f"image {image}: must be a whole number")
    return int(image), said.get("scheme", "")


def _masks(text: str) -> dict[tuple[str, int], int]:
    """(site, word) -> bits that are hit."""
    targets = _TARGET.findall(text)
    if not targets or _TARGET.sub("", text).strip():
        raise FitActError(f'{{{text}}}: write {{ FLOP "path[bit]" }} or {{ ARRY "path[word][bit]" }}')
    masks: dict[tuple[str, int], int] = {}
    for kind, place in targets:
        site, word, bit = _target(kind, place)
        masks[site, word] = masks.get((site, word), 0) | 1 << bit
    return masks


def _target(kind: str, text: str) -> tuple[str, int, int]:
    """Site, word and bit."""
    if kind not in _KINDS:
        raise FitActError(f"{kind} {text!r}: only storage can be hit, FLOP or ARRY")
    match = _PLACE.fullmatch(text)
    if match is None:
        raise FitActError(f"{kind} {text!r}: say which bit, as path[bit] or path[word][bit]")
    if (kind == "ARRY") != (match["word"] is not None):
        raise FitActError(f"{kind} {text!r}: a register is FLOP path[bit], a memory ARRY path[word][bit]")
    if int(match["bit"]) > MOST:
        raise FitActError(f"{kind} {text!r}: no word is so wide")
    return match["path"], int(match["word"] or 0), int(match["bit"])


def dictionary(rows: Iterable[Row], memories: Iterable[str], head: str) -> str:
    """The fault dictionary: statuses, then a line for every injection. ``memories``: paths of sites that are ARRY.

    Raises FitActError for a fault of several moments, which this form cannot say.
    """
    arrays = frozenset(memories)
    lines = [f"// {line}" for line in head.splitlines()]
    lines += ["StatusDefinitions {", '    NA "not attempted";']
    lines += [f'    {status} "{text}";' for status, text in STATUSES.values()]
    lines += ["}", "FaultList {"]
    for row in rows:
        upsets = FaultEvent.parse(row.event).upsets
        status = STATUSES[row.outcome][0]
        targets = " ".join(_targets(upsets, arrays))
        said = f"image {row.image}, scheme {row.scheme}, {row.id}"
        lines.append(f"    {status} {_moment(row.id, upsets)} {{ {targets} }} // {said}")
    return "\n".join([*lines, "}"]) + "\n"


def _moment(name: str, upsets: Sequence[Upset]) -> str:
    """Type and cycles of a fault."""
    first = upsets[0]
    if any((u.cycle, u.stuck, u.last) != (first.cycle, first.stuck, first.last) for u in upsets):
        raise FitActError(f"{name} strikes at several moments, which a dictionary cannot say: use --format csv")
    if first.flips:
        return f"~ ({first.cycle})"
    end = "" if first.last is None else f":{first.last}"
    return f"{first.stuck} ({first.cycle}{end})" if first.cycle or end else f"{first.stuck}"


def _targets(upsets: Iterable[Upset], arrays: frozenset[str]) -> Iterator[str]:
    for upset in upsets:
        for bit in range(upset.mask.bit_length()):
            if upset.mask >> bit & 1:
                if upset.site in arrays:
                    yield f'ARRY "{upset.site}[{upset.word}][{bit}]"'
                else:
                    yield f'FLOP "{upset.site}[{bit}]"'
