"""Any history of a run: trained, killed, damaged, resumed, verified, in every order Hypothesis thinks of.

The invariant: the newest step that verifies is bit-equal to the same step of an unbroken run, and no step
is lost but those that the history damaged.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from faults.crash import DISK_FULL, KILL_BEFORE, KILL_WITHIN, Fault, Server, Weights, newest, weights_of
from glassgpt.checkpoint import CorruptCheckpoint, steps, verify_step


class Histories(RuleBasedStateMachine):
    """One run folder, and what is known of it."""

    server: Server
    reference: dict[str, Weights]
    tried = 0
    events: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        Histories.tried += 1
        self.folder = tempfile.TemporaryDirectory()
        self.run = Path(self.folder.name) / "run"
        assert self.server.train(self.run, Fault(str(self.run), KILL_BEFORE, 120)).code == -signal.SIGKILL
        self.expected = newest(self.run)[0]
        assert self.expected

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(number=st.integers(1, 200), mode=st.sampled_from([KILL_BEFORE, KILL_WITHIN]))
    def resume_and_be_killed(self, number: int, mode: int) -> None:
        self.events["kills by call"] += 1
        ended = self.server.resume(self.run, Fault(str(self.run), mode, number))
        assert not ended.crashed, ended.output

    @rule(
        delay_ms=st.integers(0, 300), number=st.sampled_from([signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
    )
    def resume_and_be_signalled(self, delay_ms: int, number: signal.Signals) -> None:
        self.events["signals"] += 1
        process = self.server.spawn(["train", "--resume", str(self.run)])
        time.sleep(delay_ms / 1000)
        os.kill(process[0], number)
        self.server.wait(process)

    @rule(number=st.integers(1, 200))
    def resume_on_a_full_disk(self, number: int) -> None:
        self.events["full disks"] += 1
        self.server.resume(self.run, Fault(str(self.run), DISK_FULL, number))

    @rule()
    def resume(self) -> None:
        self.events["resumes"] += 1
        ended = self.server.resume(self.run)
        assert ended.went_on, ended.output
        assert newest(self.run)[0] == max(self.reference)

    @rule()
    def verify(self) -> None:
        self.events["verifications"] += 1
        ended = self.server.wait(self.server.spawn(["verify", str(self.run)]))
        assert ended.code in (0, 1) and not ended.crashed, ended.output
        assert self.expected in ended.output, ended.output

    @rule(file=st.integers(0, 3), position=st.floats(0, 1, exclude_max=True), cut=st.booleans())
    def damage_the_newest(self, file: int, position: float, cut: bool) -> None:
        """One step at least stays whole: what has lost all of them is lost."""
        if self.n_whole() < 2:  # no precondition: what a signal interrupted is not the same each time
            return
        path = sorted(steps(self.run / "checkpoints")[0].iterdir())[file]
        content = bytearray(path.read_bytes())
        if not content:
            return
        self.events["damages"] += 1
        if cut:
            del content[int(position * len(content)) :]
        else:
            content[int(position * len(content))] ^= 0x40
        path.write_bytes(content)
        self.expected = newest(self.run)[0]

    @invariant()
    def the_newest_step_is_right(self) -> None:
        name, _ = newest(self.run)
        assert name >= self.expected, f"{self.expected} was there, now {name or 'nothing'} is"
        assert weights_of(self.run / "checkpoints" / name) == self.reference[name]
        self.expected = name

    def n_whole(self) -> int:
        whole = 0
        for step in steps(self.run / "checkpoints"):
            try:
                verify_step(step)
            except CorruptCheckpoint:
                continue
            whole += 1
        return whole


def time_one_batch(
    server: Server, reference: dict[str, Weights], n: int, n_events: int, always: bool
) -> None:
    """Histories of some events each; `always` the same ones, or new ones each time."""
    Histories.server, Histories.reference = server, reference
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=n,
            stateful_step_count=n_events,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            phases=[Phase.generate],  # no shrinking: each example starts processes
            database=None,
            derandomize=always,
        ),
    )


@pytest.fixture
def tally() -> Iterator[type[Histories]]:
    """The class that counts, from zero."""
    Histories.tried, Histories.events = 0, Counter()
    yield Histories


def test_some_histories(
    server: Server, reference: dict[str, Weights], tally: type[Histories], count: Callable[[str], None]
) -> None:
    time_one_batch(server, reference, n=3, n_events=6, always=True)
    count(f"histories: {tally.tried} of several events each, the newest step right after every event")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(4))
def test_any_history(
    server: Server,
    reference: dict[str, Weights],
    tally: type[Histories],
    part: int,
    count: Callable[[str], None],
) -> None:
    """Ten minutes in four parts."""
    began = time.monotonic()
    while (spent := time.monotonic() - began) < 150:
        time_one_batch(server, reference, n=20, n_events=15, always=False)
    events = ", ".join(f"{n} {name}" for name, n in sorted(tally.events.items()))
    count(
        f"histories, part {part + 1} of 4: {tally.tried} in {spent:.0f} s ({events}), the newest step right "
        "after every event"
    )
