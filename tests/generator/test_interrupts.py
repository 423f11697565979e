"""Ctrl-C inside a library that would lose it."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from fitact_hw import csr
from fitact_hw.interrupts import held_back


def test_ctrl_c_comes_after_the_block() -> None:
    done = []

    def block() -> None:
        with held_back():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("the rest of the block")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        block()
    assert done
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_nothing_changes() -> None:
    handlers = []

    def look() -> None:
        with held_back():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with held_back():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_register_map_parser_cannot_lose_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser drops what is raised under it, as the C++ of systemrdl-compiler does now and then."""

    class Dropping(csr.RDLCompiler):
        def compile_file(self, *arguments: Any, **options: Any) -> Any:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                return super().compile_file(*arguments, **options)
            except KeyboardInterrupt:
                raise TypeError("CommonToken is not a subtype of type") from None

    monkeypatch.setattr(csr, "RDLCompiler", Dropping)
    with pytest.raises(KeyboardInterrupt):
        csr.load()
