"""The user's images: three forms, any shape, wrong ones refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from golden.errors import GoldenError
from golden.subjects.data import from_arrays, read_data
from golden.subjects.reading import Reading

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (10, 6, 5)).astype(np.uint8)


def test_npz_with_everything(tmp_path: Path) -> None:
    path = tmp_path / "my data.npz"
    labels = np.arange(10) % 3
    np.savez(path, images=GREY, labels=labels, class_names=["a", "b", "c"], mean=[0.5], std=[0.25])
    data = read_data(str(path))
    assert (len(data.training), len(data.test), data.labelled, data.classes) == (8, 2, True, ("a", "b", "c"))
    assert data.training.taken == (1, 6, 5)
    order = np.random.default_rng(1).permutation(10)
    expected = (GREY[order[:2]] / 255 - 0.5) / 0.25
    np.testing.assert_allclose(data.test.network_input()[:, 0], expected, atol=1e-12)
    np.testing.assert_allclose(data.test.tensor().numpy()[:, 0], expected, atol=1e-6)
    np.testing.assert_array_equal(data.test.labels, labels[order[:2]])


def test_images_with_tests_of_their_own() -> None:
    images = RNG.standard_normal((5, 20)).astype(np.float32)
    data = from_arrays({"images": images, "test_images": images[:3] + 1}, "mine")
    assert (len(data.training), len(data.test), data.labelled) == (5, 3, False)
    np.testing.assert_array_equal(data.test.images, images[:3] + 1)


def _pictures(folder: Path, size: tuple[int, int] = (5, 6)) -> None:
    for number, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True)
        for index in range(3):
            pixels = np.full((*size[::-1], 3), 100 * number + index, np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")


STATISTICS = Reading(mean=(0.5,) * 3, std=(0.25,) * 3)


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    _pictures(tmp_path / "whole")
    data = read_data(str(tmp_path / "whole"), STATISTICS)
    assert (data.classes, len(data.training) + len(data.test), data.training.taken) == (("cat", "dog"), 6, (3, 6, 5))
    for part in (data.training, data.test):
        np.testing.assert_array_equal(part.images[:, 0, 0, 0] // 100, part.labels)
    for kind in ("train", "val"):
        _pictures(tmp_path / "split" / kind)
    split = read_data(str(tmp_path / "split"), STATISTICS)
    assert (len(split.training), len(split.test)) == (6, 6)
    small = read_data(str(tmp_path / "whole"), Reading((0.5,), (0.5,), (4, 3)))
    assert small.training.taken == (1, 4, 3)
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "whole" / "dog" / "large.png")
    with pytest.raises(GoldenError, match=r"large.png has 9x9 pixels, others 6x5: resize all with --size 6x5"):
        read_data(str(tmp_path / "whole"), STATISTICS)
    (tmp_path / "whole" / "dog" / "large.png").write_text("no picture")
    with pytest.raises(GoldenError, match=r"large.png is no readable picture"):
        read_data(str(tmp_path / "whole"), STATISTICS)


def test_a_function(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n"
        "def pair():\n    return np.zeros((6, 4), np.float32), np.arange(6)\n"
        "def alone():\n    return np.zeros((6, 4), np.float32)\n"
        "def wrong():\n    return 'text'\n"
        "def fails():\n    raise ValueError('no disk')\n"
    )
    assert read_data(f"{file}:pair").labelled
    assert not read_data(f"{file}:alone").labelled
    with pytest.raises(GoldenError, match=r"returns str: return .images, labels., images or a dictionary"):
        read_data(f"{file}:wrong")
    with pytest.raises(GoldenError, match=r"mine.py:fails failed: no disk at mine.py:9: raise ValueError"):
        read_data(f"{file}:fails")


FLOAT = np.zeros((4, 3), np.float32)
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"pictures": GREY}, "has no array `images`, found pictures: name them images and labels"),
    ({"images": GREY}, r"of 1 channel need as many values .*: give --mean and --std, .* have --mean 0.\d+ --std 0.\d+"),
    ({"images": GREY[:, None], "mean": [0.1], "std": [0.1]}, r"put channels last, images.transpose\(0, 2, 3, 1\)"),
    ({"images": FLOAT, "labels": np.eye(4)}, r"of one-hot labels: labels.argmax\(1\)"),
    ({"images": GREY, "mean": [0.1], "std": [0.0]}, "std .* positive"),
    ({"images": GREY[:1], "mean": [0.1], "std": [0.1]}, "one image is too few"),
    ({"images": FLOAT, "labels": [0, 1]}, "4 images have 2 labels"),
    ({"images": FLOAT, "labels": [0.5, 1, 2, 3]}, "labels must be class numbers"),
    ({"images": FLOAT, "labels": [-1, 1, 2, 3]}, "labels must be class numbers"),
    ({"images": FLOAT, "labels": [0, 1, 2, 3], "class_names": ["a"]}, "has no name among 1 class_names"),
    ({"images": FLOAT * np.nan}, "image 0 holds numbers that are NaN or infinite"),
    ({"images": FLOAT.astype(np.int64)}, r"must be uint8 .pixels from 0 to 255., or floating point"),
    ({"images": np.zeros((0, 3), np.float32)}, "at least one"),
    ({"images": FLOAT, "labels": [0] * 4, "test_images": FLOAT}, "test_images have no test_labels"),
    ({"images": FLOAT, "test_images": np.zeros((2, 5), np.float32)}, "test images are 2 of"),
]


@pytest.mark.parametrize(("arrays", "line"), WRONG)
def test_wrong_arrays_are_one_line(arrays: dict[str, Any], line: str) -> None:
    with pytest.raises(GoldenError, match=line) as error:
        from_arrays(arrays, "mine.npz")
    assert "\n" not in str(error.value)
    assert "mine.npz" in str(error.value)


def test_wrong_places_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    np.savez(tmp_path / "pickled.npz", images=np.array([{}], object))
    (tmp_path / "empty").mkdir()
    for name, line in (
        ("none.npz", "does not exist"),
        ("bad.npz", "is no readable npz file"),
        ("pickled.npz", "is no readable npz file"),
        ("empty", "has no class folders"),
        ("data.csv", "is no data: name an .npz file"),
    ):
        with pytest.raises(GoldenError, match=line):
            read_data(str(tmp_path / name))
