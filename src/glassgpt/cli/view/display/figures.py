"""Figures that several displays show: speed, time left, exact answers."""

from __future__ import annotations

from collections import deque

from glassgpt.language import _
from glassgpt.train import Evaluated, Event, StepDone


class Speedometer:
    """Tokens per second over the last `WINDOW_S` seconds of training, evaluations included."""

    WINDOW_S = 10.0

    def __init__(self) -> None:
        self._done: deque[StepDone] = deque()
        self._tokens = 0

    def see(self, event: Event) -> None:
        """Count a step."""
        if isinstance(event, StepDone):
            self._done.append(event)
            self._tokens += event.tokens
            while len(self._done) > 2 and event.elapsed_s - self._done[0].elapsed_s > self.WINDOW_S:
                self._tokens -= self._done.popleft().tokens

    def of(self, last: StepDone) -> float:
        """Return the speed at the last step."""
        seconds = last.elapsed_s - self._done[0].elapsed_s if self._done else 0.0
        if seconds <= 0:
            return last.tokens_per_s
        return (self._tokens - self._done[0].tokens) / seconds  # the first step began before the window


def exact_share(event: Evaluated) -> str:
    """Share of exact answers, if the task has answers."""
    return "" if event.exact is None else _(", {share:.1%} exact", share=event.exact)


def seconds_left(event: StepDone) -> float:
    """Return the seconds until the end of the process, as the trainer plans it."""
    return event.left_s or 0.0
