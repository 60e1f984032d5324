"""The clock of a run: seconds of preparation and of training, all attempts together."""

from __future__ import annotations

import time
from typing import NamedTuple

from glassgpt.train.parallel import Dist


class Elapsed(NamedTuple):
    """Seconds that a run has taken, in two parts."""

    prepared_s: float = 0.0
    """Before the first step of each attempt: start of the process, reading, counting, tokenizing."""
    trained_s: float = 0.0
    """From there on: steps, evaluations, saves, verdict."""

    @property
    def total_s(self) -> float:
        """Both parts."""
        return self.prepared_s + self.trained_s


class Clock:
    """Counts the seconds of a run: preparation first, training after `begin_training`.

    began: the moment to count from, on `time.monotonic`; now by default.
    """

    def __init__(self, began: float | None = None) -> None:
        self.synced = Elapsed()
        """Seconds at the last `sync`, equal in all processes: decisions use these."""
        self._counted, self._since = Elapsed(), self._now() if began is None else began
        self._training = self._paused = False

    @property
    def elapsed(self) -> Elapsed:
        """Seconds until now, in this process."""
        prepared_s, trained_s = self._counted
        running_s = 0.0 if self._paused else self._now() - self._since
        if self._training:
            return Elapsed(prepared_s, trained_s + running_s)
        return Elapsed(prepared_s + running_s, trained_s)

    def pause(self) -> None:
        """Stop counting until `resume`."""
        self._counted, self._paused = self.elapsed, True

    def resume(self) -> None:
        """Count again after a pause."""
        if self._paused:
            self._since, self._paused = self._now(), False

    def add(self, earlier: Elapsed) -> None:
        """Add the seconds of earlier attempts."""
        prepared_s, trained_s = self._counted
        self._counted = Elapsed(prepared_s + earlier.prepared_s, trained_s + earlier.trained_s)
        self.synced = earlier

    def begin_training(self, dist: Dist) -> None:
        """End the preparation: from now on, seconds count as training. All processes agree on both parts."""
        self._counted, self._since, self._training = self.elapsed, self._now(), True
        self.synced = self._counted = Elapsed(*dist.all_reduce_max(*self._counted))

    def sync(self, dist: Dist, *numbers: float) -> list[float]:
        """Agree with all processes on the time; return the largest of each number over all processes."""
        prepared_s, trained_s, *largest = dist.all_reduce_max(*self.elapsed, *numbers)
        self.synced = Elapsed(prepared_s, trained_s)
        return largest

    @staticmethod
    def _now() -> float:
        return time.monotonic()
