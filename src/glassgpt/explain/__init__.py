"""Lecture notes as live chapters, measured on a trained model."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType

from glassgpt.errors import UserError
from glassgpt.explain.content import MARKS, Chapter, Grid, expectation, figure
from glassgpt.explain.context import BUILTIN, ChapterContext, Demo
from glassgpt.explain.translations import LANGUAGES, translator

__all__ = [
    "BUILTIN",
    "LANGUAGES",
    "MARKS",
    "Chapter",
    "ChapterContext",
    "Demo",
    "Grid",
    "chapter",
    "expectation",
    "figure",
    "titles",
    "translator",
]

NAMES = (
    "loss",
    "sampling",
    "temperature",
    "weighted-sum",
    "query-key",
    "scale",
    "graph",
    "mask",
    "cross",
    "qkv",
    "buffers",
    "ladder",
)
"""All chapters, in the order of reading; each is a module of this package with a function `make_chapter`."""


def chapter(
    name: str,
    run: Path | str | None = None,
    *,
    seed: int = 0,
    language: str | None = None,
    seconds: float | None = None,
) -> Chapter:
    """Measure and write a chapter of the notes.

    run: folder of a run. The chapter shows its model if it can, and a small built-in one otherwise.
    language: `en` or `zh`; by default that of the environment. seconds: training time of each rung in the
    chapter `ladder`, by default 0.3. Raises UserError for an unknown chapter.
    """
    if name not in NAMES:
        near = get_close_matches(name, NAMES, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UserError(f"there is no chapter {name!r}{hint}. Choose one of {', '.join(NAMES)}.")
    _ = translator(language)
    context = ChapterContext(None if run is None else Path(run), seed, gettext=_)
    if seconds is not None:
        if name != "ladder" or not 0 < seconds <= 3600:
            raise UserError(
                f"seconds is {seconds:g} for the chapter {name!r}: only `ladder` takes it, above 0 and up to "
                "3,600"
            )
        context = replace(context, seconds=seconds)
    read = _module(name).make_chapter(context, _)
    if context.own is None or context.own_was_shown:
        return read
    note = _("{run} is a {family} and cannot show this. A built-in run is shown instead.")
    note = note.format(run=context.own.name, family=context.own.model.config.family)
    return replace(read, body=(note, *read.body))


def titles(language: str | None = None) -> dict[str, str]:
    """Return the title of each chapter by its name, without measuring."""
    _ = translator(language)
    return {name: _(_module(name).TITLE) for name in NAMES}


def _module(name: str) -> ModuleType:
    return import_module(f"glassgpt.explain.chapters.{name.replace('-', '_')}")
