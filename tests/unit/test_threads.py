"""The number of threads follows the machine: fewer while others need the cores, all of them afterwards."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from glassgpt.threads import TRIAL_SHARE, ThreadTuner, cpu_quotas, default_threads, set_wait_policy

IDLE = {1: 0.113, 2: 0.065, 4: 0.040}
BUSY = {1: 0.110, 2: 0.128, 4: 0.200}


class Machine:
    """A clock, and steps whose time depends on torch's number of threads."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seconds = IDLE

    def clock(self) -> float:
        return self.now

    def run(self, tuner: ThreadTuner, seconds: float, kind: object = None) -> int:
        """Run steps for this long; return their number."""
        end, n = self.now + seconds, 0
        with tuner.in_use():
            while self.now < end:
                with tuner.step(kind=kind):
                    self.now += self.seconds[torch.get_num_threads()]
                n += 1
        return n


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def make() -> tuple[Machine, ThreadTuner]:
    machine = Machine()
    return machine, ThreadTuner(clock=machine.clock)


def test_an_idle_machine_loses_at_most_two_percent_to_trials() -> None:
    machine, tuner = make()
    assert machine.run(tuner, 60) >= 0.98 * 60 / IDLE[2]
    assert tuner.n_threads == 2


def test_it_uses_fewer_threads_beside_a_busy_program_and_all_of_them_afterwards() -> None:
    machine, tuner = make()
    machine.run(tuner, 20)
    machine.seconds = BUSY
    assert machine.run(tuner, 20) >= 0.95 * 20 / BUSY[1]
    assert tuner.n_threads == 1
    machine.seconds = IDLE
    machine.run(tuner, 20)
    assert tuner.n_threads == 2


def test_a_slowdown_is_answered_within_seconds() -> None:
    machine, tuner = make()
    machine.run(tuner, 30)
    machine.seconds = BUSY
    machine.run(tuner, 3)
    assert tuner.n_threads == 1


def test_it_finds_the_best_of_many() -> None:
    torch.set_num_threads(4)
    machine, tuner = make()
    assert tuner.numbers == [1, 2, 4]
    machine.seconds = BUSY
    machine.run(tuner, 20)
    assert tuner.n_threads == 1
    machine.seconds = IDLE
    machine.run(tuner, 60)
    assert tuner.n_threads == 4


def test_a_costly_trial_postpones_the_next_one() -> None:
    machine, tuner = make()
    machine.seconds = {1: 10.0, 2: 5.0}
    trials = 600 / 5 - machine.run(tuner, 600)
    assert trials <= 4 + 600 * TRIAL_SHARE  # the first trial, and its share of the time


def test_steps_of_another_kind_are_not_compared() -> None:
    machine, tuner = make()
    machine.run(tuner, 0.5, kind="one row")
    machine.seconds = {n: 8 * t for n, t in IDLE.items()}
    machine.run(tuner, 20, kind="eight rows")
    assert tuner.n_threads == 2


def test_a_fixed_number_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    machine.seconds = BUSY
    fixed = ThreadTuner(4, adapt=False, clock=machine.clock)  # 5 steps a second
    assert machine.run(fixed, 10) <= 51
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert not ThreadTuner(clock=machine.clock).adapts


def test_torch_has_its_own_number_afterwards() -> None:
    machine, tuner = make()
    machine.seconds = BUSY
    machine.run(tuner, 5)
    assert tuner.n_threads == 1 and torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "0"}),
        ({"GOMP_SPINCOUNT": "5"}, {"GOMP_SPINCOUNT": "5", "KMP_BLOCKTIME": "0"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
    ],
)
def test_the_wait_policy_keeps_what_the_user_has_set(given: dict[str, str], expected: dict[str, str]) -> None:
    set_wait_policy(given)
    assert given == expected


def test_the_command_sets_the_wait_policy_before_torch_is_loaded() -> None:
    script = (
        "import os, sys\n"
        "from glassgpt.cli.main import main\n"
        "assert 'torch' not in sys.modules\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    out = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert out.stdout.splitlines()[-1] == "10000 False"


@pytest.mark.parametrize(
    ("files", "quotas"),
    [
        ({"proc": "0::/a", "sys/a/cpu.max": "150000 100000", "sys/cpu.max": "max 100000"}, [1.5]),
        (
            {
                "proc": "4:cpu,cpuacct:/\n2:memory:/",
                "sys/cpu/cpu.cfs_quota_us": "200000",
                "sys/cpu/cpu.cfs_period_us": "100000",
            },
            [2.0],
        ),
        ({"proc": "4:cpu:/", "sys/cpu/cpu.cfs_quota_us": "-1", "sys/cpu/cpu.cfs_period_us": "100000"}, []),
        ({}, []),
    ],
)
def test_quotas_of_control_groups(files: dict[str, str], quotas: list[float], tmp_path: Path) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    assert list(cpu_quotas(tmp_path / "proc", tmp_path / "sys")) == [math.inf, *quotas]


def test_a_container_gets_as_many_threads_as_it_may_run(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(4)
    monkeypatch.setattr("glassgpt.threads.cpu_quotas", lambda: iter([math.inf, 1.5]))
    assert default_threads() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert default_threads() == 4


def test_two_slow_steps_are_enough_to_try_fewer_threads() -> None:
    machine, tuner = make()
    machine.seconds = {1: 0.1, 2: 2.0, 4: 4.0}
    machine.run(tuner, 4.5)
    assert tuner.n_threads == 1
