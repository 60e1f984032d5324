"""Trace one forward pass: from a text, or an image and a question, to a `Trace`.

A seq2seq or captioner first generates its answer by greedy decoding, unless `target` gives one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from glassgpt.errors import UserError
from glassgpt.hooks import Edit, Recording, activation_names, edit, logit_lens, record
from glassgpt.language import N_
from glassgpt.lens.labels import token_labels
from glassgpt.lens.traces import IMAGE, LogitLens, Trace
from glassgpt.models import Bigram, Classifier, Model
from glassgpt.nn import PAD
from glassgpt.tasks import Inputs, Prompt, Task, task_of_model
from glassgpt.tokenizers import Tokenizer

LENS_ROWS = 256
"""Rows that the logit lens reads at a time."""
MOST_PROBABLE = 5
"""Number of predictions to keep at each position."""
NOT_TAKEN = {
    "image": N_("does not look at images"),
    "target": N_("takes no target"),
    "hide": N_("has no source to hide a part of"),
}


@torch.inference_mode()
def trace(
    model: Model,
    tokenizer: Tokenizer,
    text: str = "",
    *,
    image: np.ndarray | None = None,
    target: str | None = None,
    hide: str | None = None,
    pattern: str | Sequence[str] | None = None,
    edits: Mapping[str, Edit] | None = None,
    replace: Mapping[int, int] | None = None,
    lens: bool = True,
) -> Trace:
    """Run a model once on a text and record its activations.

    text: the input of a gpt, bigram or encoder (`[?]` marks a gap for a masked encoder), the text that a
    seq2seq translates, or the question that a captioner answers about `image`, (channels, image_size,
    image_size) of uint8. target: the answer of a seq2seq or captioner, instead of its own. hide: a part of
    the text that the decoder of a seq2seq may not attend to. pattern: names to record; by default all but the
    hidden layers of MLPs. edits: of activations, as in `record`, also while the model writes its answer.
    replace: ids to put in place of tokens, by position. lens: False leaves out the logit lens, which costs
    more than the pass itself for a large vocabulary. Raises UserError for a text that is empty or longer than
    the model's context.
    """
    task = task_of_model(model.config)
    _check_prompt(model, task, image=image, target=target, hide=hide)
    all_edits = {**(edits or {}), **({} if hide is None else _hide_edits(model, tokenizer, text, hide))}
    inputs = _encode(model, tokenizer, task, Prompt(text, image, target), all_edits)
    _replace_tokens(inputs, replace or {}, model.n_vocab)
    activations = _record(model, inputs, pattern, all_edits)
    tensors = {name: value[0].cpu() for name, value in activations.items()}
    if inputs.image is not None:
        tensors[IMAGE] = torch.from_numpy(inputs.image)
    with_lens = lens and not isinstance(model, Classifier)
    return Trace(
        tensors,
        tokens=tuple(token_labels(tokenizer, inputs.tokens)),
        next_tokens=tuple(_next_labels(tokenizer, inputs.next_tokens)),
        source=tuple(_source_labels(model, tokenizer, inputs)),
        n_prompt=inputs.n_prompt,
        logit_lens=read_states(model, tokenizer, activations) if with_lens else None,
        config=model.config.model_dump(mode="json"),
        ids=tuple(inputs.tokens),
        source_ids=tuple(inputs.source or ()),
        predictions=_predictions(model, tokenizer, activations),
    )


def _encode(
    model: Model, tokenizer: Tokenizer, task: Task, prompt: Prompt, edits: Mapping[str, Edit]
) -> Inputs:
    """Encode a prompt. The model generates the answer if none is given, with the edits."""
    generates = "target" in task.takes and prompt.target is None
    with edit(model, edits) if edits and generates else nullcontext():
        inputs = task.inputs(model, tokenizer, prompt)
    if not inputs.tokens:
        raise UserError("there is nothing to look at: the text is empty. Give a text of at least one token.")
    return inputs


def _record(
    model: Model, inputs: Inputs, pattern: str | Sequence[str] | None, edits: Mapping[str, Edit]
) -> Recording:
    """Run the model once, in evaluation mode, and record the activations of a pattern."""
    if pattern is None:
        pattern = [name for name in activation_names(model) if not name.endswith("mlp.hidden")]
    was_training = model.training
    model.eval()
    try:
        with record(model, pattern, edits=edits) as activations:
            _run(model, inputs)
    finally:
        model.train(was_training)
    return activations


def _check_prompt(model: Model, task: Task, **parts: object) -> None:
    """Raise UserError for a part of the prompt that the model's task does not take."""
    for name, part in parts.items():
        if part is not None and name not in task.takes:
            raise UserError(
                "`{name}`: a {family} {not_taken}. Leave it out.",
                name=name,
                family=model.config.family,
                not_taken=NOT_TAKEN[name],
            )


