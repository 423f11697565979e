"""Runs of pytest without the seconds that its imports take: a process with the large packages loaded, forked for each.

`python -m tests.mutation.server` takes a line of JSON (folder, arguments, environment, limit in seconds) and answers
with the exit code, or null beyond the limit. It loads nothing of this project: every run has the folder's own.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

SOURCE = Path(__file__).resolve()


class Runner:
    """Context manager with a server of its own."""

    def __enter__(self) -> Runner:
        self._server = subprocess.Popen(
            [sys.executable, str(SOURCE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server.stdin
        self._server.stdin.close()  # it ends the run that is under way, and then itself
        self._server.wait()

    def run(self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str], limit_s: int) -> int | None:
        """Exit code of pytest in ``folder``; None if it took longer."""
        assert self._server.stdin
        assert self._server.stdout
        wanted = [str(folder), [*arguments], {**environment}, limit_s]
        self._server.stdin.write(json.dumps(wanted) + "\n")
        self._server.stdin.flush()
        code: int | None = json.loads(self._server.stdout.readline())
        return code


def _pytest(folder: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """In the forked process: never returns."""
    import pytest

    os.setsid()
    with open(os.devnull, "r+") as nowhere:
        for stream in range(3):
            os.dup2(nowhere.fileno(), stream)
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = [folder]
    sys.dont_write_bytecode = True
    code = 3
    try:
        code = int(pytest.main([*arguments]))
    finally:
        os._exit(code)


def _ended(child: int, limit_s: int) -> int | None:
    """Exit code of ``child``; None, and it is killed with all that it started, if the limit or the input's end come
    first."""
    handle = os.pidfd_open(child)
    try:
        ready, _, _ = select.select([handle, sys.stdin.fileno()], [], [], limit_s)
        in_time = handle in ready
    finally:
        os.close(handle)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if in_time else None


def main() -> None:
    """Serve until the input ends."""
    import hypothesis  # noqa: F401
    import pydantic  # noqa: F401
    import pytest  # noqa: F401
    import scipy.stats  # noqa: F401
    import torch.export  # noqa: F401

    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != SOURCE.parent]
    with open(0, "rb", buffering=0) as wanted:
        while line := wanted.readline():
            folder, arguments, environment, limit_s = json.loads(line)
            child = os.fork()
            if not child:
                _pytest(folder, arguments, environment)
            print(json.dumps(_ended(child, limit_s)), flush=True)


if __name__ == "__main__":
    main()
