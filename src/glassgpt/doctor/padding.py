"""Check of padding: more of it at the end of a source, or of a row, moves no logit."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgpt.data import IGNORE, Batch
from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.differences import max_difference, moved
from glassgpt.doctor.subject import Skip, Subject, find_logits
from glassgpt.language import N_
from glassgpt.models import Model
from glassgpt.nn import PAD

N_PADDING = 3


@torch.no_grad()
def _padding(s: Subject) -> Iterator[Problem]:
    if found := list(_seen_padding(s)):
        yield from found
        return
    base, n_real = s.logits(), s.tokens.shape[1]
    for what, padded in _padded(s):
        if padded.ndim == 3 and padded.shape[1] >= base.shape[1] and moved(base, padded[:, : base.shape[1]]):
            yield Problem(
                "mask",
                N_("padding moves the logits"),
                N_(
                    "{n} more padding tokens after {what} move logits by {d:.2g}",
                    n=N_PADDING,
                    what=what,
                    d=max_difference(base, padded[:, : base.shape[1]]),
                ),
                N_("let no query look at padding, and count neither its loss nor its mean"),
            )
            return
    if not n_real:
        raise Skip(N_("the batch has no tokens"))


def _seen_padding(s: Subject) -> Iterator[Problem]:
    """Write another token into the places that the batch's own mask hides: nothing else may move."""
    mask = s.batch.get("attention_mask") if isinstance(s.batch, Mapping) else None
    if not isinstance(mask, Tensor) or mask.shape != s.data.tokens.shape or mask.all():
        return
    tokens, real = s.data.tokens, mask.bool().to(s.data.tokens.device)
    known = tokens[real].unique()
    if len(known) < 2:
        return
    others = known[(torch.searchsorted(known, tokens).clamp(max=len(known) - 1) + 1) % len(known)]
    probe = torch.where(real, tokens, others)
    try:
        base, moved_to = (find_logits(s.model(t, attention_mask=mask))[real] for t in (tokens, probe))
    except TypeError:
        base, moved_to = (s.logits(t, s.data)[real] for t in (tokens, probe))
    if moved(base, moved_to):
        yield Problem(
            "mask",
            N_("padding is seen"),
            N_("another token in padded places moves logits by {d:.2g}", d=max_difference(base, moved_to)),
            N_("let no query look at padding: use the batch's attention_mask"),
        )


def _padded(s: Subject) -> Iterator[tuple[str, Tensor]]:
    """Yield logits with more padding, and the words for its place. Raises Skip if none is known."""
    batch = s.small
    if not isinstance(s.model, Model):
        if s.setting("pad_token_id") is None and not _takes_mask(s):
            raise Skip(N_("the model takes no mask of padding"))
        yield N_("the rows"), _with_mask(s, batch.tokens)
        return
    tried = False
    if batch.source is not None and batch.source.dtype == torch.int64:
        source = F.pad(batch.source, (0, N_PADDING), value=PAD)
        tried = True
        yield N_("the source"), s.logits(batch=batch._replace(source=source))
    if batch.tokens.shape[1] + N_PADDING <= (s.setting("block_size") or 0):
        tokens = F.pad(batch.tokens, (0, N_PADDING), value=PAD)
        targets = F.pad(batch.targets, (0, N_PADDING), value=IGNORE) if s.predicts_tokens else batch.targets
        tried = True
        yield N_("the rows"), s.logits(batch=Batch(tokens, targets, batch.source, batch.source_of))
    if not tried:
        raise Skip(N_("the rows fill the model's block"))


def _takes_mask(s: Subject) -> bool:
    return "attention_mask" in inspect.signature(s.model.forward).parameters


def _with_mask(s: Subject, tokens: Tensor) -> Tensor:
    """Return the logits of rows with padding at the end, which an attention mask hides."""
    padded = F.pad(tokens.clamp(min=0), (0, N_PADDING), value=int(tokens.clamp(min=0).max()))
    mask = F.pad(torch.ones_like(tokens), (0, N_PADDING))
    try:
        return find_logits(s.model(padded, attention_mask=mask))
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        raise Skip(N_("the model takes no mask of padding")) from error


PADDING = Check(
    N_("padding"), N_("no logit moves"), N_("rows of other lengths in a batch change nothing"), _padding
)
CHECKS = (PADDING,)
