"""Signals that end a program within a second, and never in the middle of a training step.

Outside of training, a signal raises `Stopped` at once, so that every context cleans up. While training, it
sets a `StopRequest`; the trainer ends after the step at hand.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread, current_thread, main_thread
from types import FrameType
from typing import Any, TypeVar

__all__ = ["STOP_SIGNALS", "StopRequest", "Stopped", "on_signals", "raise_stopped", "run_in_thread"]

T = TypeVar("T")
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Ctrl-C, `kill`, and a terminal that closes (which Windows does not have)."""


class Stopped(KeyboardInterrupt):
    """The program is asked to end. `number` is the signal, 0 without one."""

    def __init__(self, number: int = 0) -> None:
        super().__init__("interrupted")
        self.number = number


class StopRequest:
    """A request to stop training: at once where nothing is lost, else after the current step.

    >>> stop = StopRequest()
    >>> stop.unless_stopped(lambda: 3), stop.interrupt(), stop.unless_stopped(lambda: 3)
    (3, None, None)
    """

    def __init__(self) -> None:
        self.requested = False
        self._may_raise = False

    def interrupt(self) -> None:
        """Request a stop from a signal handler: raises Stopped inside of `unless_stopped`."""
        self.requested = True
        if self._may_raise:
            self._may_raise = False
            raise Stopped

    def unless_stopped(self, function: Callable[[], T]) -> T | None:
        """Call a function that an interrupt ends at once; return None after a request to stop."""
        try:
            self._may_raise = True
            try:
                return None if self.requested else function()
            finally:
                self._may_raise = False
        except Stopped:
            return None


def raise_stopped(number: int) -> None:
    """Raise Stopped with the number of a signal."""
    raise Stopped(number)


@contextmanager
def on_signals(handle: Callable[[int], None]) -> Iterator[None]:
    """Call `handle` with the number of each signal that asks to stop, in this context.

    Outside of the main thread, where Python allows no handlers, it does nothing. A signal that was ignored
    before (nohup, a job in the background) stays ignored.
    """

    def call(number: int, _: FrameType | None) -> None:
        handle(number)

    if current_thread() is not main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    heeded = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heeded:
        signal.signal(number, call)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number] or signal.SIG_DFL)


def run_in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in another thread; signals are heeded meanwhile.

    For long calls into C, during which Python handles no signal. After a signal the thread goes on until the
    program ends, so the function must not write files.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function(*arguments))
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=call, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    if errors:
        raise errors[0]
    return results[0]
