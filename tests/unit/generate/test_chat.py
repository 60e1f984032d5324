"""Replies end where a turn ends, long conversations lose their oldest turns, and never the system message."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from glassgpt.config import ModelConfig
from glassgpt.data import CHAT_SPECIALS, ChatTemplate, Message
from glassgpt.errors import UserError
from glassgpt.generate import SamplingParams, chat_prompt, reply
from glassgpt.models import Model, build
from glassgpt.tokenizers import Tokenizer, train_tokenizer

GREEDY = SamplingParams(temperature=0)


@pytest.fixture
def tokenizer() -> Tokenizer:
    return train_tokenizer("byte", "", specials=CHAT_SPECIALS)


class Parrot(Model):
    """Writes a fixed text, whatever it reads."""

    def __init__(self, ids: list[int], n_vocab: int, block_size: int) -> None:
        super().__init__(ModelConfig.model_validate({"size": "nano", "block_size": block_size}), n_vocab)
        self.ids, self.read = iter(ids), list[list[int]]()
        self.place = torch.nn.Parameter(torch.zeros(1))

    def trunk(self, tokens: Tensor, **_: object) -> Tensor:
        self.read.append(tokens[0].tolist())
        return tokens[..., None].float()

    def head(self, h: Tensor) -> Tensor:
        logits = torch.zeros(*h.shape[:-1], self.n_vocab)
        logits[..., next(self.ids)] = 1.0
        return logits


def parrot(tokenizer: Tokenizer, text: str, end: str, block_size: int = 64) -> Parrot:
    after = tokenizer.encode(" and on and on")
    return Parrot([*tokenizer.encode(text), tokenizer.specials[end], *after], tokenizer.n_vocab, block_size)


def words(pieces: Iterator[str]) -> str:
    return "".join(pieces)


@pytest.mark.parametrize("end", ["<end>", "<user>"])
def test_a_reply_ends_with_its_turn(tokenizer: Tokenizer, end: str) -> None:
    model = parrot(tokenizer, "où? <end>", end)  # those are letters, and end nothing
    assert words(reply(model, tokenizer, [Message("user", "hi")], GREEDY)) == "où? <end>"
    assert model.read[0] == ChatTemplate(tokenizer).prompt([Message("user", "hi")])


def test_the_oldest_turns_are_dropped_whole(tokenizer: Tokenizer) -> None:
    model = parrot(tokenizer, "x", "<end>", block_size=40)
    turns = [m for i in range(5) for m in (Message("user", f"q{i}"), Message("assistant", f"a{i}"))]
    asked = [Message("system", "s"), *turns, Message("user", "q5")]
    prompt = chat_prompt(model, tokenizer, asked)
    kept = ChatTemplate(tokenizer).read(prompt.ids[:-1])
    assert prompt.n_dropped == 6 and kept == [asked[0], *asked[7:]]
    assert len(prompt.ids) <= 30  # a quarter is left for the reply
    assert chat_prompt(model, tokenizer, asked, max_new_tokens=1).n_dropped == 4
    assert chat_prompt(model, tokenizer, asked[:3]).n_dropped == 0


def test_a_reply_ends_with_the_block(tokenizer: Tokenizer) -> None:
    model = parrot(tokenizer, "x" * 99, "<end>", block_size=32)
    said = words(reply(model, tokenizer, [Message("user", "q" * 20)], GREEDY))
    assert len(said) == 32 - 23 + 1  # <user> <end> <assistant>; the last token is not read again
    assert max(map(len, model.read)) == 32
    with pytest.raises(UserError, match=r"takes 103 tokens, and the model sees 32 .*`block_size`"):
        words(reply(model, tokenizer, [Message("user", "q" * 100)], GREEDY))


def test_the_same_seed_gives_the_same_words(tokenizer: Tokenizer) -> None:
    model = build(ModelConfig.model_validate({"size": "nano"}), tokenizer.n_vocab)
    asked = [Message("user", "hi")]
    once, again, other = (
        words(reply(model, tokenizer, asked, max_new_tokens=20, seed=seed)) for seed in (1, 1, 2)
    )
    assert once == again != other
