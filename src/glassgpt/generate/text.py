"""From ids to text as they come: never half a character, and nothing after a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence

from glassgpt.errors import UserError
from glassgpt.tokenizers import Tokenizer


class TextStream:
    """Is fed ids, gives text back. What may begin a stop string is held back until that is clear.

    Raises UserError for an empty stop string.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        if "" in stop:
            raise UserError("a stop string is empty: every text contains it; give at least one character")
        self.tokenizer, self.stop = tokenizer, tuple(stop)
        self.stopped = False
        """Whether a stop string has come: nothing follows."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, id: int) -> str:
        """What can be said for sure after one more token; often nothing, or what was held back before."""
        return self._advance(self._decoder.decode(self.tokenizer.token_bytes([id])))

    def close(self) -> str:
        """What was still held back. A character that never became whole is U+FFFD."""
        rest = self._advance(self._decoder.decode(b"", final=True)) + ("" if self.stopped else self._held)
        self._held = ""
        return rest

    def _advance(self, piece: str) -> str:
        if self.stopped:
            return ""
        self._held += piece
        found = min((at for s in self.stop if (at := self._held.find(s)) >= 0), default=-1)
        if found >= 0:
            self.stopped = True
            return self._held[:found]
        keep = max((_overlap(self._held, s) for s in self.stop), default=0)
        sure = self._held[: len(self._held) - keep]
        self._held = self._held[len(sure) :]
        return sure


def stream_text(tokenizer: Tokenizer, ids: Iterable[int], stop: Sequence[str] = ()) -> Iterator[str]:
    """Pieces of text, never half a character; ends before the first of the `stop` strings."""
    stream = TextStream(tokenizer, stop)
    for id in ids:
        if piece := stream.feed(id):
            yield piece
        if stream.stopped:
            return
    if rest := stream.close():
        yield rest


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
