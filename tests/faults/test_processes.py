"""Two processes that train one run: one of them dies, in any phase, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.crash import MODEL, TEXT, TRAIN, Weights, newest, toml, weights_of
from faults.rank import PLACES
from helpers.commands import run as command

pytestmark = [pytest.mark.dist, pytest.mark.timeout(900)]
LIMIT_S = 240.0
"""Longest time of a run, whose process dies. Waiting for a dead one takes gloo half an hour."""
FAST = (0, "saving", 2)
FIRST_ONLY = {"preparing", "sampling", "copying", "saving"}
OTHERS_ONLY = {"joining"}
LATER = {"gradient": 4, "adding": 7, "updating": 4, "agreeing": 9, "evaluating": 2, "saving": 2, "copying": 2}
"""Which time a function is entered, where the first is not the phase that is meant."""
ALL = [
    (rank, place, LATER.get(place, 1))
    for rank in (0, 1)
    for place in PLACES
    if place != "loading" and place not in (OTHERS_ONLY if rank == 0 else FIRST_ONLY)
]


@dataclass(frozen=True)
class Group:
    """What is trained, by two processes."""

    folder: Path
    config: Path

    def start(self, *arguments: object, fate: str = "") -> subprocess.Popen[str]:
        """`glassgpt ARGUMENTS` under torchrun."""
        fates = {"FATE": fate} if fate else {}
        search = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        return subprocess.Popen(
            [sys.executable, *torchrun, str(Path(__file__).with_name("rank.py")), *map(str, arguments)],
            env=os.environ | fates | {"OMP_NUM_THREADS": "1", "PYTHONPATH": search},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: object, fate: str = "") -> tuple[int, str, float]:
        """Exit code, output and seconds of a run."""
        began = time.monotonic()
        process = self.start(*arguments, fate=fate)
        try:
            output, _ = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
        return process.returncode, output, time.monotonic() - began

    def train(self, run: Path, fate: str = "") -> tuple[int, str, float]:
        """A new run."""
        return self.run("train", "--config", self.config, "--out", run, fate=fate)


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    folder = tmp_path_factory.mktemp("group")
    (folder / "text.txt").write_text(TEXT, "utf-8")
    settings = {"data": {"sources": [str(folder / "text.txt")]}, "model": MODEL, "train": TRAIN}
    config = folder / "config.toml"
    config.write_text(toml(settings), "utf-8")
    return Group(folder, config)


@pytest.fixture(scope="module")
def unbroken(group: Group) -> Weights:
    code, output, _ = group.train(group.folder / "unbroken")
    assert code == 0, output
    return last(group.folder / "unbroken")


def last(run: Path) -> Weights:
    name, problems = newest(run)
    assert name == "step-0000000006" and not problems
    return weights_of(run / "checkpoints" / name)


def assert_ends_as_if_unbroken(group: Group, run: Path, unbroken: Weights) -> None:
    """Resumed, or begun anew where nothing had been trained."""
    if newest(run)[0]:
        code, output, _ = group.run("resume", run)
        assert code == 0 or "is finished" in output, output
    else:
        code, output, _ = group.train(run.with_name(run.name + "-again"))
        assert code == 0, output
        run = run.with_name(run.name + "-again")
    assert last(run) == unbroken


@pytest.mark.slow
def test_the_same_weights_each_time(group: Group, unbroken: Weights) -> None:
    code, output, _ = group.train(group.folder / "twice")
    assert code == 0, output
    assert last(group.folder / "twice") == unbroken


@pytest.mark.parametrize(
    ("rank", "place", "nth"),
    [pytest.param(*each, marks=[] if each == FAST else pytest.mark.slow) for each in ALL],
)
def test_one_dies(
    group: Group, unbroken: Weights, rank: int, place: str, nth: int, count: Callable[[str], None]
) -> None:
    run = group.folder / f"{place}-{rank}-{nth}"
    code, output, seconds = group.train(run, fate=f"{rank} {place} {nth}")
    assert code != 0 and "SIGKILL" in output.upper().replace("SIGNAL 9 (SIGKILL)", "SIGKILL"), output
    assert seconds < LIMIT_S
    assert_ends_as_if_unbroken(group, run, unbroken)
    count(f"process {rank} of 2 killed while {place}: all had ended {seconds:.1f} s after the start, 0 lost")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_one_dies_while_it_resumes(group: Group, unbroken: Weights, rank: int) -> None:
    run = group.folder / f"resumed-{rank}"
    group.train(run, fate="1 updating 4")
    code, output, _ = group.run("resume", run, fate=f"{rank} loading 1")
    assert code != 0, output
    assert_ends_as_if_unbroken(group, run, unbroken)


def process_id(torchrun: int, rank: int) -> int:
    """Process of this rank, by what torchrun has put into its environment."""
    children = Path(f"/proc/{torchrun}/task/{torchrun}/children").read_text().split()
    wanted = f"RANK={rank}".encode()
    (found,) = (
        each for each in children if wanted in Path(f"/proc/{each}/environ").read_bytes().split(b"\0")
    )
    return int(found)


@pytest.mark.parametrize("rank", [pytest.param(None, marks=pytest.mark.slow), 1])
def test_a_signal_stops_all_of_them_at_one_step(group: Group, rank: int | None) -> None:
    """Also where one process alone gets it."""
    if rank is not None and not Path("/proc/self/task").exists():
        pytest.skip("asks Linux for the processes")
    run = group.folder / f"stopped-{rank}"
    process = group.start("train", "--config", group.config, "--out", run, "--steps", 100_000, "--evals", 1)
    deadline = time.monotonic() + LIMIT_S
    while not (run / "metrics.jsonl").exists() or (run / "metrics.jsonl").stat().st_size < 2_000:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    os.kill(process.pid if rank is None else process_id(process.pid, rank), signal.SIGTERM)
    output, _ = process.communicate(timeout=LIMIT_S)
    assert "everything is saved" in output, output
    name, problems = newest(run)
    assert name and not problems
    step = int(name.removeprefix("step-"))
    command(group.folder, "resume", str(run), "--steps", str(step + 3))  # one process goes on alone
    assert newest(run)[0] == f"step-{step + 3:010d}"
