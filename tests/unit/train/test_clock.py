"""The clock of a run, on a time of its own: preparation, training, pauses, earlier attempts."""

from __future__ import annotations

import pytest

from glassgpt.train import Budget
from glassgpt.train.clock import Clock, Elapsed
from glassgpt.train.parallel import Dist


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The present moment; tests change it."""
    moment = [100.0]
    monkeypatch.setattr(Clock, "_now", staticmethod(lambda: moment[0]))
    return moment


def test_preparation_counts_from_the_given_moment(now: list[float]) -> None:
    clock = Clock(began=97.0)
    now[0] = 105.0
    clock.begin_training(Dist())
    now[0] = 109.0
    assert clock.elapsed == Elapsed(8.0, 4.0) and clock.elapsed.total_s == 12.0
    assert clock.synced == Elapsed(8.0, 0.0)  # as of the last sync
    assert clock.sync(Dist(), False, 7.5) == [0, 7.5]
    assert clock.synced == Elapsed(8.0, 4.0)


def test_a_pause_does_not_count(now: list[float]) -> None:
    clock = Clock()
    now[0] = 102.0
    clock.pause()
    now[0] = 200.0
    assert clock.elapsed == Elapsed(2.0)
    clock.resume()
    now[0] = 201.0
    clock.resume()  # without a pause: no effect
    now[0] = 202.0
    assert clock.elapsed == Elapsed(4.0)


def test_a_resumed_run_takes_its_own_preparation_off_the_training(now: list[float]) -> None:
    budget, clock = Budget(seconds=100), Clock()
    now[0] = 105.0
    clock.add(Elapsed(10.0, 40.0))
    assert budget.progress(1, clock.synced) == pytest.approx(40 / 90)
    now[0] = 106.0
    clock.begin_training(Dist())
    assert clock.elapsed == Elapsed(16.0, 40.0) and budget.left_s(clock.elapsed) == 44.0
    assert budget.progress(1, clock.synced) == pytest.approx(40 / 84)
    now[0] = 150.0
    assert budget.progress(1, clock.elapsed) == 1


def test_progress_begins_at_the_first_step_however_long_the_preparation(now: list[float]) -> None:
    budget, clock = Budget(seconds=60), Clock()
    now[0] = 150.0
    clock.begin_training(Dist())
    assert budget.progress(0, clock.elapsed, reserved_s=4) == 0
    now[0] = 153.0
    assert budget.progress(0, clock.elapsed, reserved_s=4) == 0.5
    assert budget.training_s(clock.elapsed.prepared_s, reserved_s=4) == 6
