"""A process that dies at any moment: at every system call of its saves, or whenever a signal comes."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.calls import n_calls
from faults.crash import (
    KILL_BEFORE,
    KILL_WITHIN,
    Ended,
    Fault,
    Server,
    Weights,
    assert_ends_like,
    newest,
    stale_files,
    weights_of,
)

Count = Callable[[str], None]
LONG = ["--steps", "40", "--save-minutes", "5"]
"""A run that saves where it evaluates and at its end, so that a stop has a state of its own to save."""


def assert_whole_and_resumable(run: Path, server: Server, reference: dict[str, Weights]) -> bool:
    """What has a step's name is whole, and training goes on from it. False: nothing was saved yet."""
    name, problems = newest(run)
    assert not problems
    if name:
        assert weights_of(run / "checkpoints" / name) == reference[name]
    ended = server.resume(run)
    if not name:
        assert ended.code == 2 and not ended.crashed, ended.output
        return False
    assert ended.went_on, ended.output
    assert_ends_like(run, reference)
    assert stale_files(run) == []
    return True


@pytest.mark.parametrize(
    "share", [0.03, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_a_kill_at_any_system_call(
    server: Server, reference: dict[str, Weights], tmp_path: Path, share: float, count: Count
) -> None:
    """Before the call, and in the midst of it where it writes."""
    server.train(tmp_path / "whole", Fault(str(tmp_path / "whole"), log=str(tmp_path / "log")))
    calls = n_calls(tmp_path / "log")
    points = [(number, mode) for number in range(1, calls + 1) for mode in (KILL_BEFORE, KILL_WITHIN)]
    points = random.Random(0).sample(points, int(share * len(points)))
    killed = resumed = 0
    for number, mode in points:
        run = tmp_path / f"{number}-{mode}"
        killed += server.train(run, Fault(str(run), mode, number)).code == -signal.SIGKILL
        resumed += assert_whole_and_resumable(run, server, reference)
    assert killed >= 0.95 * len(points)  # the number of calls varies a little with the threads' turns
    assert resumed >= 0.5 * len(points)
    count(
        f"kill at a system call: {killed} points, {resumed} after a first save and resumed bit-equal, 0 lost"
    )


@pytest.mark.parametrize("n", [5, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_kills_at_random_times(
    server: Server, reference: dict[str, Weights], tmp_path: Path, n: int, count: Count
) -> None:
    """The same run is killed again and again as it is resumed, until it ends; then the next."""
    dice, killed, runs = random.Random(n), 0, 0
    began = time.monotonic()
    assert server.train(tmp_path / "unbroken").code == 0
    duration = time.monotonic() - began
    while killed < n:
        run = tmp_path / f"{runs}"
        ended = _killed_after(server, server.training(run), dice.uniform(0.3, 1) * duration)
        # As the machine gets busier or idler: most kills should come after a first save and before the end.
        duration *= 0.9 if ended.code == 0 else 1.1 if not newest(run)[0] else 1
        while ended.code != 0:
            assert ended.code == -signal.SIGKILL, ended.output
            killed += 1
            if not (name := newest(run)[0]):
                break
            assert weights_of(run / "checkpoints" / name) == reference[name]
            ended = _killed_after(server, ["train", "--resume", str(run)], dice.uniform(0.1, 1) * duration)
            if ended.went_on:
                break
        runs += 1
        if newest(run)[0]:
            assert_whole_and_resumable(run, server, reference)
    count(f"kill -9 at random times: {killed} kills over {runs} runs, 0 lost")


def _killed_after(server: Server, arguments: list[str], delay_s: float) -> Ended:
    pid, output = server.spawn(arguments)
    time.sleep(delay_s)
    os.kill(pid, signal.SIGKILL)
    return server.wait((pid, output))


@pytest.mark.parametrize("n", [3, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_a_request_to_stop_at_random_times(server: Server, tmp_path: Path, n: int, count: Count) -> None:
    """Every step that was trained is saved, the exit code says why, and the resumed run ends the same."""
    assert server.train(tmp_path / "whole", None, *LONG).code == 0
    last = newest(tmp_path / "whole")[0]
    expected = {last: weights_of(tmp_path / "whole/checkpoints" / last)}
    dice, stopped, tried = random.Random(n), 0, 0
    while stopped < n and tried < 3 * n:
        run, tried = tmp_path / f"{tried}", tried + 1
        process = server.spawn(server.training(run, *LONG))
        while not (run / "metrics.jsonl").is_file():
            time.sleep(0.001)
        time.sleep(dice.uniform(0, 0.3))
        has_step = bool((run / "metrics.jsonl").read_text())
        os.kill(process[0], signal.SIGTERM)
        ended = server.wait(process)
        if ended.code in (0, -signal.SIGTERM):  # it had ended, or was about to
            assert_ends_like(run, expected)
            continue
        assert ended.code == 143 and not ended.crashed, ended.output
        if not run.exists():  # it was stopped before its first step, which leaves nothing behind
            assert not has_step
            continue
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        trained = max((row["step"] for row in rows if row["event"] == "step"), default=0)
        assert newest(run) == (f"step-{trained:010d}", [])
        ended = server.resume(run)
        assert ended.went_on, ended.output
        assert_ends_like(run, expected)
        stopped += 1
    assert stopped == n
    count(f"SIGTERM at random times: {stopped} of {tried} tries hit the training, 0 steps lost")
