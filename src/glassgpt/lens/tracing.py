"""Running a model once, on what someone wants to see, and keeping everything: from a text to a `Trace`.

What a seq2seq or captioner is to write is what it would write, token by token the likeliest, unless given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch

from glassgpt.data import Example, make_template
from glassgpt.errors import UserError
from glassgpt.generate import answer, masked_ids, translate
from glassgpt.lens.labels import token_labels
from glassgpt.lens.traces import IMAGE, Reading, Trace
from glassgpt.models import Bigram, Captioner, Classifier, MaskedLM, Model, Seq2Seq
from glassgpt.nn import PAD
from glassgpt.record import Edit, Recording, activation_names, edit, logit_lens, record
from glassgpt.tokenizers import Tokenizer


@dataclass(frozen=True)
class Inputs:
    """One sequence as a model reads it: what it is given, and what is known of what it writes."""

    tokens: list[int]
    written: list[int] = field(default_factory=list)
    """The token after each of `tokens`, PAD where it is not known."""
    source: list[int] | None = None
    begins: int = 0
    """From which place the model writes."""
    image: np.ndarray | None = None


@torch.inference_mode()
def look(
    model: Model,
    tokenizer: Tokenizer,
    text: str = "",
    *,
    image: np.ndarray | None = None,
    target: str | None = None,
    hide: str | None = None,
    pattern: str | Sequence[str] | None = None,
) -> Trace:
    """What happens in a model as it reads a text, and writes.

    text: what a gpt, bigram or encoder reads (of a masked encoder with gaps, `[?]`), what a seq2seq
    translates, what a captioner is asked about `image`, (channels, image_size, image_size) of uint8. target:
    what the last two are to write instead of what they would. hide: a part of the text at which the decoder
    of a seq2seq may not look. pattern: what to record; by default all but the inside of the MLPs.
    Raises UserError for a text that is empty, or longer than the model can see.
    """
    if target is not None and not isinstance(model, Seq2Seq | Captioner):
        raise UserError(f"a {model.config.family} is given no target: leave it out")
    edits = {} if hide is None else _hiding(model, tokenizer, text, hide)
    with edit(model, edits) if edits and target is None else nullcontext():
        scene = _set(model, tokenizer, text, image, target)
    if not scene.tokens:
        raise UserError("there is nothing to look at: give a text of at least one token")
    names = [name for name in activation_names(model) if not name.endswith("mlp.hidden")]
    was_training = model.training
    model.eval()
    try:
        with record(model, names if pattern is None else pattern, edits=edits) as seen:
            _run(model, scene)
    finally:
        model.train(was_training)
    tensors = {name: value[0].cpu() for name, value in seen.items()}
    if scene.image is not None:
        tensors[IMAGE] = torch.from_numpy(scene.image)
    return Trace(
        tensors,
        tuple(token_labels(tokenizer, scene.tokens)),
        tuple(_known(tokenizer, scene.written)),
        tuple(_source_labels(model, tokenizer, scene)),
        scene.begins,
        _reading(model, tokenizer, seen) if not isinstance(model, Classifier) else None,
        model.config.model_dump(mode="json"),
    )


def _set(
    model: Model, tokenizer: Tokenizer, text: str, image: np.ndarray | None, target: str | None
) -> Inputs:
    """Texts to ids, as in training."""
    if image is not None and not isinstance(model, Captioner):
        raise UserError(f"a {model.config.family} does not look at images: leave the image out")
    match model:
        case Seq2Seq():
            if not text.strip():
                raise UserError("there is nothing to look at: give a text to translate")
            target = next(translate(model, tokenizer, [text], beams=1)) if target is None else target
            return _with_answer(model, tokenizer, Example(target, text))
        case Captioner():
            if image is None:
                raise UserError("a captioner looks at an image: give one (--image)")
            target = answer(model, tokenizer, image, text).text if target is None else target
            return _with_answer(model, tokenizer, Example(target, question=text), image)
        case Classifier():
            return Inputs(list(make_template(model.config, tokenizer).source(Example("", text))))
        case MaskedLM():
            ids = masked_ids(tokenizer, text)
        case _:
            ids = tokenizer.encode(text)
    _check_length(model, len(ids), "the text")
    return Inputs(ids, [*ids[1:], PAD] if not isinstance(model, MaskedLM) else [])


def _hiding(model: Model, tokenizer: Tokenizer, text: str, hide: str) -> dict[str, Edit]:
    """Cross-attention to nothing that belongs to a part of the text."""
    if not isinstance(model, Seq2Seq):
        raise UserError(f"a {model.config.family} has no source to hide a part of: that takes a seq2seq")
    if not hide or hide not in text:
        raise UserError(f"{hide!r} does not occur in {text!r}: give a part of the text to hide")
    stops = np.cumsum([len(tokenizer.token_bytes([id])) for id in tokenizer.encode(text)])
    starts = np.concatenate([[0], stops[:-1]])
    hidden = torch.zeros(len(stops), dtype=torch.bool, device=model.device)  # (S,)
    for match in re.finditer(re.escape(hide), text):
        begin, end = (len(text[:place].encode()) for place in match.span())
        hidden |= torch.from_numpy((starts < end) & (stops > begin)).to(model.device)
    if hidden.all():
        raise UserError(f"{hide!r} is the whole text: leave something to look at")
    return {"blocks.*.cross_attn.masked_scores": lambda scores: scores.masked_fill(hidden, -torch.inf)}


def _with_answer(
    model: Model, tokenizer: Tokenizer, example: Example, image: np.ndarray | None = None
) -> Inputs:
    encoding = make_template(model.config, tokenizer)
    given = list(encoding.source(example))
    prompt = encoding.prompt(example)
    whole = [*prompt, *encoding.answer(example)]
    _check_length(model, len(given), "the text")
    _check_length(model, len(whole) - 1, "what is written")
    return Inputs(whole[:-1], whole[1:], given if image is None else None, len(prompt) - 1, image)


def _check_length(model: Model, n: int, what: str) -> None:
    room = model.config.block_size
    if n > room and not isinstance(model, Bigram):
        raise UserError(f"{what} has {n:,} tokens and the model sees {room:,} at once: give a shorter one")


def _run(model: Model, scene: Inputs) -> None:
    memory = None
    if scene.image is not None:
        memory = model.encode(torch.from_numpy(scene.image)[None].to(model.device))
    elif scene.source is not None:
        memory = model.encode(torch.tensor([scene.source], device=model.device))
    model(torch.tensor([scene.tokens], device=model.device), memory=memory)


def _known(tokenizer: Tokenizer, ids: list[int]) -> Iterator[str]:
    labels = iter(token_labels(tokenizer, [id for id in ids if id != PAD]))
    return (next(labels) if id != PAD else "" for id in ids)


def _source_labels(model: Model, tokenizer: Tokenizer, scene: Inputs) -> list[str]:
    if scene.source is not None:
        return token_labels(tokenizer, scene.source)
    if scene.image is None:
        return []
    side = model.config.image_size // model.config.patch_size
    return [f"{y + 1},{x + 1}" for y in range(side) for x in range(side)]


def _reading(model: Model, tokenizer: Tokenizer, seen: Recording) -> Reading | None:
    """The logit lens of the states after each block, where they were recorded."""
    states = [name for name in seen if name.startswith("blocks.") and name.endswith(".resid_post")]
    first = [name for name in seen if name == "blocks.0.resid_pre"]
    if isinstance(model, Bigram):
        read = {name: seen[name] for name in seen if name == "logits"}
    elif states:
        read = logit_lens(model, {name: seen[name] for name in [*first, *states]})
    else:
        return None
    best = {name: logits[0].float().softmax(-1).max(-1) for name, logits in read.items()}
    return Reading(
        tuple(best),
        tuple(tuple(token_labels(tokenizer, p.indices.tolist())) for p in best.values()),
        tuple(tuple(round(value, 4) for value in p.values.tolist()) for p in best.values()),
    )
