"""Comparisons of an ONNX folder with its run that a plain text generator does not need.

The cache at three lengths, batches, and the run's own examples: masks, classes, translations, images.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from glassgpt.checkpoint import run_examples
from glassgpt.data import (
    END,
    EVAL_MASK_FRACTION,
    IGNORE,
    MASK,
    Batch,
    ChatTemplate,
    Example,
    ExampleSplit,
    ImageTemplate,
    Message,
    PairTemplate,
)
from glassgpt.diagnose import Finding
from glassgpt.errors import UserError
from glassgpt.interop.certify import CONTINUE_TEXT, Tolerance, log_probs
from glassgpt.interop.chat import end_id, knows_chat
from glassgpt.interop.onnx.runtime import OnnxRuntime
from glassgpt.interop.source import ExportSource
from glassgpt.nn import PAD

N_EXAMPLES = 32
"""Examples that both programs answer."""
N_ANSWER = 64
"""Tokens of an answer, at most."""


LIMITS = {
    "float32": Tolerance(logit=1e-4, kl=1e-8),
    "float16": Tolerance(logit=0.1, kl=1e-4, same_tokens=False),
}
"""By the dtype of the stored weights."""


def compare_outputs(source: ExportSource, program: OnnxRuntime) -> Iterator[Finding]:
    """Yield what the certificate of a text generator lacks, by the family of the model."""
    limits = LIMITS[program.dtype]
    batch = example_batch(source)
    if source.shape.family not in CONTINUE_TEXT:
        yield from _compare_batch(source, program, batch, limits)
    if source.shape.family != "encoder":
        yield _compare_prompt(source, program)
        yield from _compare_cache(source, program, batch, limits)
    if batch.source is not None:
        yield _compare_answers(source, program, batch, limits)


@torch.inference_mode()
def _compare_batch(
    source: ExportSource, program: OnnxRuntime, batch: Batch, limits: Tolerance
) -> Iterator[Finding]:
    """Compare the predictions of all targets of a batch."""
    ours, theirs = log_probs(_predict(source, batch)), log_probs(program.predict(batch))
    real = batch.targets != IGNORE  # (B, T)
    targets, ours, theirs = batch.targets[real], ours[real], theirs[real]  # (n,), (n, V), (n, V)
    yield Finding.at_most(
        "largest log-probability difference, nats", (ours - theirs).abs().max().item(), limits.logit
    )
    kl = F.kl_div(theirs, ours, log_target=True, reduction="batchmean").item()
    yield Finding.at_most("KL divergence, nats per prediction", kl, limits.kl)
    losses = [F.nll_loss(each, targets).item() for each in (theirs, ours)]
    yield Finding.near("loss on held-out examples, nats", *losses, within=limits.logit)
    n, n_equal = len(targets), int(_is_best(ours, theirs.argmax(-1), limits).sum())
    least = n if limits.same_tokens else 0
    yield Finding.at_least(f"equal most probable predictions, of {n}", n_equal, least)


def _compare_prompt(source: ExportSource, program: OnnxRuntime) -> Finding:
    """Compare the ids around a prompt, and the one that ends an answer."""
    text, tokenizer = source.text[:20], source.tokenizer
    template = {"seq2seq": PairTemplate, "captioner": ImageTemplate}.get(source.shape.family)
    if template is not None:
        ours = [*template(tokenizer).prompt(Example("", text, question=text)), tokenizer.specials[END]]
    elif knows_chat(source):
        chat = ChatTemplate(tokenizer)
        ours = [*chat.prompt([Message("user", text)]), chat.end]
    else:
        ours = [*tokenizer.encode(text), end_id(source)]
    theirs = [*program.generator.prompt(text), program.generator.settings["end"]]
    return Finding.at_most("different token ids: prompts", int(ours != theirs), 0)


@torch.inference_mode()
def _compare_cache(
    source: ExportSource, program: OnnxRuntime, batch: Batch, limits: Tolerance
) -> Iterator[Finding]:
    """Compare predictions with the cache: a text read in two pieces and then token by token."""
    longest = batch.tokens.shape[1]
    for length in sorted({max(1, longest // part) for part in (4, 2, 1)}):
        part = batch._replace(tokens=batch.tokens[:, :length])
        ours = log_probs(_predict(source, part))
        theirs = log_probs(program.predict_in_chunks(part, _chunks(length)))
        real = part.tokens != PAD
        largest = (ours - theirs)[real].abs().max().item()
        yield Finding.at_most(
            f"largest difference with the cache at {length} tokens, nats", largest, limits.logit
        )


def _chunks(n: int) -> list[int]:
    """Return the sizes of pieces: two long ones, then one token each.

    >>> _chunks(11)
    [5, 3, 1, 1, 1]
    """
    first = n // 2
    second = (n - first) // 2
    return [each for each in (first, second) if each] + [1] * (n - first - second)


@torch.inference_mode()
def _compare_answers(source: ExportSource, program: OnnxRuntime, batch: Batch, limits: Tolerance) -> Finding:
    """Compare generated answers: each token must be our most probable one, the end included."""
    n = len(batch.tokens)
    n_equal = sum(_is_our_answer(source, program, batch.rows(slice(i, i + 1)), limits) for i in range(n))
    return Finding.at_least(f"equal greedy answers, of {n}", n_equal, n if limits.same_tokens else 0)


def _is_our_answer(source: ExportSource, program: OnnxRuntime, row: Batch, limits: Tolerance) -> bool:
    n_prompt = int(row.targets[0].ne(IGNORE).int().argmax()) + 1
    prompt, end = row.tokens[0, :n_prompt].tolist(), source.tokenizer.specials[END]
    most = min(N_ANSWER, source.shape.block_size - n_prompt)
    answer = [*program.generator.generate(prompt, most, memory=program.memory(row), end=end)]
    answer = answer if len(answer) == most else [*answer, end]
    tokens = torch.tensor([prompt + answer[:-1]])  # (1, n_prompt + n − 1)
    ours = log_probs(_predict(source, row._replace(tokens=tokens)))[0, n_prompt - 1 :]  # (n, V)
    return bool(_is_best(ours, torch.tensor(answer), limits).all())


def example_batch(source: ExportSource) -> Batch:
    """Return held-out inputs with their targets, as the model was trained; made from its text without any."""
    family = source.shape.family
    if family not in CONTINUE_TEXT and (split := _examples(source)) is not None:
        return split.batch(np.arange(min(N_EXAMPLES, len(split))))
    windows, rng = source.windows, np.random.default_rng(0)
    following = F.pad(windows[:, 1:], (0, 1), value=IGNORE)  # (n, T)
    if family == "captioner":
        shape = (len(windows), source.shape.channels, source.shape.image_size, source.shape.image_size)
        return Batch(windows, following, torch.from_numpy(rng.integers(0, 256, shape, np.uint8)))
    if family == "seq2seq":
        return Batch(windows, following, _padded(windows.flip(0)))
    if source.shape.labels:
        return Batch(_padded(windows), torch.zeros(len(windows), 1, dtype=torch.int64))
    if family == "encoder":
        hidden = torch.from_numpy(rng.random(tuple(windows.shape)) < EVAL_MASK_FRACTION)
        hidden[:, 0] = True
        mask_id = source.tokenizer.specials[MASK]
        return Batch(windows.masked_fill(hidden, mask_id), windows.masked_fill(~hidden, IGNORE))
    return Batch(windows, following)


def _padded(windows: Tensor) -> Tensor:
    """Shorten rows (n, T) by 0, 1, 2, … tokens, so that padding is compared, too."""
    n, T = windows.shape
    return windows.where(torch.arange(T) < (T - torch.arange(n)[:, None]).clamp(min=1), PAD)


def _examples(source: ExportSource) -> ExampleSplit | None:
    """Return the validation examples of a run; None for running text, or without data."""
    try:
        return run_examples(source.run, source.tokenizer.n_vocab).val
    except UserError:
        return None


def _predict(source: ExportSource, batch: Batch) -> Tensor:
    return source.model.predict(batch.tokens, batch.source, batch.source_of)


def _is_best(predicted: Tensor, tokens: Tensor, limits: Tolerance) -> Tensor:
    """True for a token (n,) whose log-probability (n, V) is the largest, up to rounding."""
    chosen = predicted.gather(-1, tokens[:, None])[:, 0]  # (n,)
    return chosen >= predicted.amax(-1) - 2 * limits.logit
