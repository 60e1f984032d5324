"""What all tests share: the real data where it is at hand, and counts that are printed at the end."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from glassgpt.tasks import counted

COUNTS = pytest.StashKey[list[str]]()

settings.register_profile("patient", deadline=None)  # other work on the machine must not fail a test
settings.load_profile("patient")


def _heed_signals() -> None:
    """Undo what a script or nohup has set: processes that tests start inherit ignored signals."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


_heed_signals()


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Counted baselines of other versions, or of the user, must not decide a test."""
    before = counted.user_cache_path
    folder = tmp_path_factory.mktemp("cache")
    counted.user_cache_path = lambda _: folder  # pyright: ignore
    yield
    counted.user_cache_path = before


@pytest.fixture(autouse=True, scope="session")
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Commands of tests, in processes of their own too, leave the user's progress alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts without a --seed are the same ones each time: a test must not depend on its luck."""
    torch.manual_seed(0)
    drawn = random.Random(0)
    monkeypatch.setattr(random, "SystemRandom", lambda: drawn)


@pytest.fixture
def cpu_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clocks count the CPU time of a thread: other work on the machine takes none of it."""
    monkeypatch.setattr(time, "monotonic", time.thread_time)
    monkeypatch.setattr(time, "perf_counter", time.thread_time)


@pytest.fixture(scope="module")
def small_datasets() -> Iterator[None]:
    """The built-in datasets with a part of their examples: commands are what is tested."""
    from glassgpt.data.datasets import dates, registry, scenes

    quick = partial(scenes.make_scenes, n_train=600, n_held_out=50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.BUILT_IN, "scenes", registry.Dataset("captioner", quick))
        patch.setattr(dates, "N_TRAIN", 20_000)
        patch.setattr(dates, "N_VAL", 100)
        patch.setattr(dates, "N_TEST", 100)
        yield


@pytest.fixture(scope="module")
def known_speed() -> Iterator[None]:
    """The autopilot takes the seconds of a training step from its table, and times none."""
    from glassgpt.train.autopilot import decision
    from glassgpt.train.autopilot.recipe import Recipe
    from glassgpt.train.autopilot.speed import prior_seconds

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            decision, "time_step", lambda config, n_vocab, _: prior_seconds(Recipe.of(config), n_vocab)
        )
        yield


@pytest.fixture(scope="module")
def remembered_climbs() -> Iterator[None]:
    """The chapter `ladder` trains its models once a test file: its views differ, its figures do not."""
    from glassgpt.explain.chapters import ladder

    climb_all, known = ladder.climb_all, {}

    def remembered(n_vocab: int, train: torch.Tensor, val: torch.Tensor, seed: int) -> object:
        if (n_vocab, seed) not in known:
            known[n_vocab, seed] = climb_all(n_vocab, train, val, seed)
        return known[n_vocab, seed]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ladder, "climb_all", remembered)
        yield


@pytest.fixture(scope="session")
def shakespeare_file() -> Path:
    """The real tinyshakespeare; the test is skipped where `GLASSGPT_DATA` does not lead to it."""
    path = Path(os.environ.get("GLASSGPT_DATA") or "missing") / "tinyshakespeare.txt"
    if not path.is_file():
        pytest.skip("tinyshakespeare.txt is not in $GLASSGPT_DATA")
    return path


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Notes a line for the summary after the tests."""
    return request.config.stash.setdefault(COUNTS, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := config.stash.get(COUNTS, []):
        terminalreporter.section("counts")
        for line in lines:
            terminalreporter.write_line(line)
