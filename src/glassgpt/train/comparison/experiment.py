"""Arms trained in turn with the same seeds: the loop behind `compare` and `sweep`.

Pair by pair, each arm is trained with the next seed, in turning order (A B, B A, A B, …), so that a machine
that gets slower or warmer treats them alike.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glassgpt.checkpoint import Run, acquire_lock
from glassgpt.config import Layer, Tables
from glassgpt.diagnose import MAX_PAIRS
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.train.comparison.arms import layers
from glassgpt.train.comparison.record import FILE, Record
from glassgpt.train.comparison.trial import Rehearsal, begin, held_out_loss, rehearse
from glassgpt.train.events import Event, Stage
from glassgpt.train.session import Session

LENGTH_UNITS = ("minutes", "steps", "tokens", "flops")


@dataclass(frozen=True)
class TrialBegan(Event):
    """A training of a comparison has begun, or goes on. pair: from 1."""

    kind = "trial"
    arm: str
    pair: int
    seed: int


@dataclass(frozen=True)
class TrialMeasured(Event):
    """A training of a comparison is done. loss: nats per character of the held-out text."""

    kind = "trial_loss"
    arm: str
    pair: int
    seed: int
    loss: float
    seconds: float


def enough_never(pairs: Sequence[tuple[float, ...]]) -> bool:
    """Train all planned pairs."""
    return False


@dataclass
class Experiment:
    """Arms, trained with the same seeds for an equal length, and recorded in a folder.

    arms: settings by name; the first one is the reference. base: settings of all arms. length: one of
    `minutes`, `steps`, `tokens` and `flops`, or {} to keep each arm's own. pairs: seeds, from `seed` on.
    held_out: a text to measure all arms on. keep: keep the runs. enough: called after each pair, ends the
    experiment early.
    """

    arms: dict[str, Tables]
    base: Tables = field(default_factory=dict)
    length: dict[str, float] = field(default_factory=dict)
    pairs: int = 8
    seed: int = 1337
    held_out: Path | None = None
    keep: bool = False
    out: Path | str | None = None
    enough: Callable[[Sequence[tuple[float, ...]]], bool] = enough_never
    session: Session | None = field(default=None, init=False)
    """The training that runs now."""
    training: str = field(default="", init=False)
    """The arm that is trained now."""

    def __post_init__(self) -> None:
        self.held_out = self.held_out and Path(self.held_out)  # a string is fine, too
        if not 1 <= self.pairs <= MAX_PAIRS:
            raise UserError(
                "`pairs`: {pairs} is out of range. Give 1 to {max_pairs}; 8 is usual.",
                pairs=self.pairs,
                max_pairs=MAX_PAIRS,
            )
        wrong = self.length.keys() - set(LENGTH_UNITS)
        if wrong or len(self.length) > 1 or any(amount <= 0 for amount in self.length.values()):
            got = ", ".join(f"{name}={amount}" for name, amount in self.length.items())
            raise UserError(
                "length: got {got}. Give one positive number of {length_units}.",
                got=got,
                length_units=", ".join(LENGTH_UNITS),
            )
        if self.held_out is not None and not self.held_out.is_file():
            raise UserError(
                "{held_out}: no such file. `held_out` is a text to measure all arms on.",
                held_out=self.held_out,
            )
        self.record = Record(self.asked)

    @property
    def asked(self) -> dict[str, Any]:
        """The request: the same experiment has the same folder, and continues there."""
        return {
            "arms": self.arms,
            "settings": self.base,
            "length": self.length,
            "pairs": self.pairs,
            "seed": self.seed,
            "held_out": None if self.held_out is None else str(self.held_out),
        }

    @property
    def folder(self) -> Path:
        """Folder of the record: `out`, or below `comparisons/` by a hash of what was asked."""
        if self.out is not None:
            return Path(self.out)
        text = json.dumps(self.asked, sort_keys=True, default=str)
        return Path("comparisons") / hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def seeds(self) -> list[int]:
        """Seeds of all planned pairs."""
        return list(range(self.seed, self.seed + self.pairs))

    @property
    def names(self) -> list[str]:
        """Names of the arms, the reference first."""
        return list(self.arms)

    @property
    def losses(self) -> list[tuple[float, ...]]:
        """Losses of all arms, in the order of `names`, for each finished pair."""
        return self.record.pairs(self.names, self.seeds)

    @property
    def is_done(self) -> bool:
        """True if nothing is left to train."""
        losses = self.losses
        return len(losses) == self.pairs or (bool(losses) and self.enough(losses))

    @property
    def notes(self) -> list[str]:
        """Remarks for the reader of the result: what the arms share, and notes about their data."""
        arms = [self.record.arms[name] for name in self.names if name in self.record.arms]
        common = [note for note in arms[0].notes if all(note in arm.notes for arm in arms)] if arms else []
        found = list(common)
        for name, arm in zip(self.names, arms, strict=False):
            found += [N_("{name}: {note}", name=name, note=note) for note in arm.notes if note not in common]
            if arm.shared < 1:
                found.append(
                    N_(
                        "{share:.0f} % of the weights of {name} begin as in {reference}",
                        share=100 * arm.shared,
                        name=name,
                        reference=self.names[0],
                    )
                )
        if len({_order(arm) for arm in arms}) > 1:
            found.append(
                N_("the arms read the text in different order: their tokens, blocks or sources differ")
            )
        return found

    def run(self) -> Iterator[Event]:
        """Train what is missing; yield events. A stop of `session` ends it; the same call goes on later.

        Raises UserError while another process works in the folder.
        """
        if (self.folder / FILE).exists():
            self.record = Record.open(self.folder, self.asked)
            if self.is_done:
                return
        lock = acquire_lock(self.folder)
        try:
            self.record = Record.open(self.folder, self.asked)
            yield from self._rehearse()
            for at, seed in enumerate(self.seeds, start=1):
                for name in self.names if at % 2 else reversed(self.names):
                    yield from self._train(name, at, seed)
                    if self.session is not None:  # stopped
                        return
                if self.is_done:
                    return
        finally:
            lock.release(force=True)

    def _rehearse(self) -> Iterator[Event]:
        """Look at each arm before any training."""
        for name in self.names:
            if name in self.record.arms:
                continue
            yield Stage(N_("preparing {name}", name=name))
            folder = self.folder / f"{_slug(name)}-rehearsal"
            self.record.arms[name] = rehearse(
                self._layers(name, self.seed, rehearsal=True),
                folder,
                lambda _: None,
                first=self.record.arms.get(self.names[0]),
                held_out=self.held_out,
                count_flops="flops" in self.length,
            )
        texts = {arm.text for arm in self.record.arms.values()}
        if len(texts) > 1 and self.held_out is None:
            raise UserError(
                "the arms hold out different texts, so their losses cannot be compared. Name one text to "
                "measure all of them on (`held_out`), which none of them learns from."
            )
        self.record.save(self.folder)

    def _train(self, name: str, pair: int, seed: int) -> Iterator[Event]:
        """Train one arm with one seed, unless that is done; record its loss."""
        if seed in self.record.losses.get(name, {}):
            return
        path, began = self.folder / f"{_slug(name)}-{seed}", time.monotonic()
        self.training = name
        yield TrialBegan(name, pair, seed)
        first = None if name == self.names[0] else self.record.arms[self.names[0]]
        self.session = begin(path, self._layers(name, seed), first)
        if self.session is not None:
            yield from self.session.run()
            if self.session.trainer.stopping:
                return
            self.session = None
        loss = held_out_loss(Run.open(path), self.held_out)
        self.record.losses.setdefault(name, {})[seed] = loss
        self.record.save(self.folder)
        if not self.keep:
            shutil.rmtree(path, ignore_errors=True)
        yield TrialMeasured(name, pair, seed, loss, time.monotonic() - began)

    def _layers(self, name: str, seed: int, rehearsal: bool = False) -> list[Layer]:
        """Return the settings of one training."""
        length: dict[str, Any] = dict(self.length)
        if flops := length.pop("flops", None):
            n = 1 if rehearsal else self.record.arms[name].step_flops
            length = {"steps": 1 if rehearsal or not n else max(1, round(flops / n))}
        return layers(self.base, self.arms[name], length, seed)


def _slug(name: str) -> str:
    """Return a name as one for a folder."""
    return "".join(c if c.isalnum() or c in "-_.=" else "-" for c in name)


def _order(arm: Rehearsal) -> tuple[Any, ...]:
    """Return everything but the seed that decides in which order an arm reads its text."""
    config = arm.config
    return (arm.n_vocab, config["model"]["block_size"], str(config["data"]), str(config["tokenizer"]))
