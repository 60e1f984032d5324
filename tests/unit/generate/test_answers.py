"""What the commands call: answers come in order and from the permitted tokens; bad input is named."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
import pytest
import torch

from glassgpt.config import ModelConfig
from glassgpt.errors import UserError
from glassgpt.generate import answer, answers, beam_search, classify, fill, translate
from glassgpt.models import Captioner, Classifier, MaskedLM, Seq2Seq
from glassgpt.nn import PAD, AttnMask, KVCache, Memory
from glassgpt.tokenizers import Tokenizer, train_tokenizer
from helpers.templates import SPECIALS

LETTERS = "abcdefghij ?"
M = TypeVar("M", bound=torch.nn.Module)


def config(family: str, **fields: object) -> ModelConfig:
    base = dict(family=family, n_layer=1, n_head=2, n_embd=16, block_size=24, image_size=8, patch_size=4)
    return ModelConfig.model_validate(base | fields)


def char(family: str) -> Tokenizer:
    return train_tokenizer("char", [LETTERS], specials=SPECIALS[family])


def randomized(model: M, seed: int = 1) -> M:
    torch.manual_seed(seed)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.6)
    return model.eval()


class Shifter(Seq2Seq):
    """Translates each letter into the next one of the alphabet, and ends where the source does."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(config("seq2seq"), tokenizer.n_vocab)
        self.end = tokenizer.specials["<eos>"]
        self.batches: list[tuple[int, ...]] = []

    def encode(self, source: torch.Tensor) -> Memory:
        self.batches.append(tuple(source.shape))
        room = torch.full((len(source), 1), PAD)
        return Memory(torch.cat((source, room), dim=1)[..., None].float(), AttnMask.full())

    def trunk(
        self, tokens: torch.Tensor, *, memory: Memory | None = None, cache: KVCache | None = None
    ) -> torch.Tensor:
        """(B, 1, 1): the token that comes next."""
        assert memory is not None and cache is not None and not self.training
        here = memory.states[:, min(cache.pos, memory.states.shape[1] - 1), None]
        cache.advance(tokens.shape[1])
        return torch.where(here == PAD, self.end, here + 1)

    def head(self, h: torch.Tensor) -> torch.Tensor:
        return 20.0 * torch.nn.functional.one_hot(h[..., 0].long(), self.n_vocab)


def shifter() -> tuple[Shifter, Tokenizer]:
    tokenizer = char("seq2seq")
    return Shifter(tokenizer), tokenizer


@pytest.mark.parametrize(("beams", "batch_tokens"), [(1, 4096), (1, 1), (1, 20), (4, 40), (4, 4096)])
def test_translations_come_in_the_order_given(
    beams: int, batch_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "POOL", 3)
    model, tokenizer = shifter()
    model.train()
    texts = ["abcabc", "", "a", "bb", "  ", "ccc", "h", "abcdefghi"]
    found = list(translate(model, tokenizer, texts, beams=beams, batch_tokens=batch_tokens))
    assert found == ["bcdbcd", "", "b", "cc", "", "ddd", "i", "bcdefghij"]
    assert model.training
    assert all(B == 1 or B * S * beams <= batch_tokens for B, S in model.batches)
    if batch_tokens == 4096:
        assert len(model.batches) == 2  # six texts that are not empty, three a pool


def test_a_translation_is_the_best_hypothesis_of_the_text_alone() -> None:
    tokenizer = char("seq2seq")
    model = randomized(Seq2Seq(config("seq2seq"), tokenizer.n_vocab))
    texts = ["abc", "jihgfedcba", "a b"]
    begin, end = tokenizer.specials["<bos>"], tokenizer.specials["<eos>"]
    expected = []
    for text in texts:
        memory = model.encode(torch.tensor([tokenizer.encode(text)]))
        found = beam_search(model, memory, [begin], eos_id=end, beams=3, max_new_tokens=7)
        expected.append(tokenizer.decode(found[0][0].ids))
    assert list(translate(model, tokenizer, texts, beams=3, max_new_tokens=7)) == expected


