"""The build cache, without a compiler: nothing stale, nothing half-written, old builds go, used ones stay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from golden.support import folders
from golden.support.folders import build_root
from sim.cache import KEPT, STAMP, Entry, entry, in_use, keep_whole, log_tail, obtain
from sim.errors import SimulationError


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty build root."""
    monkeypatch.setenv("FITACT_BUILD", str(tmp_path / "root"))
    return tmp_path / "root"


class Maker:
    """Makes builds of one product and counts them."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, value: str, name: str = "thing") -> Entry:
        def make(folder: Path) -> None:
            assert not list(folder.iterdir())
            (folder / "product").write_text(value)
            self.made.append(value)

        return obtain(entry("place", name, {"value": value}, ["product"]), make, name, lambda _: None)


def test_unchanged_inputs_are_not_made_again(root: Path) -> None:
    maker = Maker()
    first = maker("a")
    assert first.folder.parent == root / "place"
    assert maker("a") == first
    assert maker("b").folder != first.folder
    assert maker.made == ["a", "b"]


@pytest.mark.parametrize("damage", ["no stamp", "half a stamp", "product cut off", "no product"])
def test_what_is_not_whole_is_made_again(damage: str) -> None:
    maker = Maker()
    folder = maker("a" * 100).folder
    stamp, product = folder / STAMP, folder / "product"
    if damage == "no stamp":
        stamp.unlink()
    elif damage == "half a stamp":
        stamp.write_text(stamp.read_text()[:10])
    elif damage == "product cut off":
        product.write_text("a" * 99)
    else:
        product.unlink()
    assert maker("a" * 100).is_whole()
    assert len(maker.made) == 2


def test_a_build_that_failed_is_no_build() -> None:
    wanted = entry("place", "thing", {}, ["product"])

    def fail(folder: Path) -> None:
        (folder / "product").write_text("half")
        raise SimulationError("no")

    with pytest.raises(SimulationError):
        obtain(wanted, fail, "thing", lambda _: None)
    assert not wanted.is_whole()


def test_the_last_used_builds_stay() -> None:
    maker = Maker()
    first, other = maker("first"), maker("other", "thing-two")
    with in_use(first.folder):
        later = [maker(str(number)) for number in range(KEPT)]
        assert first.folder.exists(), "removed while in use"
    maker("0")
    maker("last")
    assert not first.folder.exists(), "old builds stay for ever"
    assert [item.folder.exists() for item in later] == [True, False, *[True] * (KEPT - 2)]
    assert other.folder.exists(), "of another name"


def test_a_folder_appears_whole_or_not_at_all(root: Path) -> None:
    target = root / "objects"

    def fail(folder: Path) -> None:
        (folder / "a").touch()
        raise SimulationError("no")

    with pytest.raises(SimulationError):
        keep_whole(target, fail)
    assert not list(root.iterdir())
    keep_whole(target, lambda folder: (folder / "a").touch())
    keep_whole(target, lambda folder: (folder / "b").touch())
    assert [path.name for path in target.iterdir()] == ["a"]


def test_path_with_spaces_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITACT_BUILD", str(tmp_path / "with space"))
    with pytest.raises(SimulationError, match="set FITACT_BUILD to a folder without"):
        Maker()("a")


def test_tail_of_a_log_names_it(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert log_tail(log) == f"(no log) [{log}]"
    log.write_text("".join(f"line {number}\n" for number in range(9)))
    assert log_tail(log, 2) == f"line 7 | line 8 [{log}]"


def test_build_root_does_not_depend_on_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FITACT_BUILD")
    tree = Path(folders.__file__).parents[2]
    monkeypatch.chdir(tmp_path)
    assert build_root() == tree / "build"
    monkeypatch.setenv("FITACT_BUILD", "here")
    assert build_root() == tmp_path / "here"


def test_an_installed_package_builds_in_the_users_cache(tmp_path: Path) -> None:
    package = tmp_path / "site" / "golden" / "support"
    package.mkdir(parents=True)
    (package / "folders.py").write_text(Path(folders.__file__).read_text())
    program = f"import sys; sys.path.insert(0, {str(package)!r}); import folders; print(folders.build_root())"
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "cache" / "fitact")
