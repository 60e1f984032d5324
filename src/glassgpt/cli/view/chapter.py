"""A chapter as the terminal shows it: the lesson's cells with their results, then what was measured."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.text import Text

from glassgpt.cli.view.findings import findings_table
from glassgpt.cli.view.learn import neighbors
from glassgpt.cli.view.numbers import numbers_table
from glassgpt.cli.view.terminal import printable
from glassgpt.explain import Chapter, Grid, LearningPath, wrapped

WIDTH = 96
THEME = "ansi_dark"
"""Colors of the terminal's own palette, so that they fit its background."""


def chapter_page(read: Chapter, width: int, path: LearningPath) -> RenderableType:
    """Build the page of a chapter, at most `width` columns wide."""
    _ = read.gettext
    parts: list[RenderableType] = [_heading(read.title), Text(), *_lesson(read, width)]
    parts += [_heading(_("Measured")), Text()]
    for part in read.body:
        parts += [_paragraph(part, width) if isinstance(part, str) else _grid(part), Text()]
    parts += [findings_table(read.findings, _("measured"), _("expected")), Text()]
    return Group(*parts, *_exercises(read, width), *_ways_out(read), *_neighbors(read, path))


def highlighted(code: str) -> Text:
    """Color Python code, on the background of the terminal."""
    text = Syntax("", "python", theme=THEME, background_color="default").highlight(code)
    text.rstrip()
    return text


def _lesson(read: Chapter, width: int) -> Iterator[RenderableType]:
    """Yield each cell: its text, or its code with the result below."""
    for cell, output in zip(read.lesson.cells, read.lesson.run(), strict=True):
        if cell.is_code:
            yield _indented(highlighted(cell.shown))
            yield _result(output, width)
            yield Text()
            continue
        for paragraph in cell.source.split("\n\n"):
            title = paragraph.removeprefix("## ")
            yield _paragraph(paragraph, width) if title == paragraph else _heading(title)
            yield Text()


def _exercises(read: Chapter, width: int) -> Iterator[RenderableType]:
    _ = read.gettext
    yield _heading(_("Exercises"))
    yield Text()
    for number, exercise in enumerate(read.exercises, 1):
        yield _paragraph(f"{number}. {exercise.question}", width)
        answer = _("NUMBER") if exercise.answer_name == "answer" else f"{exercise.answer_name}.py"
        yield Text(f"   glassgpt explain {read.name} --answer {number} {answer}", "dim")
        yield Text()


def _ways_out(read: Chapter) -> Iterator[RenderableType]:
    _ = read.gettext
    yield Text(
        _("As a notebook: {command}").format(
            command=f"glassgpt explain {read.name} --notebook {read.name}.ipynb"
        ),
        "dim",
    )
    yield Text(
        _("The code alone: {command}").format(
            command=f"glassgpt explain {read.name} --code > {read.name}.py"
        ),
        "dim",
    )


def _neighbors(read: Chapter, path: LearningPath) -> Iterator[RenderableType]:
    """Yield the steps before and after, with their commands."""
    yield from (Text(line, "dim") for line in neighbors(path, read.name))


def _indented(code: Text) -> Text:
    return Text("\n").join(Text("    ") + line if line else line for line in code.split("\n"))


def _result(output: str, width: int) -> Text:
    """Build the printed lines of a cell, the first with an arrow."""
    lines = [wrapped(printable(line), width - 4) for line in output.splitlines()]
    return Text("  → " + "\n".join(lines).replace("\n", "\n    "), "green")


def _heading(text: str) -> Text:
    return Text(text, "bold cyan")


def _paragraph(text: str, width: int) -> Text:
    return Text(wrapped(printable(text), width))


def _grid(grid: Grid) -> RenderableType:
    table = numbers_table(grid.title, grid.rows, grid.columns, grid.values, grid.decimals, grid.shade)
    return Padding(table, (0, 0, 0, 2))
