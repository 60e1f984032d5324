"""Any history of a run: trained, killed, damaged, resumed, in every order that Hypothesis can think of.

The invariant: the newest step that verifies is bit-equal to the same step of an unbroken run, and no step
is lost but those that the history damaged.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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
from glassgpt.checkpoint import BadStep, steps, verify_step


class Histories(RuleBasedStateMachine):
    """One run folder, and what is known of it."""

    server: Server
    reference: dict[str, Weights]
    tried = 0

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
        ended = self.server.resume(self.run, Fault(str(self.run), mode, number))
        assert not ended.crashed, ended.output

    @rule(
        delay_ms=st.integers(0, 300), number=st.sampled_from([signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
    )
    def resume_and_be_signalled(self, delay_ms: int, number: signal.Signals) -> None:
        process = self.server.spawn(["train", "--resume", str(self.run)])
        time.sleep(delay_ms / 1000)
        os.kill(process[0], number)
        self.server.wait(process)

    @rule(number=st.integers(1, 200))
    def resume_on_a_full_disk(self, number: int) -> None:
        self.server.resume(self.run, Fault(str(self.run), DISK_FULL, number))

    @rule()
    def resume(self) -> None:
        ended = self.server.resume(self.run)
        assert ended.went_on, ended.output
        assert newest(self.run)[0] == max(self.reference)

    @rule(file=st.integers(0, 3), position=st.floats(0, 1, exclude_max=True), cut=st.booleans())
    def damage_the_newest(self, file: int, position: float, cut: bool) -> None:
        """One step at least stays whole: what has lost all of them is lost."""
        if self.n_whole() < 2:  # no precondition: what a signal interrupted is not the same each time
            return
        path = sorted(steps(self.run / "checkpoints")[0].iterdir())[file]
        content = bytearray(path.read_bytes())
        if not content:
            return
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
            except BadStep:
                continue
            whole += 1
        return whole


@pytest.mark.parametrize("n", [3, pytest.param(160, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_any_history(
    server: Server, reference: dict[str, Weights], n: int, count: Callable[[str], None]
) -> None:
    Histories.server, Histories.reference, Histories.tried = server, reference, 0
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=n,
            stateful_step_count=6 if n < 10 else 15,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            phases=[Phase.generate],  # no shrinking: each example starts processes
            database=None,
            derandomize=n < 10,
        ),
    )
    count(f"histories: {Histories.tried} of several events each, the newest step right after every event")
