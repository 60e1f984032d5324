"""Text of subtitles (.srt, .vtt, .ass, .ssa), without times and styles."""

from __future__ import annotations

from collections.abc import Iterator

from glassgpt.data.files.html import MAX_PAGE
from glassgpt.data.files.unreadable import NotText

SUBTITLES = frozenset({".srt", ".vtt", ".ass", ".ssa"})


def read_subtitles(pieces: Iterator[str], name: str) -> Iterator[str]:
    """Yield the text of each subtitle on lines of its own.

    Raises NotText for a file without subtitles and over MAX_PAGE characters.
    """
    import pysubs2  # here: only subtitles need it

    whole = ""
    for piece in pieces:
        if len(whole := whole + piece) > MAX_PAGE:
            raise NotText(
                "{name}: it has more than {limit:,} characters. Split it.", name=name, limit=MAX_PAGE
            )
    try:
        events = pysubs2.SSAFile.from_string(whole).events
    except Exception as error:  # the library raises its own errors, and nearly any other
        raise NotText(
            "{name}: these are no subtitles ({error}). Give it the ending .txt.", name=name, error=error
        ) from error
    said = [text for event in events if not event.is_comment and (text := event.plaintext.strip())]
    if not said:
        raise NotText("{name}: it has no subtitles. Give it the ending .txt.", name=name)
    yield from (text + "\n" for text in said)
