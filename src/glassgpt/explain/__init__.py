"""Lecture notes as live chapters, measured on a trained model."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from glassgpt.errors import UserError
from glassgpt.explain.content import Chapter, Grid, expectation, figure
from glassgpt.explain.context import BUILTIN, ChapterContext, Demo
from glassgpt.explain.exercise import Checked, load_exercises
from glassgpt.explain.influence import held_out_prompt, held_out_questions, held_out_text
from glassgpt.explain.lesson import Lesson, load_lesson
from glassgpt.explain.notebook import make_notebook
from glassgpt.explain.path import PATH, LearningPath, LearningStep, learning_path, near_hint
from glassgpt.explain.progress import finished_steps, forget_steps, progress_file, record_step, record_use
from glassgpt.language import LANGUAGES, translator, using
from glassgpt.language import language as chosen
from glassgpt.wrap import wrapped

if TYPE_CHECKING:
    from glassgpt.plots import Plot

__all__ = [
    "BUILTIN",
    "LANGUAGES",
    "PATH",
    "Chapter",
    "ChapterContext",
    "Checked",
    "Demo",
    "Grid",
    "LearningPath",
    "LearningStep",
    "Lesson",
    "chapter",
    "check",
    "expectation",
    "figure",
    "finished_steps",
    "forget_steps",
    "held_out_prompt",
    "held_out_questions",
    "held_out_text",
    "learning_path",
    "load_lesson",
    "make_notebook",
    "progress_file",
    "record_step",
    "record_use",
    "titles",
    "translator",
    "unmeasured_chapter",
    "wrapped",
]

NAMES = (
    "loss",
    "sampling",
    "temperature",
    "weighted-sum",
    "query-key",
    "scale",
    "mask",
    "graph",
    "positions",
    "qkv",
    "buffers",
    "block",
    "cross",
    "ladder",
)
"""All chapters, in the order of reading; each is a module of this package with a function `make_chapter`."""


def chapter(
    name: str,
    run: Path | str | None = None,
    *,
    seed: int = 0,
    language: str | None = None,
) -> Chapter:
    """Measure and write a chapter of the notes.

    run: folder of a run. The chapter shows its model if it can, and a small built-in one otherwise.
    language: `en` or `zh`; by default that of `gg.set_language`. Raises UserError for an unknown chapter.
    """
    _check_name(name)
    _ = translator(language := language or chosen())
    context = ChapterContext(None if run is None else Path(run), seed, gettext=_)
    with using(language):
        read = _with_lesson(_module(name).make_chapter(context, _), context, language)
    if context.own is None or context.own_was_shown:
        return read
    note = _("{run} is a {family} and cannot show this. A built-in run is shown instead.")
    note = note.format(run=context.own.name, family=context.own.model.config.family)
    return replace(read, body=(note, *read.body))


def unmeasured_chapter(name: str, language: str | None = None) -> Chapter:
    """Return a chapter without measuring it: title, lesson and exercises only."""
    _check_name(name)
    _ = translator(language := language or chosen())
    empty = Chapter(name, _(_module(name).TITLE), (), (), _no_plot, _)
    return _with_lesson(empty, ChapterContext(gettext=_), language)


def titles(language: str | None = None) -> dict[str, str]:
    """Return the title of each chapter by its name, without measuring."""
    _ = translator(language := language or chosen())
    return {name: _(_module(name).TITLE) for name in NAMES}


def check(name: str, exercise: int, answer: object, *, language: str | None = None) -> Checked:
    """Check an answer to an exercise of a chapter.

    exercise: its number in the chapter, from 1. answer: a number, or a function where the exercise asks for
    one. The result is true if the answer is right, and holds a hint if not. Raises UserError for an unknown
    chapter or exercise.

    >>> check("loss", 1, 0.152, language="en")
    ✗ Not yet: that is in bits. In nats, take the natural logarithm.
    """
    _check_name(name)
    _ = translator(language := language or chosen())
    found = load_exercises(name, _)
    if not 1 <= exercise <= len(found):
        raise UserError(
            "the chapter {name!r} has no exercise {exercise}. Choose 1 to {n_found}.",
            name=name,
            exercise=exercise,
            n_found=len(found),
        )
    return found[exercise - 1].check(answer, _)


def _no_plot() -> Plot:
    raise UserError("a chapter that is not measured has no plot. Measure the chapter with `chapter`.")


def _check_name(name: str) -> None:
    if name not in NAMES:
        raise UserError(
            "there is no chapter {name!r}{hint}. Choose one of {names}.",
            name=name,
            hint=near_hint(name, NAMES),
            names=", ".join(NAMES),
        )


def _with_lesson(read: Chapter, context: ChapterContext, language: str) -> Chapter:
    """Add the lesson, on the user's run if the chapter shows it, and the exercises."""
    _ = read.gettext
    run = str(context.run) if context.own_was_shown else None
    code = load_lesson(read.name).translated(_)
    code = code if run is None else code.with_values(RUN=run)
    return replace(read, lesson=code, exercises=load_exercises(read.name, _), language=language, run=run)


def _module(name: str) -> ModuleType:
    return import_module(f"glassgpt.explain.chapters.{name.replace('-', '_')}")