def test_a_text_too_long_is_named_before_anything_is_translated() -> None:
    model, tokenizer = shifter()
    with pytest.raises(UserError, match=r"text 2: the text has 25 tokens.* sees 24 .*`block_size`"):
        translate(model, tokenizer, ["a", "b" * 25])
    assert not model.batches
    assert list(translate(model, tokenizer, [])) == []


@pytest.mark.parametrize("question", ["", "a?"])
def test_an_answer_and_its_probability(question: str) -> None:
    tokenizer = char("captioner")
    model = randomized(Captioner(config("captioner", channels=3), tokenizer.n_vocab))
    image = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    found = answer(model, tokenizer, image, question, max_new_tokens=3)
    begin, separate, end = (tokenizer.specials[name] for name in SPECIALS["captioner"])
    ids, p = [begin, *tokenizer.encode(question), separate], 1.0
    n_prompt = len(ids)
    with torch.no_grad():
        memory = model.encode(torch.from_numpy(image)[None])
        while len(ids) < n_prompt + 3 and ids[-1] != end:
            now = model(torch.tensor([ids]), memory=memory)[0, -1].softmax(-1)
            ids.append(int(now.argmax()))
            p *= float(now.max())
    assert found.text == tokenizer.decode(ids[n_prompt:])
    assert found.probability == pytest.approx(p, rel=1e-4)


def test_images_and_questions_that_cannot_be_used() -> None:
    tokenizer = char("captioner")
    model = Captioner(config("captioner"), tokenizer.n_vocab)
    image = np.zeros((1, 8, 8), np.uint8)
    with pytest.raises(UserError, match=r"\(1, 9, 8\).*\(1, 8, 8\)"):
        answer(model, tokenizer, np.zeros((1, 9, 8), np.uint8))
    with pytest.raises(UserError, match="float64"):
        answer(model, tokenizer, image / 255)
    with pytest.raises(UserError, match="prompt of 27 tokens, and the model sees 24"):
        answer(model, tokenizer, image, "a" * 25)


def test_classes_are_ordered_sum_to_one_and_do_not_depend_on_the_batch() -> None:
    tokenizer = char("encoder")
    model = randomized(Classifier(config("encoder", labels=("x", "y", "z")), tokenizer.n_vocab)).train()
    texts = ["abc", "a", "jjjjjjjj", "b" * 100, "cab"]
    found = list(classify(model, tokenizer, texts))
    assert model.training
    model.eval()
    for text, given in zip(texts, found, strict=True):
        with torch.no_grad():
            p = model(torch.tensor([tokenizer.encode(text)[:24]]))[0, 0].softmax(-1).tolist()
        assert given == pytest.approx(dict(zip("xyz", p, strict=True)), abs=1e-5)
        assert list(given.values()) == sorted(given.values(), reverse=True)
    with pytest.raises(UserError, match="text 2: an empty text has no class"):
        classify(model, tokenizer, ["a", ""])


def masked_lm(tokenizer: Tokenizer, seed: int = 1) -> MaskedLM:
    return randomized(MaskedLM(config("encoder"), tokenizer.n_vocab), seed)


def permitted(tokenizer: Tokenizer) -> torch.Tensor:
    """(V,): the letters, and the bytes of other characters that can be read."""
    characters = [chr(byte) for byte in range(128)]
    legible = {c for c in characters if c.isprintable() or c.isspace()}
    texts = [tokenizer.decode([id]) for id in range(tokenizer.n_vocab)]
    own = [id < len(LETTERS) or text not in LETTERS for id, text in enumerate(texts)]
    return torch.tensor([text in legible and mine for text, mine in zip(texts, own, strict=True)])


