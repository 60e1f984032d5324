"""Text of subtitles (.srt, .vtt, .ass, .ssa), without times and styles."""

from __future__ import annotations

from collections.abc import Iterator

from glassgpt.data.files.html import MAX_PAGE
from glassgpt.data.files.report import Report
from glassgpt.data.files.unreadable import NotText
from glassgpt.language import N_

SUBTITLES = frozenset({".srt", ".vtt", ".ass", ".ssa"})


def read_subtitles(pieces: Iterator[str], name: str, report: Report) -> Iterator[str]:
    """Yield the text of each subtitle on lines of its own; those without text are counted.

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
    said = [event.plaintext.strip() for event in events if not event.is_comment]
    if not any(said):
        raise NotText("{name}: it has no subtitles. Give it the ending .txt.", name=name)
    for number, text in enumerate(said, 1):
        if text:
            yield text + "\n"
        else:
            report.skip_empty(N_("{name}, subtitle {number}", name=name, number=number))
