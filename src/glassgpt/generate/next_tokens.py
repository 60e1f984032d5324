"""The next token of each sequence of a batch, from the model's logits and the sequence's random number."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glassgpt.errors import UserError
from glassgpt.generate.request import RequestError, Token
from glassgpt.generate.sampling import SamplingParams, probabilities, sample_inverse_cdf
from glassgpt.generate.sequence import ActiveSequence


def next_tokens(sequences: Sequence[ActiveSequence], logits: Tensor) -> list[Token]:
    """Sample the next token of each sequence. logits: (R, V).

    Raises RequestError for a sequence whose logits hold NaN or +∞.
    """
    logits = logits.cpu().to(torch.promote_types(logits.dtype, torch.float32))
    tokens: dict[int, Token] = {}
    for rows in _group_by_params(sequences):
        p = _distributions(sequences, rows, logits)  # (R', V)
        if sequences[rows[0]].request.params.temperature == 0:
            ids = p.argmax(-1).tolist()
        else:
            u = torch.tensor([sequences[i].rng.random() for i in rows], dtype=torch.float64)
            ids = sample_inverse_cdf(p, u).tolist()
        for row, i in enumerate(rows):
            tokens[i] = _make_token(sequences[i], ids[row], logits, i, p, row)
    return [tokens[i] for i in range(len(sequences))]


def _group_by_params(sequences: Sequence[ActiveSequence]) -> list[list[int]]:
    """Group the indices of sequences with equal sampling parameters, with and without a bias."""
    groups: dict[tuple[SamplingParams, bool], list[int]] = {}
    for i, each in enumerate(sequences):
        groups.setdefault((each.request.params, each.bias is None), []).append(i)
    return list(groups.values())


def _distributions(sequences: Sequence[ActiveSequence], rows: list[int], logits: Tensor) -> Tensor:
    """Compute the distributions (R', V) of the sequences of one group. logits: (R, V)."""
    params = sequences[rows[0]].request.params
    past = _padded([sequences[i].ids for i in rows]) if params.repetition_penalty != 1 else None
    some = logits if len(rows) == len(logits) else logits[rows]  # (R', V)
    biases = [bias for i in rows if (bias := sequences[i].bias) is not None]
    try:
        return probabilities(some, params, past=past, bias=torch.stack(biases) if biases else None)
    except UserError as error:
        if len(rows) == 1:
            raise RequestError(sequences[rows[0]].request_id, str(error)) from error
        for i in rows:  # find the one at fault
            _distributions(sequences, [i], logits)
        raise


def _make_token(sequence: ActiveSequence, id: int, logits: Tensor, i: int, p: Tensor, row: int) -> Token:
    """Build a token with the requested figures.

    They come from row i of logits (R, V), and `row` of p (R', V).
    """
    request, finish_reason = sequence.request, None
    if id == request.eos_id:
        finish_reason = "stop"
    elif sequence.n_new + 1 >= request.max_new_tokens:
        finish_reason = "length"
    distribution = p[row].clone() if request.distribution else None
    if request.logprobs is None:
        return Token(id, finish_reason, probabilities=distribution)
    logprobs = logits[i].log_softmax(-1)  # (V,)
    best = logprobs.topk(min(request.logprobs, len(logprobs)))
    top = tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))
    return Token(id, finish_reason, logprobs[id].item(), top, distribution)


def _padded(texts: list[list[int]]) -> Tensor:
    """Stack texts as (R, S), −1 after a text's end."""
    S = max(map(len, texts))
    return torch.tensor([text + [-1] * (S - len(text)) for text in texts])
