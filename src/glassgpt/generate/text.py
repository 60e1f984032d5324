"""Incremental detokenization: ids to text, never half a character, nothing after a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence

from glassgpt.errors import UserError
from glassgpt.generate.request import Token
from glassgpt.tokenizers import Tokenizer


class TextStream:
    """Decode ids piece by piece; hold back a possible start of a stop string.

    stop: strings that end the text before them; until: strings that end it and belong to it. Raises UserError
    for an empty one, and for a string in place of a list of them.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = (), until: Sequence[str] = ()) -> None:
        _check_stops("stop", stop)
        _check_stops("until", until)
        self.tokenizer, self.stop, self.until = tokenizer, tuple(stop), tuple(until)
        self.stopped = False
        """True after a stop string; no text follows."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, id: int) -> str:
        """Add a token and return the text that is now certain; often empty."""
        return self._advance(self._decoder.decode(self.tokenizer.token_bytes([id])))

    def close(self) -> str:
        """Return the text held back. An incomplete character becomes U+FFFD."""
        rest = self._advance(self._decoder.decode(b"", final=True)) + ("" if self.stopped else self._held)
        self._held = ""
        return rest

    def _advance(self, piece: str) -> str:
        if self.stopped:
            return ""
        self._held += piece
        ends = [at for s in self.stop if (at := self._held.find(s)) >= 0]
        ends += [at + len(s) for s in self.until if (at := self._held.find(s)) >= 0]
        if ends:
            self.stopped = True
            return self._held[: min(ends)]
        keep = max((_overlap(self._held, s) for s in self.stop), default=0)
        certain = self._held[: len(self._held) - keep]
        self._held = self._held[len(certain) :]
        return certain


class TextAccumulator:
    """The text of one request so far, from the engine's tokens, with stop strings.

    A server feeds it with `Engine.fetch` and sends the pieces on. After a stop string the engine still
    generates: cancel the request once `finish_reason` is set.

    >>> from glassgpt.tokenizers import train_tokenizer
    >>> text = TextAccumulator(train_tokenizer("byte", [""]), stop=["lo"])
    >>> [text.add(Token(id)) for id in b"hello"], text.finish_reason
    (['h', 'e', '', 'l', ''], 'stop')
    >>> text.text
    'hel'
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = (), until: Sequence[str] = ()) -> None:
        self.ids: list[int] = []
        self.logprob = 0.0
        """Sum of the tokens' log probabilities, if the request reports them."""
        self.finish_reason: str | None = None
        """`stop` after a stop string or the end token, `length` at the limit; None before."""
        self._stream, self._pieces = TextStream(tokenizer, stop, until), list[str]()

    @property
    def text(self) -> str:
        """The text so far, without stop string and end token."""
        return "".join(self._pieces)

    def add(self, token: Token) -> str:
        """Add a token and return the new text; ignore tokens after the end."""
        if self.finish_reason is not None:
            return ""
        self.ids.append(token.id)
        self.logprob += token.logprob or 0.0
        piece = "" if token.finish_reason == "stop" else self._stream.feed(token.id)
        self.finish_reason = "stop" if self._stream.stopped else token.finish_reason
        if self.finish_reason is not None:
            piece += self._stream.close()
        self._pieces.append(piece)
        return piece


def stream_text(
    tokenizer: Tokenizer, ids: Iterable[int], stop: Sequence[str] = (), until: Sequence[str] = ()
) -> Iterator[str]:
    """Return pieces of text, never half a character, before the first `stop` or after the first `until`.

    Raises UserError as `TextStream`, at once.
    """
    return _pieces(TextStream(tokenizer, stop, until), ids)


def _check_stops(name: str, given: Sequence[str]) -> None:
    """Raise UserError unless a list of stop strings is one."""
    if isinstance(given, str) or not all(isinstance(each, str) for each in given):
        raise UserError("`{name}` is {given!r}. Give a list of strings.", name=name, given=given)
    if "" in given:
        raise UserError(
            "`{name}`: an empty string is part of every text. Give at least one character.", name=name
        )


def _pieces(stream: TextStream, ids: Iterable[int]) -> Iterator[str]:
    for id in ids:
        if piece := stream.feed(id):
            yield piece
        if stream.stopped:
            return
    if rest := stream.close():
        yield rest


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest suffix of `text` that begins `stop`."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