def _hide_edits(model: Model, tokenizer: Tokenizer, text: str, hide: str) -> dict[str, Edit]:
    """Return edits that mask a part of the source in every cross-attention."""
    if not hide or hide not in text:
        raise UserError(
            "`hide`: {hide!r} does not occur in {text!r}. Give a part of the text.", hide=hide, text=text
        )
    stops = np.cumsum([len(tokenizer.token_bytes([id])) for id in tokenizer.encode(text)])  # (S,) in bytes
    starts = np.concatenate([[0], stops[:-1]])
    hidden = torch.zeros(len(stops), dtype=torch.bool, device=model.device)  # (S,)
    for match in re.finditer(re.escape(hide), text):
        begin, end = (len(text[:place].encode()) for place in match.span())
        hidden |= torch.from_numpy((starts < end) & (stops > begin)).to(model.device)
    if hidden.all():
        raise UserError("`hide`: {hide!r} is the whole text. Leave at least one token visible.", hide=hide)
    return {"blocks.*.cross_attn.masked_scores": lambda scores: scores.masked_fill(hidden, -torch.inf)}


def _replace_tokens(inputs: Inputs, ids: Mapping[int, int], n_vocab: int) -> None:
    """Put other ids in place of tokens. Raises UserError for a position or an id that is not there."""
    for place, id in ids.items():
        for name, value, size in ((N_("position"), place, len(inputs.tokens)), (N_("id"), id, n_vocab)):
            if not 0 <= value < size:
                raise UserError(
                    "`replace`: {name} {value} is outside 0 … {last}. Choose another one.",
                    name=name,
                    value=value,
                    last=size - 1,
                )
        inputs.tokens[place] = id
        if place and inputs.next_tokens:
            inputs.next_tokens[place - 1] = id


def _run(model: Model, inputs: Inputs) -> None:
    memory = None
    if inputs.image is not None:
        memory = model.encode(torch.from_numpy(inputs.image)[None].to(model.device))  # (1, channels, H, W)
    elif inputs.source is not None:
        memory = model.encode(torch.tensor([inputs.source], device=model.device))  # (1, S)
    model(torch.tensor([inputs.tokens], device=model.device), memory=memory)  # (1, T)


def _next_labels(tokenizer: Tokenizer, ids: list[int]) -> Iterator[str]:
    """Labels of tokens; "" for PAD."""
    labels = iter(token_labels(tokenizer, [id for id in ids if id != PAD]))
    return (next(labels) if id != PAD else "" for id in ids)


def _source_labels(model: Model, tokenizer: Tokenizer, inputs: Inputs) -> list[str]:
    if inputs.source is not None:
        return token_labels(tokenizer, inputs.source)
    if inputs.image is None:
        return []
    side = model.config.image_size // model.config.patch_size
    return [f"{y + 1},{x + 1}" for y in range(side) for x in range(side)]


def _predictions(
    model: Model, tokenizer: Tokenizer, seen: Recording
) -> tuple[tuple[tuple[str, float], ...], ...]:
    """Return the most probable tokens or classes of each position, if the logits were recorded."""
    if "logits" not in seen:
        return ()
    logits = seen["logits"][0].float()  # (1, T, V) -> (T, V)
    top = logits.topk(min(MOST_PROBABLE, logits.shape[-1]))
    p = (top.values - logits.logsumexp(-1, keepdim=True)).exp()
    labels = model.config.labels
    ids = top.indices.flatten().tolist()
    names = [labels[id] for id in ids] if labels else token_labels(tokenizer, ids)
    n = top.indices.shape[-1]
    rows = [names[start : start + n] for start in range(0, len(names), n)]
    return tuple(
        tuple(zip(names, (round(value, 4) for value in values), strict=True))
        for names, values in zip(rows, p.tolist(), strict=True)
    )


def read_states(model: Model, tokenizer: Tokenizer, seen: Mapping[str, Tensor]) -> LogitLens | None:
    """Read the state after each block with the output head; None without such states.

    seen: recorded activations by name, (1, T, C) each; of a bigram model its logits.
    """
    states = [name for name in seen if name.startswith("blocks.") and name.endswith(".resid_post")]
    first = [name for name in seen if name == "blocks.0.resid_pre"]
    if isinstance(model, Bigram):
        names = [name for name in seen if name == "logits"]
    else:
        names = [*first, *states] if states else []
    if not names:
        return None
    best = _best(model, torch.cat([seen[name] for name in names], dim=1))
    T = best.values.shape[0] // len(names)
    labels = token_labels(tokenizer, best.indices.tolist())
    return LogitLens(
        tuple(names),
        tuple(tuple(labels[start : start + T]) for start in range(0, len(labels), T)),
        tuple(tuple(round(p, 4) for p in row.tolist()) for row in best.values.split(T)),
    )


def _best(model: Model, rows: Tensor) -> torch.return_types.max:
    """Return probability and id of the most probable token of each row: (1, N, C), of a bigram (1, N, V).

    A part of the rows at a time: the logits of all would fill the memory.
    """
    parts = rows.split(LENS_ROWS, dim=1)
    logits = parts if isinstance(model, Bigram) else (_logits(model, part) for part in parts)
    best = [each[0].float().softmax(-1).max(-1) for each in logits]
    return torch.return_types.max(
        (torch.cat([each.values for each in best]), torch.cat([each.indices for each in best]))
    )


def _logits(model: Model, rows: Tensor) -> Tensor:
    """Read rows of any state (1, N, C) with the output head: (1, N, V)."""
    (logits,) = logit_lens(model, {"blocks.0.resid_post": rows}).values()
    return logits
