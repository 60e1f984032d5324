"""From older formats of a step to today's, one number at a time. Empty until there is a second format.

Whoever changes what a step holds raises FORMAT, adds the way there under the old number, and leaves the run
of the old format in `tests/golden`, which must go on loading to the same logits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from glassgpt.checkpoint.untrusted import quoted
from glassgpt.errors import UserError

FORMAT = 1
"""What is written today."""

State = dict[str, Any]
Tensors = dict[str, Tensor]


def _state_as_it_is(state: State) -> State:
    return state


def _tensors_as_they_are(stem: str, tensors: Tensors) -> Tensors:
    return tensors


@dataclass(frozen=True)
class Migration:
    """One format to the next: what becomes of state.json, and of the tensors of the file of that stem."""

    state: Callable[[State], State] = _state_as_it_is
    tensors: Callable[[str, Tensors], Tensors] = _tensors_as_they_are


MIGRATIONS: dict[int, Migration] = {}
"""By the format that is left behind."""


def path_from(version: int) -> list[Migration]:
    """The migrations from a format to today's, in order. Raises UserError where there is no way."""
    if version > FORMAT:
        raise UserError(
            f"format {quoted(version)} is newer than {FORMAT}, the newest that this version reads: "
            "update it with pip install --upgrade glassgpt"
        )
    if version < 1 or any(number not in MIGRATIONS for number in range(version, FORMAT)):
        raise UserError(
            f"format {quoted(version)} is not known; formats 1 to {FORMAT} are: use the version that wrote it"
        )
    return [MIGRATIONS[number] for number in range(version, FORMAT)]


def migrate_state(state: State, version: int) -> State:
    """state.json as today's code expects it."""
    for migration in path_from(version):
        state = migration.state(state)
    return {**state, "format": FORMAT}


def migrate_tensors(stem: str, tensors: Tensors, version: int) -> Tensors:
    """The tensors of one file as today's code expects them."""
    for migration in path_from(version):
        tensors = migration.tensors(stem, tensors)
    return tensors
