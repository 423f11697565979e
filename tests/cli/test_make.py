"""The Makefile: what it hands on, quoted, and that it refuses variables and targets that it does not know."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from fitact_hw.cli import _command
from tests.mutation.run import options_of_the_command as mutation_options
from tests.soak.run import options_of_the_command as soak_options

ROOT = Path(__file__).resolve().parents[2]
SIM = "MODEL DATA MEAN STD SIZE ROWS COLS WORD CONFIG IMAGES FAULTS SHAPE SEED SCHEME BATCH WORKERS OUT WAVES"


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """What would be run (nothing is)."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ["make", "--dry-run", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["sim", "model=vgg16"], f"unknown variable 'model' (did you mean MODEL?): make sim takes {SIM}"),
        (["sim", "MODLE=vgg16"], f"unknown variable 'MODLE' (did you mean MODEL?): make sim takes {SIM}"),
        (["sim", "MAPS=3"], f"unknown variable 'MAPS': make sim takes {SIM}"),
        (["doctor", "MODEL=vgg16"], "unknown variable 'MODEL': make doctor takes no variables"),
        (["sim", "vgg16"], "unknown target 'vgg16' (a network? make sim MODEL=vgg16): there are help setup sim "),
        (["smi"], "unknown target 'smi': there are help setup sim "),
    ],
)
def test_what_it_does_not_know_is_an_error(words: list[str], line: str) -> None:
    done = make(*words)
    assert done.returncode == 2
    [told] = done.stderr.splitlines()
    assert re.sub(r"^Makefile:\d+: \*\*\* ", "", told).startswith(line)
    assert not done.stdout


def test_variables_are_handed_on_quoted() -> None:
    done = make("sim", "MODEL=vgg16", "WORD=32", "FAULTS=0", "OUT=it's mine", "WAVES=1", "CXX=c++", "FITACT_BUILD=x")
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert re.sub(" +", " ", last) == (
        ".venv/bin/fitact sim 'vgg16' --word '32' --faults '0' --out 'it'\\''s mine' --waves"
    )
    assert make("sim", "OUT=").stdout.split()[-2:] == ["--out", "''"]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["sim", "MODEL=my_net"], "sim 'my_net'"),
        (["sim", "MODEL=my nets/net.py:build", "DATA=x.npz"], "sim 'my nets/net.py:build' --data 'x.npz'"),
        (
            ["campaign", "MODEL=net.pt2", "DATA=pictures", "MEAN=0.1,0.2,0.3", "STD=1,1,1", "SIZE=64x48"],
            "campaign run 'net.pt2' --data 'pictures' --mean '0.1,0.2,0.3' --std '1,1,1' --size '64x48'",
        ),
        (["resilience", "MODEL=/a/my_net", "WORD=8"], "resilience '/a/my_net' --word '8'"),
        (["validate-memory", "MODEL=my_net"], "validate-memory 'my_net'"),
        (["train", "MODEL=vgg16", "DATASET=cifar100"], "train 'vgg16' --dataset 'cifar100'"),
    ],
)
def test_networks_of_one_s_own_go_through_make(words: list[str], command: str) -> None:
    done = make(*words)
    assert done.returncode == 0, done.stderr
    assert re.sub(" +", " ", done.stdout.splitlines()[-1]).strip() == f".venv/bin/fitact {command}"


def test_every_variable_is_an_option_of_the_command() -> None:
    """As the help of make lists them."""
    own = {"mutate": mutation_options, "soak": soak_options}
    subcommands = {"campaign": ("campaign", "run"), "validate": ("campaign", "validate")}
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    takes = dict(re.findall(r"^  ([a-z-]+) +([A-Z_ ]+)$", said, re.M))
    assert {"sim", "campaign", "resilience", "overhead"} <= set(takes)
    for target, names in takes.items():
        if target in own:  # no command of fitact
            options = set(own[target]()._option_string_actions)
        else:
            command = _command()
            for word in subcommands.get(target, (target,)):
                command = command.commands[word]
            options = {option for parameter in command.params for option in parameter.opts}
        for name in set(names.split()) - {"MODEL", "BENCH_MODELS"}:
            assert f"--{name.lower()}" in options, f"make {target} {name}="
