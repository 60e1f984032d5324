"""Baselines of a text, counted once and kept: in the user's cache, by the hash of the text.

The hash of the code that counts is part of a file's name, so another version counts again. A file that cannot
be read is counted again, too.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

import glassgpt.diagnose
import glassgpt.tokenizers
from glassgpt.checkpoint import make_folder, write_json
from glassgpt.data import Corpus
from glassgpt.diagnose import FULL, Limits, Score, baselines, limits
from glassgpt.errors import UserError
from glassgpt.interrupts import run_in_thread
from glassgpt.safe_io import read_json

COUNTING_SHARE = 0.1
"""Share of a run's minutes that counting may take; more text is not counted, and the rows say so."""
MAX_FILES = 500


def text_scores(corpus: Corpus, minutes: float | None = None) -> list[Score]:
    """Return the baselines of running text, counted or from the cache.

    minutes: length of the run, which bounds the counting; None for as much text as is ever counted. A count
    of more text is preferred where the cache has one.
    """
    return _counted(corpus, minutes) if minutes else _counted_within(corpus, FULL)


def _counted(corpus: Corpus, minutes: float) -> list[Score]:
    """Return the baselines as far as a run of so many minutes allows on the machine as it is now."""
    seconds, n_val = 60 * COUNTING_SHARE * minutes, corpus.val.n_bytes
    for bounds in (FULL, limits(seconds, n_val), *_latest_bounds[-1:]):
        if (scores := _read(_limits_file(corpus, bounds), corpus)) is not None:
            return scores
    _latest_bounds[:] = [limits(seconds / 2 ** halvings(crowding()), n_val)]
    return _counted_within(corpus, _latest_bounds[0])


def counting_bytes(minutes: float | None, passes: float = 1.0) -> int:
    """Return how much training text a run of so many minutes may count, on the machine as it is now.

    passes: how often the text is counted, in passes of the n-grams of running text. Without a clock, as much
    as is ever counted.

    >>> counting_bytes(None), counting_bytes(0.2, passes=8)
    (16777216, 262144)
    """
    if not minutes:
        return FULL.ngram_bytes
    seconds = 60 * COUNTING_SHARE * minutes / 2 ** halvings(crowding())
    return limits(seconds / passes, n_val_bytes=0).ngram_bytes


_latest_bounds: list[Limits] = []
"""Limits of this process's latest count: the same run asks again, when the machine may be less crowded."""


def _counted_within(corpus: Corpus, bounds: Limits) -> list[Score]:
    """Return the baselines within these limits, from the cache or counted."""
    file = _limits_file(corpus, bounds)
    scores = _read(file, corpus)
    return scores if scores is not None else _keep(file, run_in_thread(baselines, corpus, bounds))


def crowding(seconds: float = 0.1) -> float:
    """Return the time of some work as a multiple of its CPU time: about 2 if two programs share a core.

    seconds: CPU time to measure.
    """
    began, cpu = time.monotonic(), time.thread_time()
    numbers = np.arange(1 << 16)[::-1]
    while (used := time.thread_time() - cpu) < seconds:
        np.sort(numbers)
    return max(1.0, (time.monotonic() - began) / used)


def halvings(crowding: float) -> int:
    """Return how often to halve a count on a crowded machine; whole halves, so that counts are found again.

    >>> [halvings(x) for x in (1.0, 1.9, 2.1, 5.0)]
    [0, 0, 1, 2]
    """
    return int(math.log2(max(1.0, crowding)))


def _limits_file(corpus: Corpus, bounds: Limits) -> Path:
    """Return the file of the cache for a count within these limits."""
    return _file(corpus, [f"{min(n, corpus.train.n_bytes)}" for n in bounds])


def kept(corpus: Corpus, name: Sequence[str], count: Callable[[], list[Score]]) -> list[Score]:
    """Return other scores of a text from the cache, or count them.

    name: all that decides them besides the text, as strings or hashes.
    """
    file = _file(corpus, name)
    scores = _read(file, None)
    return scores if scores is not None else _keep(file, run_in_thread(count))


def array_hash(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's values."""
    return hashlib.sha256(np.ascontiguousarray(array).view(np.uint8).data).hexdigest()


def _file(corpus: Corpus, name: Sequence[str]) -> Path:
    """Return the file for the scores of this text."""
    about = {key: value for key, value in corpus.manifest().items() if key in ("train", "val", "sha256")}
    digest = hashlib.sha256(json.dumps([about, list(name), _version()], sort_keys=True).encode())
    return user_cache_path("glassgpt") / "baselines" / f"{digest.hexdigest()}.json"


def _version() -> str:
    """Return a hash of the code that counts."""
    digest = hashlib.sha256()
    for package in (glassgpt.diagnose, glassgpt.tokenizers):
        for path in sorted(Path(package.__path__[0]).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(file: Path, corpus: Corpus | None) -> list[Score] | None:
    """Return the scores in a file of the cache; None if there are none that can be used."""
    try:
        if not file.is_file() or _others_may_write(file):
            return None
        scores = [Score.from_dict(row) for row in read_json(file)["scores"]]
        usable = scores and all(math.isfinite(_checksum(score)) for score in scores)
        fits = corpus is None or all(score.n_chars == corpus.val.n_chars for score in scores)
        return scores if usable and fits else None
    except (UserError, OSError, ValueError, KeyError, TypeError, ArithmeticError, AttributeError):
        return None


def _checksum(score: Score) -> float:
    """Return a number that is finite only if all of a score's figures are numbers, and finite."""
    return score.nats_per_char + sum(part for part in score.parts if part is not None)


def _keep(file: Path, scores: list[Score]) -> list[Score]:
    """Write scores to the cache, where it can be written, and return them."""
    with suppress(OSError):
        make_folder(file.parent)
        if not _others_may_write(file.parent):
            write_json(file, {"scores": [score.to_dict() for score in scores]})
            files = sorted(file.parent.glob("*.json"), key=lambda each: each.stat().st_mtime, reverse=True)
            for old in files[MAX_FILES:]:
                old.unlink()
    return scores


def _others_may_write(path: Path) -> bool:
    """True for a link, and for a file or folder that another user owns or may change."""
    about = path.lstat()
    mine = not hasattr(os, "getuid") or about.st_uid == os.getuid()
    return path.is_symlink() or not mine or bool(os.name != "nt" and about.st_mode & 0o022)
