"""Byte-level BPE: bytes of the text, with the most frequent pairs of the training text merged.

Hugging Face `tokenizers`, imported on first use, trains and merges. The inner `tokenizers.Tokenizer` has no
special tokens, so no text of a user can encode to one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.tokenizers.base import TableTokenizer, encoded, number_specials
from glassgpt.tokenizers.format import added_tokens, byte_symbols, obstacle

if TYPE_CHECKING:
    import tokenizers

_PIECE = 1 << 14  # characters merged at once; longer pieces are slower and need more RAM
_BATCH = 64  # pieces encoded together, in parallel on the processor's cores
# The byte-level regex splits between a word and a space or newline too, so the tokens stay the same.
_BORDER = re.compile(r"(?<=\S)[ \n]")
# Other regexes keep punctuation and a newline together; all of them split after a letter.
_LETTER_BORDER = re.compile(r"(?<=[^\W\d_])[ \n]")


class BpeTokenizer(TableTokenizer):
    """A `tokenizers.Tokenizer` of byte-level BPE, with the special tokens kept apart from it.

    >>> tokenizer = BpeTokenizer.train(["low lower slow"] * 9, vocab_size=261)
    >>> tokenizer.n_vocab, [tokenizer.decode([id]) for id in tokenizer.encode("a low bow")]
    (261, ['a', ' low', ' ', 'b', 'o', 'w'])
    """

    kind = "bpe"

    def __init__(
        self, inner: tokenizers.Tokenizer, specials: Mapping[str, int], added: Mapping[str, int] | None = None
    ) -> None:
        """added: other tokens outside the vocabulary, such as `<think>`. They decode to their names."""
        byte_of = {symbol: byte for byte, symbol in enumerate(byte_symbols())}
        self._added = dict(added or {})
        rows = dict.fromkeys(specials.values(), b"") | {id: encoded(name) for name, id in self._added.items()}
        for token, id in inner.get_vocab(with_added_tokens=False).items():
            if token not in specials and token not in self._added:
                rows[id] = bytes(byte_of[symbol] for symbol in token)
        super().__init__([rows[id] for id in range(len(rows))], specials)
        self._inner = inner
        self._border = _BORDER if _splits_as_gpt2(inner) else _LETTER_BORDER

    @classmethod
    def train(cls, chunks: Iterable[str], vocab_size: int, specials: Iterable[str] = ()) -> Self:
        """Merge pairs up to `vocab_size` tokens, specials included, or until no pair occurs twice.

        Raises UserError if `vocab_size` is too small for 256 bytes, the specials and one merge.
        """
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

        names = list(specials)
        if vocab_size < 257 + len(names):
            raise UserError(
                "`vocab_size` is {vocab_size}, but 256 bytes, {n_names} special tokens and one merge need "
                "{least}. Raise it, or use the byte tokenizer.",
                vocab_size=vocab_size,
                n_names=len(names),
                least=257 + len(names),
            )
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
        # Training time is quadratic in the length of a word, and a file of DNA or base64 is one word.
        no_long_words = pre_tokenizers.Split(Regex(r"\S{100}|\s{100}"), "isolated")
        inner = Tokenizer(models.BPE())
        inner.decoder = decoders.ByteLevel()
        inner.pre_tokenizer = pre_tokenizers.Sequence([no_long_words, byte_level])
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size - len(names),
            min_frequency=2,
            initial_alphabet=list(byte_symbols()),
            show_progress=False,
        )
        inner.train_from_iterator((piece for chunk in chunks for piece in _pieces(chunk)), trainer)
        inner.pre_tokenizer = byte_level
        vocab = inner.get_vocab()
        return cls(inner, number_specials(names, vocab, first=len(vocab)))

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Self:
        """Make a tokenizer of the model and pre-tokenizer in a `tokenizers` file, own or foreign.

        Raises UserError if it does not keep the text. With the normalizer NFC, decoding gives the text's NFC.
        """
        from tokenizers import Tokenizer, decoders

        reason = obstacle(spec)
        if reason:
            raise UserError(reason)
        bare = {"model": spec["model"], "pre_tokenizer": spec["pre_tokenizer"], "added_tokens": []}
        absent = dict.fromkeys(["truncation", "padding", "post_processor", "decoder"])
        bare["normalizer"] = spec.get("normalizer")
        inner = Tokenizer.from_str(json.dumps({"version": "1.0", **bare, **absent}))
        inner.decoder = decoders.ByteLevel()
        special, other = (
            {each["content"]: each["id"] for each in spec["added_tokens"] if bool(each["special"]) is kind}
            for kind in (True, False)
        )
        return cls(inner, special, other)

    def with_specials(self, names: Iterable[str]) -> BpeTokenizer:
        """Return a copy with more special tokens, with ids after all others."""
        vocab = {**self._inner.get_vocab(), **self.specials, **self._added}
        more = number_specials(self._lacking(names), vocab, first=self.n_vocab)
        return BpeTokenizer(self._inner, {**self.specials, **more}, self._added)

    def first_merges(self, vocab_size: int) -> BpeTokenizer:
        """Return the tokenizer that training with a smaller vocabulary would have made.

        >>> tokenizer = BpeTokenizer.train(["low lower slow"] * 9, vocab_size=261)
        >>> tokenizer.first_merges(257).decode([256])
        'lo'
        """
        spec = self.spec()
        model, kept = spec["model"], vocab_size - len(self.specials)
        model["vocab"] = {token: id for token, id in model["vocab"].items() if id < kept}
        model["merges"] = model["merges"][: max(0, kept - 256)]
        return BpeTokenizer.from_spec({**spec, "added_tokens": []}).with_specials(self.specials)

    def encode_array(self, text: str) -> np.ndarray:
        """Return the token ids of a text as an array."""
        pieces, parts = _pieces(text, border=self._border), [np.empty(0, self.dtype)]
        while batch := list(islice(pieces, _BATCH)):
            merged = self._inner.encode_batch_fast(batch, add_special_tokens=False)
            parts += [np.array(piece.ids, self.dtype) for piece in merged]
        return np.concatenate(parts)

    def describe(self) -> str:
        """Return a one-line description."""
        return N_(
            "bpe: {n} byte-level tokens{specials}",
            n=self.n_vocab - len(self.specials),
            specials=self._and_specials(),
        )

    def spec(self) -> dict[str, Any]:
        """Return the JSON object of a `tokenizers` file."""
        spec = json.loads(self._inner.to_str())
        tokens = [*added_tokens(self.specials), *added_tokens(self._added, special=False)]
        spec["added_tokens"] = sorted(tokens, key=lambda token: token["id"])
        # The shorter form of merges, one per line; no byte symbol is a space.
        spec["model"]["merges"] = [" ".join(pair) for pair in spec["model"]["merges"]]
        return spec


def _splits_as_gpt2(inner: tokenizers.Tokenizer) -> bool:
    """True if the pre-tokenizer is GPT-2's regex alone."""
    splitter = json.loads(inner.pre_tokenizer.__getstate__()) if inner.pre_tokenizer else {}
    return splitter.get("type") == "ByteLevel" and splitter.get("use_regex", True)


def _pieces(text: str, size: int = _PIECE, border: re.Pattern[str] = _BORDER) -> Iterator[str]:
    """Yield pieces of `size` to 2 × `size` characters, split between words if possible."""
    start = 0
    while start < len(text):
        found = border.search(text, start + size, start + 2 * size)
        stop = found.start() if found else start + size
        piece = text[start:stop]
        encoded(piece)  # raises a clear error for a lone surrogate, before the library fails
        yield piece
        start = stop