@pytest.mark.parametrize("seed", range(5))
def test_gaps_are_filled_the_most_certain_first(seed: int) -> None:
    """The slow way: one gap after another, each choice from a forward pass over all ids."""
    tokenizer = char("encoder")
    model, mask = masked_lm(tokenizer, seed), tokenizer.specials["<mask>"]
    found = fill(model, tokenizer, "ab[??]cd [?]e", n=3)
    ids = [*tokenizer.encode("ab"), mask, mask, *tokenizer.encode("cd "), mask, *tokenizer.encode("e")]
    rounds = []
    while mask in ids:
        with torch.no_grad():
            p = model(torch.tensor([ids]))[0].masked_fill(~permitted(tokenizer), -math.inf).softmax(-1)
        rounds.append({place: p[place].topk(3) for place, id in enumerate(ids) if id == mask})
        place = max(rounds[-1], key=lambda place: float(rounds[-1][place].values[0]))
        ids[place] = int(rounds[-1][place].indices[0])
    assert found.text == tokenizer.decode(ids)
    for gap, top in zip(found.masks, rounds[0].values(), strict=True):
        assert [text for text, _ in gap] == [tokenizer.decode([i]) for i in top.indices.tolist()]
        assert [value for _, value in gap] == pytest.approx(top.values.tolist(), rel=1e-4)


def test_specials_and_parts_of_characters_are_never_filled_in() -> None:
    tokenizer = train_tokenizer("char", ["ab中"], specials=SPECIALS["encoder"])
    model = masked_lm(tokenizer)
    gap = fill(model, tokenizer, "a[?]", n=10_000).masks[0]
    texts = [text for text, _ in gap]
    assert sorted(texts) == sorted(set(texts)) and {"a", "b", "中", "z", "\n"} <= set(texts)
    assert all((len(text) == 1 and text.isprintable()) or text.isspace() for text in texts)
    assert sum(p for _, p in gap) == pytest.approx(1, abs=1e-5)


def test_a_gap_after_a_space_is_a_word_where_tokens_begin_with_spaces() -> None:
    sentence = "the cat sat on the mat and the dog lay low; "
    tokenizer = train_tokenizer("bpe", [sentence * 9], vocab_size=300, specials=SPECIALS["encoder"])
    others = set()
    for seed in range(5):
        found = fill(masked_lm(tokenizer, seed), tokenizer, "cat[?] the [?]", n=4)
        assert all(text.startswith(" ") and len(text) > 1 for text, _ in found.masks[1])
        assert len(found.masks[0]) == 4
        other, word = found.text.removeprefix("cat").split(" the ")
        assert word.strip() == word
        others.add(other[0])
    assert others != {" "}  # the other gap stays free to be no word


def test_a_long_text_is_seen_around_its_gaps() -> None:
    tokenizer = char("encoder")
    model = masked_lm(tokenizer)
    before, after = "abcdefghij" * 3, "jihgfedcba" * 3
    whole = fill(model, tokenizer, f"{before}[??]{after}")
    part = fill(model, tokenizer, f"{before[-11:]}[??]{after[:11]}")
    assert whole.text == before + part.text[11:13] + after
    assert whole.masks == part.masks
    for long, seen in ((f"{before}[?]", f"{before[-23:]}[?]"), (f"[?]{after}", f"[?]{after[:23]}")):
        assert fill(model, tokenizer, long).masks == fill(model, tokenizer, seen).masks
    less = f"{before[-20:]}[?]"
    assert fill(model, tokenizer, f"{before}[?]").masks != fill(model, tokenizer, less).masks
    with pytest.raises(UserError, match="spread over 32 tokens, and the model sees 24"):
        fill(model, tokenizer, f"[?]{before}[?]")


def test_a_text_without_a_gap_says_how_to_write_one() -> None:
    tokenizer = char("encoder")
    model = masked_lm(tokenizer).train()
    with pytest.raises(UserError, match=r"no mask in 'what\?'.*Write \[\?\]"):
        fill(model, tokenizer, "what?")
    with pytest.raises(UserError, match="to list for each mask, is 0"):
        fill(model, tokenizer, "[?]", n=0)
    assert fill(model, tokenizer, "[?]").text and model.training
