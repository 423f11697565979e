"""CIFAR-100 from an archive of the official form: read, trained on, and made a subject that every command takes."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from golden.data import cifar100
from golden.data.archive import CIFAR10, CIFAR100, Archive
from golden.data.sets import check_available, class_count, load_set
from golden.errors import DataError, WeightsError
from golden.search import own
from golden.subjects.find import open_subject
from golden.training import train as training
from golden.training.release import export
from golden.training.train import CHECKPOINT, Recipe, load_trained
from tests.cli.conftest import Fitact, fitact  # noqa: F401

NAMES = [f"thing_{number}" for number in range(100)]
RECIPE = Recipe(batch=64, validation=40, low_resolution=16, low_fraction=1.0, dataset="cifar100")


def write_archive(folder: Path, archive: Archive, counts: dict[str, int]) -> str:
    """A small archive of the official layout, pickled as Python 2 did; returns its md5. A label is seen in the image:
    its red plane is two and a half times as bright."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / archive.file, "w:gz") as tar:

        def add(name: str, content: dict[bytes, object]) -> None:
            data = pickle.dumps(content, protocol=2)
            info = tarfile.TarInfo(f"{archive.folder}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

        for name, count in counts.items():
            fine = rng.permutation(count) % 100
            pixels = rng.integers(0, 256, (count, 3072)).astype(np.uint8)
            pixels[:, :1024] = (fine * 2.5)[:, None]
            add(name, {b"data": pixels, b"fine_labels": fine.tolist(), b"coarse_labels": (fine // 5).tolist()})
        add("meta", {b"fine_label_names": [name.encode() for name in NAMES], b"coarse_label_names": [b"group"] * 20})
    return hashlib.md5((folder / archive.file).read_bytes()).hexdigest()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    md5 = write_archive(folder, CIFAR100, {"train": 240, "test": 60})
    monkeypatch.setattr(cifar100, "ARCHIVE", replace(CIFAR100, md5=md5))
    return folder


def test_archive_has_fine_labels_and_their_names(root: Path) -> None:
    train, test = load_set("cifar100", True, root=root), load_set("cifar100", False, root=root)
    assert (len(train), len(test), train.images.shape[1:]) == (240, 60, (32, 32, 3))
    assert set(train.labels.tolist()) == set(range(100))
    for data in (train, test):
        np.testing.assert_array_equal(data.images[:, 31, 0, 0], (data.labels * 2.5).astype(np.uint8))
        assert (data.mean, data.std) == (CIFAR100.mean, CIFAR100.std)
    assert isinstance(train, cifar100.Cifar100)
    assert train.classes == tuple(NAMES)
    assert train.part(0, 7).mean == CIFAR100.mean
    assert [class_count(name) for name in ("cifar10", "cifar100")] == [10, 100]


def test_what_is_missing_or_damaged_is_one_line(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"CIFAR-100 is not here: no .*/none/cifar-100-python.tar.gz; see docs"):
        check_available("cifar100", root=tmp_path / "none")
    with pytest.raises(DataError, match="packs of CIFAR-10, not of CIFAR-100: leave out --cifar10"):
        check_available("cifar100", "packs", root)
    with pytest.raises(DataError, match=r"unknown data set 'cifar' .did you mean cifar10"):
        check_available("cifar")
    check_available("cifar100", root=root)
    path = root / CIFAR100.file
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="is damaged"):
        load_set("cifar100", True, root=root)
    assert CIFAR10.url.endswith("/cifar-10-python.tar.gz")
    assert CIFAR100.url.endswith("/cifar-100-python.tar.gz")


@pytest.mark.slow
def test_trains_to_a_subject_that_commands_take(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fitact: Fitact,  # noqa: F811
) -> None:
    """As `make train MODEL=alexnet DATASET=cifar100` does, with few images and a search for bounds of seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FITACT_BUILD", str(tmp_path / "build"))
    monkeypatch.setattr(training, "RECIPES", {"alexnet": RECIPE})
    monkeypatch.setattr(own, "WORK", 1e6)
    words = (
        "train",
        "alexnet",
        "--dataset",
        "cifar100",
        "--root",
        str(root),
        "--epochs",
        "1",
        "--processes",
        "1",
        "-q",
    )
    done = fitact(*words)
    assert done.code == 0, done.err
    found = open_subject("build/subjects/alexnet-cifar100")
    assert found.schemes == ("unprotected", "ranger", "clipact", "proact", "fitact", "fitact_channel", "scaledmax")
    assert (found.classes[3], len(found.classes)) == ("thing_3", 100)
    qnet = found.qnetwork("fitact", 8)
    assert qnet.layers[-1].out_shape == (100, 1, 1)
    samples = found.samples()
    assert (len(samples.data), samples.labelled, samples.data.mean) == (60, True, CIFAR100.mean)
    checkpoint = Path("build/alexnet-cifar100/train") / CHECKPOINT
    trained = load_trained(checkpoint)
    x = samples.data.tensor()
    assert (found.float_network()(x) - trained(x)).abs().max() < 1e-3
    before = Path(found.uri, "bounds.safetensors").read_bytes()
    assert fitact(*words).code == 0  # goes on, and finds that all is there
    assert Path(found.uri, "bounds.safetensors").read_bytes() == before
    with pytest.raises(WeightsError, match="was trained on cifar100"):
        export("alexnet", checkpoint, samples.data, tmp_path / "weights")  # type: ignore[arg-type]
    checked = fitact("check", "build/subjects/alexnet-cifar100", "--images", "4", "-q")
    assert checked.code == 0, checked.err
    assert "alexnet-cifar100 can run with int8" in checked.out
    again = fitact(*words[:-1], "--seed", "5", "--folder", str(tmp_path / "other"))
    assert (again.code, again.err.count("holds a subject of another run: remove it")) == (2, 1)
