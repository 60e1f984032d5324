"""Signals that end a program within a second, and never in the middle of a training step.

Outside of training, a signal raises `Stopped` at once, so that every context cleans up. While training, it
sets a `StopRequest`; the trainer ends after the step at hand.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Thread, current_thread, main_thread
from types import FrameType
from typing import Any, NoReturn, TypeVar

__all__ = [
    "STOP_SIGNALS",
    "RaiseStopped",
    "StopRequest",
    "Stopped",
    "ctrl_c_interrupts",
    "end_at_once",
    "end_cleanly",
    "on_signals",
    "run_in_thread",
]

T = TypeVar("T")
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Ctrl-C, `kill`, and a terminal that closes (which Windows does not have)."""
SHOW_CURSOR = b"\x1b[?25h\n"


class Stopped(BaseException):
    """The program is asked to end. `number` is the signal, 0 without one.

    Not a KeyboardInterrupt, which libraries catch to end the program in their own way.
    """

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


class RaiseStopped:
    """A handler that raises Stopped at the first signal and ends the program at the second.

    The first one lets every context clean up, which takes less than a second; a disk may hang.
    """

    def __init__(self) -> None:
        self.received = False

    def __call__(self, number: int) -> None:
        """Handle a signal."""
        if self.received:
            end_at_once(128 + number)
        self.received = True
        raise Stopped(number)


def end_at_once(code: int) -> NoReturn:
    """End without waiting for threads: for a step that is being written, or a long call into C."""
    with suppress(OSError, ValueError):  # a terminal that is gone
        if sys.stdout.isatty():
            os.write(sys.stdout.fileno(), SHOW_CURSOR)
    os._exit(code)


def end_cleanly(code: int) -> NoReturn:
    """Remove temporary files, write what is buffered, and end without waiting for threads."""
    atexit._run_exitfuncs()  # temporary folders
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    end_at_once(code)


@contextmanager
def on_signals(
    handle: Callable[[int], None], signals: Sequence[signal.Signals] = STOP_SIGNALS
) -> Iterator[None]:
    """Call `handle` with the number of each of these signals, in this context.

    Outside of the main thread, where Python allows no handlers, it does nothing. A signal that was ignored
    before (nohup, a job in the background) stays ignored.
    """

    def call(number: int, _: FrameType | None) -> None:
        handle(number)

    if current_thread() is not main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in signals}
    heeded = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heeded:
        signal.signal(number, call)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number] or signal.SIG_DFL)


@contextmanager
def ctrl_c_interrupts() -> Iterator[None]:
    """Let each Ctrl-C raise KeyboardInterrupt in this context; other signals keep their meaning.

    For a dialog, in which Ctrl-C ends an answer and not the program.
    """
    with on_signals(_interrupt, [signal.SIGINT]):
        yield


def _interrupt(_: int) -> NoReturn:
    raise KeyboardInterrupt


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
