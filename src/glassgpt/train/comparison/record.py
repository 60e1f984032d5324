"""The record of a comparison: what was asked, what is known of the arms, and each loss as it comes.

One file, replaced atomically after each training. With the folders of unfinished trainings it is all that the
same command needs to go on after a kill.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from glassgpt.checkpoint import write_json
from glassgpt.errors import UserError, cannot_write
from glassgpt.safe_io import damaged, read_json
from glassgpt.train.comparison.trial import Rehearsal

FORMAT = 1
FILE = "comparison.json"


@dataclass
class Record:
    """The request, the facts about each arm, and the losses so far: by arm, then by seed."""

    asked: dict[str, Any]
    arms: dict[str, Rehearsal] = field(default_factory=dict)
    losses: dict[str, dict[int, float]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, asked: dict[str, Any]) -> Self:
        """Read the record of a folder, or make a new one.

        Raises UserError if the folder holds another comparison, or something else.
        """
        asked = json.loads(json.dumps(asked, default=str))
        file = folder / FILE
        if not file.exists():
            if folder.exists() and any(not each.name.startswith(".lock") for each in folder.iterdir()):
                raise UserError("{folder} is not empty. Choose another `out`.", folder=folder)
            return cls(asked)
        stored = cls.read(folder)
        if stored.asked != asked:
            keys = [key for key in {**stored.asked, **asked} if stored.asked.get(key) != asked.get(key)]
            raise UserError(
                "{folder} holds a comparison with other {keys}. Choose another `out`.",
                folder=folder,
                keys=", ".join(keys),
            )
        return stored

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the record of a folder. Raises UserError if it is damaged."""
        stored = read_json(folder / FILE)
        try:
            if stored["format"] != FORMAT:
                raise ValueError(f"format {stored['format']!r} is not supported, only {FORMAT}")
            arms = {name: Rehearsal.from_dict(each) for name, each in stored["arms"].items()}
            losses = {
                name: {int(seed): float(loss) for seed, loss in by_seed.items()}
                for name, by_seed in stored["losses"].items()
            }
            return cls(stored["asked"], arms, losses)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(folder / FILE, str(error)) from error

    def save(self, folder: Path) -> None:
        """Replace the file. It is on disk when this returns."""
        arms = {name: arm.to_dict() for name, arm in self.arms.items()}
        value = {"format": FORMAT, "asked": self.asked, "arms": arms, "losses": self.losses}
        try:
            write_json(folder / FILE, value)
        except OSError as error:
            raise cannot_write(folder, error) from error

    def pairs(self, names: list[str], seeds: list[int]) -> list[tuple[float, ...]]:
        """Return the losses of these arms for each leading seed with which all of them were trained."""
        found = []
        for seed in seeds:
            losses = [self.losses.get(name, {}).get(seed) for name in names]
            if None in losses:
                break
            found.append(tuple(loss for loss in losses if loss is not None))
        return found
