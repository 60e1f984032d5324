"""What-if edits of a request: heads and MLPs off, no division by √d, no mask, other tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from glassgpt.errors import UserError
from glassgpt.hooks import Edit, activation_names, n_heads, zero, zero_heads
from glassgpt.language import N_
from glassgpt.models import Model

NAMES = ("ablate", "mlps", "scale", "mask", "patches", "tokens")


def make_edits(model: Model, asked: Mapping[str, Any]) -> dict[str, Edit]:
    """Return the edits of activations that a request asks for, by name.

    ablate: pairs of a layer, or the path of an attention, and a head. mlps: layers, or paths of blocks.
    scale: False leaves out the division by √d. mask: False lets each query attend to all keys. `patches` and
    `tokens` are read by `make_patches` and `new_tokens`. Raises UserError for a layer, a head or a word that
    the model does not have.
    """
    if unknown := sorted(asked.keys() - set(NAMES)):
        raise UserError(
            "edits: {name} is unknown. Known are {names}.", name=repr(unknown[0]), names=", ".join(NAMES)
        )
    edits = _without_heads(model, asked.get("ablate") or ())
    for block in asked.get("mlps") or ():
        edits[f"{_block(model, block)}.mlp.out"] = zero
    for path in n_heads(model):
        edits |= _other_scores(model, path.removesuffix(".heads"), asked)
    return edits


def new_tokens(asked: Mapping[str, Any]) -> dict[int, int]:
    """Return the ids that a request puts in place of tokens, by position: pairs of both. Raises UserError."""
    pairs = asked.get("tokens") or ()
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(map(_is_index, pair)):
            raise UserError(
                "edits: {pair!r} is no pair of a position and an id. Give two numbers.", pair=pair
            )
    return dict(pairs)


def _is_index(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _without_heads(model: Model, pairs: Sequence[Any]) -> dict[str, Edit]:
    """Return edits that give zero for the output of heads."""
    heads: dict[str, list[int]] = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise UserError("edits: {pair!r} is no pair of a layer and a head. Give two numbers.", pair=pair)
        path, head = _attention(model, pair[0]), pair[1]
        n = n_heads(model)[f"{path}.heads"]
        if isinstance(head, bool) or not isinstance(head, int) or not 0 <= head < n:
            raise UserError(
                "edits: {path} has no head {head!r}. Heads are numbered from 0 to {last}.",
                path=path,
                head=head,
                last=n - 1,
            )
        heads.setdefault(f"{path}.heads", []).append(head)
    return {name: zero_heads(*each) for name, each in heads.items()}


def _attention(model: Model, place: int | str) -> str:
    """Return the path of an attention; a number is a layer's self-attention."""
    return _known(
        f"blocks.{place}.attn" if isinstance(place, int) else str(place),
        [name.removesuffix(".heads") for name in n_heads(model)],
        N_("attention"),
    )


def _block(model: Model, place: int | str) -> str:
    """Return the path of a block; a number is a layer of the decoder, or of an encoder alone."""
    ending = ".mlp.out"
    blocks = [name.removesuffix(ending) for name in activation_names(model) if name.endswith(ending)]
    return _known(f"blocks.{place}" if isinstance(place, int) else str(place), blocks, N_("block"))


def _known(path: str, known: Sequence[str], what: str) -> str:
    if path not in known:
        raise UserError(
            "edits: this model has no {what} {path}. It has {known}.",
            what=what,
            path=path,
            known=", ".join(known) or N_("none"),
        )
    return path


def _other_scores(model: Model, path: str, asked: Mapping[str, Any]) -> dict[str, Edit]:
    """Return edits of the scores of one attention: without ÷√d, without its mask."""
    edits: dict[str, Edit] = {}
    kept: list[Tensor] = []
    D = model.config.head_dim

    def unscaled(scores: Tensor) -> Tensor:
        kept[:] = [scores * D**0.5 if asked.get("scale") is False else scores]
        return kept[0]

    if asked.get("scale") is False or asked.get("mask") is False:
        edits[f"{path}.scores"] = unscaled
    if asked.get("mask") is False:
        edits[f"{path}.masked_scores"] = lambda masked: kept[0]
    return edits
