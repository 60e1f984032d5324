"""Activation patching: states of another text put into this one, at chosen positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from glassgpt.config import problem_in_words
from glassgpt.errors import UserError
from glassgpt.hooks import Edit, activation_names, patch
from glassgpt.lens import Trace
from glassgpt.models import Model

STATES = (".resid_pre", ".resid_mid", ".resid_cross", ".resid_post", ".out")
"""Endings of the states that can be patched: (T, C), a row for each position."""
MAX_PATCHES = 256


class Patch(BaseModel):
    """A state of another text, and the place that it is put into."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=1_000_000)
    state: str
    source: int = Field(ge=0)
    """Position in the other text."""
    position: int = Field(ge=0)
    """Position in this text."""


def make_patches(
    model: Model, asked: Mapping[str, Any], look: Callable[[str, list[str]], Trace]
) -> dict[str, Edit]:
    """Return the edits of a request's `patches`, by the names of states.

    look: traces another text with the model as it was trained, and records the named states. Raises UserError
    for a state or a position that is not there.
    """
    by_text: dict[str, list[Patch]] = {}
    for each in _read(asked.get("patches") or (), model):
        by_text.setdefault(each.text, []).append(each)
    edits: dict[str, Edit] = {}
    for text, patches in by_text.items():
        states = sorted({each.state for each in patches})
        other = look(text, states)
        for state in states:
            value = other.tensors[state]  # (T, C)
            places = {each.position: each.source for each in patches if each.state == state}
            edits[state] = _after(edits.get(state), _patched(state, value[None], places))
    return edits


def _read(asked: Sequence[Any], model: Model) -> list[Patch]:
    if not isinstance(asked, list | tuple) or len(asked) > MAX_PATCHES:
        raise UserError("edits: `patches` is a list of up to {most} patches.", most=MAX_PATCHES)
    known = {name for name in activation_names(model) if name.endswith(STATES)}
    try:
        patches = [Patch.model_validate(each) for each in asked]
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            "edits: a patch has {place}: {reason}.",
            place=".".join(map(str, first["loc"])),
            reason=problem_in_words(first),
        ) from error
    for each in patches:
        if each.state not in known:
            raise UserError(
                "edits: {state} is no state of this model. Choose one such as {known}.",
                state=each.state,
                known=", ".join(sorted(known)[:3]),
            )
    return patches


def _patched(state: str, value: Tensor, places: dict[int, int]) -> Edit:
    """Return a patch that tells of a position outside one of the texts."""

    def change(own: Tensor) -> Tensor:
        for positions, n in ((places.keys(), own.shape[1]), (places.values(), value.shape[1])):
            if max(positions) >= n:
                raise UserError(
                    "edits: {state} has no position {position}. Its last one is {last}.",
                    state=state,
                    position=max(positions),
                    last=n - 1,
                )
        return patch(value, places)(own)

    return change


def _after(first: Edit | None, second: Edit) -> Edit:
    return second if first is None else lambda value: second(first(value))
