"""The first signal stops, a second one hurries."""

import signal
import threading

import pytest

from serve_app.cli.signals import Signals, Stopped


def test_a_signal_interrupts_the_start() -> None:
    with Signals() as signals:
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGTERM)
        assert signals.stopping
        # Cleaning up is not interrupted by a second one.
        signal.raise_signal(signal.SIGINT)
        assert signals.hurried


def test_a_running_platform_counts_signals() -> None:
    with Signals() as signals:
        signals.started()
        assert not signals.stopping
        signal.raise_signal(signal.SIGTERM)
        assert signals.stopping
        assert not signals.hurried


def test_handlers_that_a_library_took_are_taken_back_and_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Signals() as signals:
        ours = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signals.install()
        assert signal.getsignal(signal.SIGTERM) == ours
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_does_not_end_is_left_behind() -> None:
    never = threading.Event()
    with Signals() as signals:
        signals.started()
        assert signals.bounded(lambda: None, 5.0)
        assert not signals.bounded(never.wait, 0.2)
    never.set()


def test_a_second_signal_ends_the_wait() -> None:
    never = threading.Event()
    with Signals() as signals:
        signals.started()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert not signals.bounded(never.wait, 60.0)
    never.set()
