"""Beam search against the slow, readable ways: every text there is, greedy steps, teacher forcing."""

from __future__ import annotations

import math

import pytest
import torch

from glassgpt.config import ModelConfig
from glassgpt.errors import UserError
from glassgpt.generate import Hypothesis, beam_search
from glassgpt.models import Seq2Seq
from glassgpt.nn import PAD, Memory

V, END, PROMPT = 4, 0, [1]
SOURCES = torch.tensor([[2, 3, 1, 0, 2], [3, 3, PAD, PAD, PAD], [1, 2, 0, PAD, PAD]])


def model(seed: int = 0, n_vocab: int = V, **fields: object) -> Seq2Seq:
    torch.manual_seed(seed)
    config = dict(family="seq2seq", n_layer=2, n_head=2, n_embd=16, block_size=16) | fields
    m = Seq2Seq(ModelConfig.model_validate(config), n_vocab)
    for p in m.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return m.eval()


@torch.no_grad()
def next_logprob(m: Seq2Seq, memory: Memory, ids: list[int]) -> list[float]:
    return m(torch.tensor([PROMPT + ids]), memory=memory)[0, -1].log_softmax(-1).tolist()


def every_text(m: Seq2Seq, memory: Memory, n_new: int, alpha: float = 0.6) -> list[Hypothesis]:
    """All texts that end within n_new tokens and all that are cut there, by uncached forwards."""
    texts, growing, penalty = [], [([], 0.0)], 1.0
    for length in range(1, n_new + 1):
        penalty = ((5 + length) / 6) ** alpha
        longer = []
        for ids, logprob in growing:
            for token, value in enumerate(next_logprob(m, memory, ids)):
                if token == END:
                    texts.append(Hypothesis(ids, (logprob + value) / penalty, logprob + value))
                else:
                    longer.append(([*ids, token], logprob + value))
        growing = longer
    texts += [Hypothesis(ids, logprob / penalty, logprob, ended=False) for ids, logprob in growing]
    return sorted(texts, key=lambda h: (h.ended, h.score), reverse=True)


def assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [(h.ids, h.ended) for h in found] == [(h.ids, h.ended) for h in expected]
    for field in ("score", "logprob"):
        wanted = [getattr(h, field) for h in expected]
        assert [getattr(h, field) for h in found] == pytest.approx(wanted, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("fields", [{}, {"preset": "gpt2"}, {"n_kv_head": 1, "window": 2}])
@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
def test_a_beam_wide_enough_finds_the_best_of_all_texts(fields: dict, alpha: float) -> None:
    m = model(**fields)
    memory = m.encode(SOURCES)
    found = beam_search(m, memory, PROMPT, eos_id=END, beams=130, max_new_tokens=4, length_penalty=alpha)
    for row in range(len(SOURCES)):
        alone = memory.select(torch.tensor([row]))
        assert_same(found[row], every_text(m, alone, 4, alpha))


@pytest.mark.parametrize("seed", range(6))
def test_one_beam_is_greedy(seed: int) -> None:
    """Whatever longer texts would score: the first that ends is the answer."""
    m = model(seed, n_vocab=9)
    memory = m.encode(SOURCES)
    found = beam_search(m, memory, PROMPT, eos_id=END, beams=1, max_new_tokens=10, length_penalty=9.0)
    for row in range(len(SOURCES)):
        ids: list[int] = []
        while len(ids) < 10 and END not in ids:
            logprob = next_logprob(m, memory.select(torch.tensor([row])), ids)
            ids.append(logprob.index(max(logprob)))
        assert found[row][0].ids == [i for i in ids if i != END]
        assert found[row][0].ended == (END in ids)


@pytest.mark.parametrize("seed", range(4))
def test_the_rest_of_the_batch_and_its_padding_change_nothing(seed: int) -> None:
    """Sequences end at different times, so rows leave the batch while others go on."""
    m = model(seed, n_vocab=7)
    together = beam_search(m, m.encode(SOURCES), PROMPT, eos_id=END, beams=3, max_new_tokens=12)
    for row, source in enumerate(SOURCES):
        memory = m.encode(source[source != PAD][None])
        alone = beam_search(m, memory, PROMPT, eos_id=END, beams=3, max_new_tokens=12)
        assert_same(together[row], alone[0])


def test_logprob_is_what_teacher_forcing_gives_and_the_block_is_never_exceeded() -> None:
    m = model(2, n_vocab=9)
    memory = m.encode(SOURCES)
    found = beam_search(m, memory, PROMPT, eos_id=END, beams=5, max_new_tokens=1000)
    assert {h.ended for texts in found for h in texts} == {True, False}
    for row, texts in enumerate(found):
        assert len(texts) == len({tuple(h.ids) for h in texts}) == 5
        for h in texts:
            targets = [*h.ids, END] if h.ended else h.ids
            assert len(targets) <= 16 if h.ended else len(targets) == 16  # the last is not read
            inputs = torch.tensor([[*PROMPT, *targets[:-1]]])
            with torch.no_grad():
                logprob = m(inputs, memory=memory.select(torch.tensor([row])))[0].log_softmax(-1)
            total = logprob[torch.arange(len(targets)), targets].sum().item()
            assert h.logprob == pytest.approx(total, abs=1e-4)
            assert h.score == pytest.approx(total / ((5 + len(targets)) / 6) ** 0.6, abs=1e-4)


class Scripted(Seq2Seq):
    """Says what a table of probabilities says, by the last token alone."""

    TABLE = (
        (0.25, 0.25, 0.25, 0.25),
        (0.4, 0.01, 0.3, 0.29),
        (0.001, 0.0, 0.5, 0.499),
        (0.9, 0.03, 0.03, 0.04),
    )

    def trunk(self, tokens: torch.Tensor, **_: object) -> torch.Tensor:
        return tokens[..., None].float()

    def head(self, h: torch.Tensor) -> torch.Tensor:
        return torch.tensor(self.TABLE).log()[h[..., 0].long()]


def test_an_ended_text_is_kept_while_better_looking_ones_go_on() -> None:
    m = Scripted(model().config, V)
    for p in m.parameters():
        torch.nn.init.normal_(p, std=0.5)
    memory = m.encode(SOURCES[:1])
    found = beam_search(m, memory, PROMPT, eos_id=END, beams=2, max_new_tokens=5, length_penalty=0.0)[0]
    assert [h.ids for h in found] == [[], [3]]  # 0.4, and 0.29 · 0.9
    assert [math.exp(h.logprob) for h in found] == pytest.approx([0.4, 0.261], abs=1e-3)


def test_the_mode_of_the_model_is_restored_and_dropout_is_off() -> None:
    m = model(dropout=0.5)
    with torch.no_grad():
        memory = m.encode(SOURCES)
    m.train()
    one, other = (beam_search(m, memory, PROMPT, eos_id=END, max_new_tokens=5) for _ in range(2))
    assert one == other and m.training


def test_bad_input_is_named() -> None:
    m = model()
    memory = m.encode(SOURCES)
    with pytest.raises(UserError, match="17 tokens"):
        beam_search(m, memory, [1] * 17, eos_id=END, max_new_tokens=5)
    with pytest.raises(UserError, match="`beams` is 0"):
        beam_search(m, memory, PROMPT, eos_id=END, beams=0, max_new_tokens=5)
    assert len(beam_search(m, memory, [1] * 16, eos_id=END, beams=1, max_new_tokens=5)[0][0].ids) <= 1
    torch.nn.init.constant_(m.wte.weight, math.nan)
    with pytest.raises(UserError, match="NaN"):
        beam_search(m, memory, PROMPT, eos_id=END, max_new_tokens=5)
