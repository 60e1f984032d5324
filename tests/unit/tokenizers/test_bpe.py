"""Of byte-level BPE alone: the size of its vocabulary, and cuts of long text that change no token."""

import random
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from glassgpt.errors import UserError
from glassgpt.tokenizers import BpeTokenizer, bpe, train_tokenizer

WORDS = ["to", "be", "1", ".", "'s", " ", " ", "   ", "\n", "\n\n\n", "\x1c", "\x85", "\u3000", "\u2028"]


@cache
def trained() -> BpeTokenizer:
    text = "to be, or not to be.\x1c\n\n\nto    1.1 .\x1c.\x1f be\x85\u3000   's\n"
    return BpeTokenizer.train([text] * 9, vocab_size=320)


def test_bpe_stops_where_the_text_supports_no_more() -> None:
    tokenizer = train_tokenizer("bpe", ["ab ab ab cd"], vocab_size=4096)
    assert 257 <= tokenizer.n_vocab <= 260
    assert tokenizer.describe() == f"bpe: {tokenizer.n_vocab} byte-level tokens"


@pytest.mark.parametrize(
    ("vocab_size", "specials"), [(256, ()), (0, ()), (-5, ()), (259, ("<pad>", "<bos>", "<eos>"))]
)
def test_bpe_without_room_for_the_bytes(vocab_size: int, specials: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=f"`vocab_size` is {vocab_size}, but 256 bytes"):
        train_tokenizer("bpe", ["text"], vocab_size=vocab_size, specials=specials)


@settings(max_examples=200, deadline=None)
@given(text=st.text() | st.text("to \n"), size=st.integers(1, 12))
def test_bpe_cuts_keep_the_text_and_cut_at_borders_where_they_can(text: str, size: int) -> None:
    pieces = list(bpe._pieces(text, size))
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= 2 * size for piece in pieces)


@settings(max_examples=300, deadline=None)
@given(words=st.lists(st.text(max_size=3) | st.sampled_from(WORDS), max_size=12))
@example([".", "\x1c"])  # space to Python, punctuation to the byte-level regex
@example(["to", "   ", "be"])
def test_bpe_cuts_between_words_leave_the_tokens_as_they_were(words: list[str]) -> None:
    tokenizer, text = trained(), "".join(words)
    border = [match.start() for match in bpe._BORDER.finditer(text)]
    cut = [text[i:j] for i, j in zip([0, *border], [*border, None], strict=True)]
    inner = tokenizer._inner
    assert [id for piece in cut for id in inner.encode(piece).ids] == inner.encode(text).ids


@pytest.mark.parametrize("letters", ["ACGT", " \n", "a"])
def test_bpe_of_one_endless_word_is_trained_on_short_stretches_of_it(letters: str) -> None:
    """Training time is quadratic in the length of a word."""
    text = "".join(random.Random(0).choices(letters, k=100_000))
    tokenizer = train_tokenizer("bpe", [text], vocab_size=400)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert max(len(tokenizer.token_bytes([id])) for id in range(tokenizer.n_vocab)) <= 100
