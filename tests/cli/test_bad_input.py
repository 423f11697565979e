"""Bad input: exactly one line on standard error, exit code 2, nothing written, nothing heavy imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.campaign.store import Store, store_path
from fitact_hw.cli import _command
from fitact_hw.cli.paths import out_folder
from tests.cli.conftest import Fitact

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "scipy", "pandas", "pyarrow", "matplotlib", "pyverilog", "systemrdl", "cocotb", "distributed")

MODELS = "known are alexnet, vgg16, resnet50"
SCHEMES = "known are unprotected, ranger, clipact, proact, fitact, fitact_channel, scaledmax"

STRUCTURES = (
    "known are accumulator_buffer, activation_buffer, alarm, arbiter, bias_buffer, bound_buffer, buffer_output, "
    "control, control_delay, csr, epilogue, fetch, lane, load, output_buffer, pe_activation, pe_control, pe_psum, "
    "pe_shadow, pe_weight, protection, queue, range_check, sequencer, skew, store, token, weight_buffer"
)
LIBRARY = "LIBERTY=missing.lib: no such file; `fitact overhead --list-pdks` shows what is installed"
NO_DATA = (
    "CIFAR-10 is not here: FITACT_CIFAR10 names no pack of it, no {here}/build/data/cifar-10-python.tar.gz; see "
    "docs/howto/own-data.md"
)

LINES: dict[str, str] = {
    # networks, schemes, words, lists
    "sim lenet": f"unknown model 'lenet' (did you mean alexnet?): {MODELS}",
    "sim nosuch": f"unknown model 'nosuch': {MODELS}",
    "sim AlexNet": f"unknown model 'AlexNet' (did you mean alexnet?): {MODELS}",
    "overhead --models vgg": f"unknown model 'vgg' (did you mean vgg16?): {MODELS}",
    "sim alexnet --scheme fitct": f"unknown scheme 'fitct' (did you mean fitact?): {SCHEMES}",
    "campaign run --schemes fitact,x": f"unknown scheme 'x': {SCHEMES}",
    "post-train --scheme fitact,any": f"unknown scheme 'any': {SCHEMES}",
    "sim --word 12": "word_bits=12: must be 8, 16 or 32",
    "fault-map --word 12": "--word 12: must be 8, 16 or 32",
    "resilience --word 8,12": "--word 12: must be 8, 16 or 32",
    "resilience --word many": "--word many: must be numbers separated by commas",
    "resilience --rates 1e-6,2": "--rates 2: must lie between 0 and 1",
    "resilience --bounds safe": "--bounds safe: must be faulty or protected",
    "post-train --granularity chanel": (
        "--granularity chanel: must be layer, channel, patch or neuron; did you mean channel?"
    ),
    "post-train --strike layers": "--strike layers: must be all or layer; did you mean layer?",
    "campaign run --margin 1": "--margin 1: write it as 1% or 0.01, more than 0 and less than 100%",
    "campaign run --target proact-fitct --schemes fitact,clipact": "unknown target 'proact-fitct' (did you mean "
    "clipact-fitact?): known are machine, structures, layers, differences, "
    f"{STRUCTURES.removeprefix('known are ')}, layer:NAME, clipact-fitact",
    "campaign resume campaign --target nosuch": "unknown target 'nosuch': known are machine, structures, "
    f"layers, differences, {STRUCTURES.removeprefix('known are ')}, layer:NAME, unprotected-fitact",
    "campaign run --sample all --target machine": "--minutes, --target and --per-structure are of --sample stratified, "
    "not of all",
    # numbers and choices
    "sim --rows many": "--rows many: must be a whole number",
    "sim --faults -1": "--faults -1: must be a whole number, at least 0",
    "sim --seed -1": "--seed -1: must be a whole number, at least 0",
    "fault-map --rate 3": "--rate 3: must lie between 0 and 1",
    "sim --shape 3x3": "--shape 3x3: must be 1x1, 2x1, 3x1, 2x2 or 1x2",
    "sim --rows 1 --cols 1": "rows=1: the array must have 2 to 32 rows",
    "sim --rows 8": (
        "rows=8 cols=16: the array must be square, because a layer's output words are the next layer's input words; "
        "set both to the same number"
    ),
    # words of the command line
    "simm": "unknown command 'simm' (did you mean sim?): fitact has sim, replay, validate, validate-memory, "
    "validate-networks, check, subject, bounds, fmeda, alarms, campaign, "
    "resilience, granularity, fault-map, overhead, overhead-compare, overhead-lanes, overhead-power, rtl, sites, lint, "
    "docs, models, train, average, export, post-train, accuracy, bench, resilience-bench, imagenet-bench, redraw, "
    "doctor",
    "campaign reprot": "unknown command 'reprot' (did you mean report?): fitact campaign has run, resume, merge, "
    "restore, status, report, export, publish, list, replay, validate, bench",
    "campaign status --falts": "unknown option '--falts': fitact campaign status has --json, --quiet, --help",
    "models --jsn": "unknown option '--jsn' (did you mean --json?): fitact models has --json, --quiet, --help",
    "sim --out": "--out needs a value",
    "sim --waves=3": "--waves takes no value",
    "sim alexnet vgg16": "unexpected argument vgg16: see `fitact sim --help`",
    "campaign status": "FOLDER is missing (campaign folder): fitact campaign status [OPTIONS] {FOLDER}",
    "replay": "--fault is missing (scheme and number of an upset, e.g. fitact-3): fitact replay [OPTIONS]",
    # paths
    "sim --out a_file": "--out a_file is a file: name a folder",
    "sim --out a_file/below": "--out a_file/below cannot be a folder: {here}/a_file is a file",
    "sim --out ": "--out '' is empty: name a folder",
    "overhead-lanes --out a_folder": "--out a_folder is a folder: name a file",
    "campaign run --out a_file": "--out a_file is a file: name a folder",
    "sim --config missing.toml": "cannot read missing.toml: No such file or directory",
    "sim --config a_folder": "cannot read a_folder: Is a directory",
    "sim --config row.toml": (
        "row.toml: unknown field 'row' (did you mean rows?): there are rows, cols, word_bits, acc_bits, bus_bits, "
        "bounds, bound_format, activation_words, weight_words, bias_words, bound_words, accumulator_words, "
        "output_words, queue_depth, protection, clamp_alarm, alarm_margin, parameter_check"
    ),
    "resilience --weights missing": "--weights missing does not exist: name a folder",
    "replay --fault x --results missing": (
        "--results missing does not exist: run `make sim` first or name another folder"
    ),
    "campaign status missing": ("missing/campaign.sqlite does not exist: start a campaign with `fitact campaign run`"),
    "campaign restore missing --out x": "missing does not exist: name a file",
    # what options name: structures, libraries, images, injections, networks
    "campaign run --structures cache": f"unknown structure 'cache': {STRUCTURES}",
    "campaign bench --structures weight_bufer": f"unknown structure 'weight_bufer' (did you mean weight_buffer?): "
    f"{STRUCTURES}",
    "sites --structure weight_bufer": f"unknown structure 'weight_bufer' (did you mean weight_buffer?): {STRUCTURES}",
    "overhead --liberty missing.lib": LIBRARY,
    "overhead-lanes --liberty missing.lib": LIBRARY,
    "overhead-power --liberty missing.lib": LIBRARY,
    "overhead-lanes --liberty a_folder": "LIBERTY=a_folder: no .lib or .lib.xz file in this folder",
    "overhead --node 3": "no SRAM figures for 3 nm: choose one of 180, 130, 65, 45, 28, 16, 7",
    "overhead --port-factor inf": "--port-factor inf: must be a finite number",
    "overhead --pareto missing.csv": "--pareto missing.csv does not exist: name a file",
    "overhead-power --streams 100": "--streams 100: give a multiple of 64",
    "overhead-compare missing.json": "missing.json does not exist: name a file",
    "sim --images 10001": "10001 images: CIFAR-10 has 10000 test images",
    "sim --images 21": f"21 images: 20 come with the program, more need CIFAR-10; {NO_DATA}",
    "campaign run --images 30": f"30 images: 20 come with the program, more need CIFAR-10; {NO_DATA}",
    "validate-memory --images 30": f"30 images: 20 come with the program, more need CIFAR-10; {NO_DATA}",
    "resilience --images 10001": "--images 10001: CIFAR-10 has 10000 test images",
    "fault-map --rate 0": "--rate 0: must lie between 0 and 1",
    "resilience --threads 999999999": "--threads 999999999: must be a whole number from 1 to 1024",
    "resilience --weights a_folder": "a_folder has no weights of alexnet: train it or name another folder",
    "granularity --source ranger": "scheme ranger has no neuron bounds to group: choose another source",
    "granularity --learned a_folder": "a_folder has no bounds of alexnet learned for groups: make them with "
    "`fitact post-train alexnet --scheme fitact --granularity channel --out a_folder`",
    "accuracy": NO_DATA,
    "post-train": NO_DATA,
    "train --no-download": NO_DATA,
    "train --cifar10 missing": "no CIFAR-10 pack at missing (from option or FITACT_CIFAR10)",
    "imagenet-bench --networks resnet19": "--networks resnet19: must be squeezenet, shufflenet_v2, mobilenet_v2, "
    "resnet18 or resnet50; did you mean resnet18?",
    "post-train --lr nan": "--lr nan: must be a finite number",
    "export": "build/alexnet/train does not exist: run `fitact train alexnet` first, or name --folder",
    "campaign run --scheduler here": "--scheduler here: write it as tcp://host:port",
    "campaign report campaign --fit-per-mbit inf": "--fit-per-mbit inf: must be a finite number",
    "campaign replay campaign fitact-17": "campaign/campaign.sqlite has no injection 'fitact-17': names are like "
    "fitact-17, see its report",
    "replay --fault one --results campaign": "campaign/campaign.sqlite has no injection 'one': names are like "
    "fitact-17, see its report",
    "replay --fault x --results a_folder": (
        "--results a_folder holds no upsets: run `make sim` first or name another folder"
    ),
    "campaign run --fault-list missing.csv": "--fault-list missing.csv does not exist: name a file",
    "campaign run --fault-model stuck": "fault model 'stuck' must be seu, stuck-at-0, stuck-at-1, intermittent:K or "
    "several:N",
    "campaign run --model intermittent:x": "fault model intermittent:x: give a whole number of cycles, at least 1",
    "campaign run --sample live --fault-model stuck-at-1": "--fault-model and --interleave are of faults drawn "
    "from all points: leave out --sample live",
    "campaign run --sample list": "--sample list needs --fault-list FILE",
    "campaign run --fault-list a_file --margin 1%": "--fault-list says which faults: leave out --margin",
    "campaign export campaign --format xml": "--format xml: must be csv, parquet or dictionary",
    "fmeda missing": "missing/campaign.sqlite does not exist: start a campaign with `fitact campaign run`",
    "fmeda campaign --sram-fit inf": "--sram-fit inf: must be a finite number",
    "fmeda campaign --classes missing.csv": "--classes missing.csv does not exist: name a file",
    "fmeda campaign --alarm-margin 1": "--alarms and --alarm-margin say how hits count: give --alarm-threshold N as "
    "well",
    "alarms missing": "missing/campaign.sqlite does not exist: start a campaign with `fitact campaign run`",
    "alarms campaign --margins 0,x": "--margins 0,x: whole numbers from 0 to 16, such as 0,1,2",
    "alarms campaign --margins 1,01": "--margins 1,01: each margin once",
    "alarms campaign --images 10001": "--images 10001: CIFAR-10 has 10000 test images",
    "redraw a_folder": "a_folder has no folder 'data' of published tables: name a folder such as docs/results",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a file, a folder and a bad machine file."""
    (tmp_path / "a_file").write_text("no machine\n")
    (tmp_path / "a_folder").mkdir()
    (tmp_path / "row.toml").write_text("row = 8\n")
    (tmp_path / "build").mkdir()
    with Store(store_path(tmp_path / "campaign"), create=True) as store:
        store.claim(CampaignOptions(schemes=("fitact",)).to_json())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FITACT_BUILD", "build")
    for name in ("FITACT_CIFAR10", "LIBERTY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def everything(folder: Path) -> set[Path]:
    """All files and folders, but not what a reader of SQLite keeps while the file is in use."""
    return {path for path in folder.rglob("*") if not path.name.endswith(("-shm", "-wal"))}


@pytest.mark.parametrize("command", LINES)
def test_one_line_that_says_what_to_do(fitact: Fitact, here: Path, command: str) -> None:
    before = everything(here)
    done = fitact(*command.split(" "))
    assert done.err == f"error: {LINES[command].replace('{here}', str(here))}\n"
    assert (done.code, done.out) == (2, "")
    assert everything(here) == before


def test_an_unknown_structure_names_those_of_the_machine(fitact: Fitact, here: Path) -> None:
    """Other machines have it, which takes a look at the Verilog of this one."""
    done = fitact("sites", "--rows", "4", "--cols", "4", "--structure", "protection")
    assert done.code == 2
    assert done.err.startswith("error: unknown structure 'protection': this machine has accumulator_buffer, ")


def in_one_process(commands: Sequence[str]) -> str:
    """Run all, look at `sys.modules` after each (time depends on the machine), return what was said on both."""
    program = f"""
import sys
from fitact_hw.cli import main
for command in {list(commands)!r}:
    sys.argv = ["fitact", *command.split(" ")]
    print(f"$ {{command}}", file=sys.stderr)
    try:
        main()
    except SystemExit as stop:
        print(f"exit {{stop.code}}", file=sys.stderr)
        found = [name for name in {HEAVY!r} if name in sys.modules]
        if found:
            sys.exit(f"{{command}} imports {{found}}")
print("all light")
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("all light\n"), done.stderr[-2000:]
    return done.stderr


def test_nothing_heavy_is_imported_for_an_error_or_help(here: Path) -> None:
    in_one_process([*LINES, "--help", "--version", "sim --help", "campaign --help", "campaign report --help"])


def bad_values(group: Any, path: str = "") -> Iterator[str]:
    """Every argument and option of every command with a value that it must refuse."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from bad_values(command, f"{path}{name} ")
            continue
        for parameter in command.params:
            flag = max(parameter.opts, key=len)
            if getattr(parameter, "is_flag", False) or f"{path}{name} {flag}" in ANY:
                continue
            needed = [other for other in command.params if other.required and other is not parameter]
            words = [word for other in needed for word in GOOD[max(other.opts, key=len)].split(" ")]
            bad = "" if parameter.metavar in ("FOLDER", "FILE") else "nonsense"
            given = [bad, *words] if parameter.param_type_name == "argument" else [*words, f"{flag}={bad}"]
            yield " ".join([path + name, *given])


GOOD = {
    "folder": "campaign", "folders": "campaign", "campaigns": "campaign", "campaign": "campaign",
    "file": "a_file", "files": "a_file", "fault": "fitact-1",
    "--fault": "--fault fitact-1", "--out": "--out new", "--folder": "--folder new",
    "--checkpoint": "--checkpoint a_file", "net": "alexnet",
}  # fmt: skip
"""What a command needs besides the value in question."""

ANY = {"campaign list --root"}
"""Options that refuse nothing: below a folder that is missing there are no campaigns."""


def test_every_option_refuses_a_bad_value_in_one_line(here: Path) -> None:
    commands = list(bad_values(_command()))
    assert len(commands) > 200
    before = everything(here)
    said = in_one_process(commands).split("$ ")[1:]
    for command, text in zip(commands, said, strict=True):
        first, *lines = text.splitlines()
        assert first == command
        assert lines[-1] == "exit 2", text
        assert len(lines) == 2, text
        assert lines[0].startswith("error: "), text
    assert everything(here) == before


def test_a_process_of_its_own(here: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "fitact_hw", "sim", "lenet"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {LINES['sim lenet']}\n")


def test_a_machine_file_that_is_no_toml(fitact: Fitact, here: Path) -> None:
    done = fitact("sim", "--config", "a_file")
    assert done.err.startswith("error: a_file is no TOML file: Expected '=' after a key")  # the rest is Python's
    assert (done.code, done.err.count("\n")) == (2, 1)


def test_an_onnx_file_that_is_none(fitact: Fitact, here: Path) -> None:
    pytest.importorskip("onnx", reason="pip install onnx")
    (here / "bad.onnx").write_text("nothing\n")
    before = everything(here)
    done = fitact("subject", "bad.onnx", "--data", "a_folder", "--out", "made")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: bad.onnx is no network of ONNX: ")
    assert done.err.count("\n") == 1
    assert everything(here) == before


def test_where_nothing_can_be_written(fitact: Fitact, here: Path) -> None:
    """`/proc` refuses even root."""
    done = fitact("sim", "--out", "/proc/results")
    assert done.err == (
        "error: --out /proc/results cannot be written: nothing can be in /proc (No such file or directory); "
        "choose another place\n"
    )
    assert done.code == 2


def test_build_root_that_is_a_file(fitact: Fitact, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITACT_BUILD", "a_file")
    done = fitact("models")
    assert (done.code, done.err) == (2, "error: FITACT_BUILD=a_file is a file: name a folder\n")


def test_brackets_in_what_was_typed_are_shown(fitact: Fitact, here: Path) -> None:
    assert fitact("sim", "[bold]x[/]").err == (
        "error: [bold]x[/] does not exist: name a network of `fitact models` or a subject's folder\n"
    )


def test_checking_a_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    assert out_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert not everything(tmp_path)
