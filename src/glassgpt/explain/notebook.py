"""Notebook of a chapter: the lesson in cells, exercises, then the measured chapter.

Jupyter's format 4.5 is JSON, so writing one needs no package.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgpt.explain.content import Chapter

METADATA = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}


def make_notebook(read: Chapter) -> dict[str, Any]:
    """Return the notebook of a chapter, not run yet. Write it as JSON in UTF-8."""
    cells = [_cell(f"{read.name}-{i}", source, is_code) for i, (source, is_code) in enumerate(_sources(read))]
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def _sources(read: Chapter) -> Iterator[tuple[str, bool]]:
    """Yield the source of each cell, and True for code."""
    _ = read.gettext
    how = _("Change a value, run the cells again, and the sentences below them change.")
    yield f"# {read.title}\n\n{how}", False
    for cell in read.lesson.cells:
        yield cell.source, cell.is_code
    yield f"## {_('Exercises')}", False
    for number, exercise in enumerate(read.exercises, 1):
        yield f"{number}\\. {exercise.question}", False
        check = f'gg.check("{read.name}", {number}, {exercise.answer_name}, language="{read.language}")'
        gap = "\n" if exercise.answer_name == "answer" else "\n\n\n"
        yield f"{exercise.start}{gap}{check}", True
    module = f"glassgpt.explain.chapters.{read.name.replace('-', '_')}"
    text = _("The chapter checks the fact by measuring. Its functions are in `{module}`.")
    yield f"## {_('Measured')}\n\n{text.format(module=module)}", False
    run = "" if read.run is None else ", RUN"
    yield f'chapter = gg.chapter("{read.name}"{run}, language="{read.language}")\nchapter', True
    yield "chapter.plot()", True


def _cell(name: str, source: str, is_code: bool) -> dict[str, Any]:
    cell = {"id": name, "metadata": {}, "source": source.splitlines(keepends=True)}
    if is_code:
        return cell | {"cell_type": "code", "execution_count": None, "outputs": []}
    return cell | {"cell_type": "markdown"}
