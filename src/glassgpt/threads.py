"""Number of CPU threads, chosen by measurement while a computation runs.

Threads of one matrix product wait for each other. Next to busy programs the product takes as long as its most
disturbed thread, and fewer threads can be faster. The best number changes as programs come and go, so
`ThreadTuner` tries another one now and then and keeps the faster one.

It does not set how the threads wait: OpenMP reads that from the environment when torch is loaded
(`WAIT_SETTINGS`).
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

from glassgpt.control_groups import PROCESS, ROOT, control_files

WAIT_SETTINGS = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "0"}
"""A waiting thread spins for some microseconds, then sleeps: for GNU and for LLVM OpenMP."""

WINDOW = 5
"""Latest steps; their median is the speed of the present number of threads."""
SLOW_SECONDS = 1.0
"""Two steps are enough if they take so long."""
TRIAL_STEPS = 4
"""Steps of a trial; the first one starts the threads and does not count."""
TRIAL_SHARE = 0.01
"""Largest share of the time that trials may lose."""
TRIAL_SECONDS = 2.0
"""Smallest time between trials."""
SLOWDOWN = 1.3
"""A trial is due at once if steps take this many times longer than before."""
GAIN = 0.95
"""Another number of threads is kept if its steps take less than this share of the time."""


def set_wait_policy(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let waiting threads sleep soon. Call it before torch is imported; it keeps what the user has set.

    >>> environment = {"GOMP_SPINCOUNT": "7"}
    >>> set_wait_policy(environment)
    >>> environment["GOMP_SPINCOUNT"]
    '7'
    """
    if "OMP_WAIT_POLICY" not in environment:
        for name, value in WAIT_SETTINGS.items():
            environment.setdefault(name, value)


def default_threads() -> int:
    """Return torch's number of threads, or the container's share of the cores if that is less.

    torch counts the cores of the machine. More threads than a container may run are stopped in turns, each
    while others wait for it. OMP_NUM_THREADS wins.
    """
    import torch  # `set_wait_policy` comes first

    n = torch.get_num_threads()
    return n if "OMP_NUM_THREADS" in os.environ else max(1, math.ceil(min(n, *cpu_quotas())))


def cpu_quotas(process: Path = PROCESS, root: Path = ROOT) -> Iterator[float]:
    """Yield the limits of the process's control groups, in cores; always infinity, too."""
    yield math.inf
    files = control_files(
        "cpu", "cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us", process=process, root=root
    )
    for texts in files:
        match " ".join(texts).split():
            case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period):
                yield int(quota) / int(period)


class ThreadTuner:
    """Chooses torch's number of threads for a step that repeats.

        tuner = ThreadTuner()
        with tuner.in_use():
            for batch in batches:
                with tuner.step(work=batch.tokens.numel()):
                    ...

    n_threads: threads at the start, by default `default_threads`. adapt: False keeps this number, and so
    does the environment variable OMP_NUM_THREADS. The numbers tried are the one at the start, its half, its
    quarter, … and 1.
    """

    def __init__(
        self, n_threads: int | None = None, *, adapt: bool = True, clock: Callable[[], float] = perf_counter
    ) -> None:
        import torch  # `set_wait_policy` comes first

        self._torch, self._clock = torch, clock
        self.n_threads = n_threads or default_threads()
        """The fastest number of threads at present."""
        may_adapt = adapt and "OMP_NUM_THREADS" not in os.environ
        self.numbers = _halvings(self.n_threads) if may_adapt else [self.n_threads]
        """Numbers of threads to try, ascending."""
        self._kind: object = None
        self._times: deque[float] = deque(maxlen=WINDOW)  # seconds per unit of work
        self._usual = math.inf  # smallest median of `_times` since the last trial
        self._tried = self.n_threads  # another number during a trial
        self._trial: list[float] = []  # seconds per unit of work
        self._lost_s = 0.0  # time that the trial has cost
        self._last_trial_s = self._next_trial_s = self._began_s = clock()
        self._direction = -1  # of the next trial: −1 for fewer threads, 1 for more

    @property
    def adapts(self) -> bool:
        """True if there is another number to try."""
        return len(self.numbers) > 1

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Use the chosen number of threads inside the block, and the number before it afterwards."""
        before = self._torch.get_num_threads()
        self._torch.set_num_threads(self.n_threads)
        try:
            yield
        finally:
            self._torch.set_num_threads(before)

    @contextmanager
    def step(self, work: float = 1.0, kind: object = None) -> Iterator[None]:
        """Run a step, and learn from its time.

        work: size of the step, in any unit. Only steps of equal `kind` are compared.
        """
        if not self.adapts:
            yield
            return
        self._torch.set_num_threads(self._tried)
        began = self._clock()
        yield
        self._record(self._clock() - began, work, kind)
        self._torch.set_num_threads(self.n_threads)

    def _record(self, seconds: float, work: float, kind: object) -> None:
        if kind != self._kind:
            self._kind = kind
            self._use(self.n_threads)
        elif self._tried != self.n_threads:
            self._trial.append(seconds / work)
            self._lost_s += max(0.0, seconds - work * median(self._times))
            if len(self._trial) == TRIAL_STEPS:
                self._end_trial()
        else:
            self._times.append(seconds / work)
            if self._knows_present() and self._trial_is_due():
                self._tried = self._neighbor()

    def _knows_present(self) -> bool:
        """Return True after enough steps to compare others with: fewer are enough if they are slow."""
        n = len(self._times)
        return n == WINDOW or (n > 1 and self._clock() >= self._began_s + SLOW_SECONDS)

    def _trial_is_due(self) -> bool:
        """Return True for the next regular trial, or if steps have become slow."""
        present, now = median(self._times), self._clock()
        self._usual = min(self._usual, present)
        may_try = now >= self._last_trial_s + TRIAL_SECONDS
        return now >= self._next_trial_s or (may_try and present > SLOWDOWN * self._usual)

    def _end_trial(self) -> None:
        """Keep the faster number of threads; the costlier the trial, the later the next one."""
        present, other = median(self._times), median(self._trial[1:])
        self._last_trial_s = self._clock()
        self._next_trial_s = self._last_trial_s + max(TRIAL_SECONDS, self._lost_s / TRIAL_SHARE)
        if other < GAIN * present:
            self._use(self._tried)
            return
        if present > SLOWDOWN * self._usual:  # slow with any number of threads
            self._usual = present
        self._direction = -self._direction
        self._begin()

    def _use(self, n_threads: int) -> None:
        """Choose a number of threads, and measure it from the start."""
        self.n_threads, self._usual = n_threads, math.inf
        self._begin()

    def _begin(self) -> None:
        """Measure the chosen number of threads again."""
        self._tried, self._lost_s, self._began_s = self.n_threads, 0.0, self._clock()
        self._times.clear()
        self._trial.clear()

    def _neighbor(self) -> int:
        """Return the next candidate, in the direction of the last gain where there is one."""
        i, last = self.numbers.index(self.n_threads), len(self.numbers) - 1
        if not 0 <= i + self._direction <= last:
            self._direction = -self._direction
        return self.numbers[i + self._direction]


def _halvings(n: int) -> list[int]:
    """Return 1 and n halved again and again, in ascending order.

    >>> _halvings(12)
    [1, 3, 6, 12]
    """
    return sorted({n // 2**i for i in range(n.bit_length())})
