"""Signals end what they should, also where a library makes something else of them."""

import signal

import pytest

from inrkit.machine.signals import StoppedError, StopRequest, process_setup


def interrupt() -> None:
    """As Ctrl-C does."""
    signal.raise_signal(signal.SIGINT)


def test_an_error_that_a_library_makes_of_a_signal_is_the_stop() -> None:
    """PyTorch calls a tensor damaged when Ctrl-C meets it in the midst of reading one."""

    def read() -> None:
        try:
            interrupt()
        except KeyboardInterrupt:
            raise RuntimeError("could not determine the shape of object type 'storage'") from None

    with pytest.raises(StoppedError, match="stopped by SIGINT"), process_setup():
        read()


def test_a_signal_that_a_library_forgets_ends_the_run_at_its_first_step() -> None:
    """What listens between steps hears of it."""
    with process_setup():
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        with StopRequest.current.deferred() as stop:
            assert stop.signal == signal.SIGINT


def test_an_error_after_a_signal_that_waits_is_an_error() -> None:
    """The run was told to finish its step; that the disk is full then is news."""

    def save() -> None:
        interrupt()
        raise OSError("full")

    with pytest.raises(OSError, match="full"), process_setup(), StopRequest.current.deferred():
        save()
