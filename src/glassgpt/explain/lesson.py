"""Lessons: the code of a chapter, in cells, read from a script in percent format.

The scripts lie in `lessons/`, one for each chapter, and run by themselves. A cell ends with `print(f"…")`: a
sentence with figures from its variables. A translation replaces sentences, paragraphs and comments; the code
stays.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from rich.cells import cell_len

from glassgpt.errors import UserError
from glassgpt.language import Translate
from glassgpt.wrap import wrapped

LESSONS = Path(__file__).parent / "lessons"
MARKDOWN = "# %% [markdown]"
CODE = "# %%"
WORDS = re.compile(r"[A-Za-z]{3}")
"""A comment with such a match is prose; others hold shapes."""
PHRASE = re.compile(r"(?:\{[^{}]*\}|[^，。；：{}])+[，。；：]?")
"""Part of a Chinese sentence, up to its punctuation mark; fields stay whole."""
WIDTH = 96
"""Columns of paragraphs and translated sentences in a script; a Chinese character takes two."""


@dataclass(frozen=True)
class Cell:
    """One cell: paragraphs of Markdown, or code."""

    source: str
    is_code: bool

    @property
    def shown(self) -> str:
        """The code without the sentences that it prints."""
        lines = self.source.splitlines()
        for node in reversed(_sentences(self.source)):
            del lines[node.lineno - 1 : node.end_lineno]
        return "\n".join(lines).strip("\n")

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text to translate: paragraphs, or comments and sentences."""
        if not self.is_code:
            return tuple(self.source.split("\n\n"))
        return (*_comments(self.source), *(_template(node) for node in _sentences(self.source)))

    def translated(self, _: Translate) -> Cell:
        """Return the cell with its texts translated."""
        if not self.is_code:
            return replace(self, source="\n\n".join(map(_, self.texts)))
        lines = self.source.splitlines()
        for node in reversed(_sentences(self.source)):
            template = _template(node)
            if (found := _(template)) != template:
                lines[node.lineno - 1 : node.end_lineno] = _print(found, " " * node.col_offset)
        code = "\n".join(lines)
        for comment in _comments(self.source):
            code = code.replace(f"# {comment}", f"# {_(comment)}")
        return replace(self, source=code)


@dataclass(frozen=True)
class Lesson:
    """The code of a chapter, with the text between."""

    name: str
    cells: tuple[Cell, ...]

    @property
    def code(self) -> str:
        """The whole lesson as a script that runs by itself, in percent format."""
        return "\n".join(_percent(cell) for cell in self.cells)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text to translate."""
        return tuple(text for cell in self.cells for text in cell.texts)

    def translated(self, _: Translate) -> Lesson:
        """Return the lesson with its texts translated."""
        return replace(self, cells=tuple(cell.translated(_) for cell in self.cells))

    def with_values(self, **values: Any) -> Lesson:
        """Return the lesson with other values of variables.

        Each line `name = …` becomes `name = value`. Raises UserError for a variable that no line of the
        lesson sets.

        >>> load_lesson("loss").with_values(V=30).run()[1]
        'A uniform guess over 30 tokens costs 3.40 nats: ln 30.'
        """
        cells = self.cells
        for name, value in values.items():
            line = re.compile(rf"^{re.escape(name)} = [^#\n]*?(?=  #|$)", re.MULTILINE)
            if not any(cell.is_code and line.search(cell.source) for cell in cells):
                raise UserError(
                    "the lesson {name!r} sets no variable {variable!r}. See `explain --code`.",
                    name=self.name,
                    variable=name,
                )
            new = f"{name} = {value!r}"
            cells = tuple(
                replace(cell, source=line.sub(lambda _, new=new: new, cell.source)) if cell.is_code else cell
                for cell in cells
            )
        return replace(self, cells=cells)

    def run(self) -> tuple[str, ...]:
        """Run the cells in order. Returns the output of each, empty for Markdown.

        The random state and the number of threads of torch are the same afterwards.
        """
        return self.variables()[0]

    def variables(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Run the cells in order. Returns their outputs, and the variables at the end."""
        names: dict[str, Any] = {"__name__": "lesson"}
        n_threads = torch.get_num_threads()
        try:
            with torch.random.fork_rng(devices=[]):
                outputs = tuple(_run(cell, names) if cell.is_code else "" for cell in self.cells)
        finally:
            torch.set_num_threads(n_threads)
        return outputs, names

    def to_dict(self) -> list[dict[str, str]]:
        """Return all cells with their outputs, ready for JSON."""
        return [
            {"code": cell.source, "output": output} if cell.is_code else {"text": cell.source}
            for cell, output in zip(self.cells, self.run(), strict=True)
        ]


@cache
def load_lesson(name: str) -> Lesson:
    """Read the lesson of a chapter, in English."""
    text = (LESSONS / f"{name.replace('-', '_')}.py").read_text("utf-8")
    parts = re.split(rf"^({re.escape(CODE)}.*)\n", text, flags=re.MULTILINE)[1:]  # header, cell, header, …
    return Lesson(name, tuple(_cell(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)))


def _cell(header: str, body: str) -> Cell:
    body = body.strip("\n")
    if header != MARKDOWN:
        return Cell(body, is_code=True)
    lines = [line.removeprefix("#").strip() for line in body.splitlines()]
    paragraphs = "\n".join(lines).split("\n\n")
    return Cell("\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs), is_code=False)


def _percent(cell: Cell) -> str:
    """Return a cell in percent format."""
    if cell.is_code:
        return f"{CODE}\n{cell.source}\n"
    text = "\n\n".join(wrapped(paragraph, WIDTH) for paragraph in cell.source.split("\n\n"))
    lines = [f"# {line}".rstrip() for line in text.split("\n")]
    return "\n".join([MARKDOWN, *lines, ""])


def _run(cell: Cell, names: dict[str, Any]) -> str:
    printed: list[str] = []
    names["print"] = lambda *values: printed.append(" ".join(map(str, values)))
    exec(compile(cell.source, "lesson", "exec", dont_inherit=True), names)
    return "\n".join(printed)


def _sentences(code: str) -> list[ast.Call]:
    """Find the calls `print("…")` and `print(f"…")`, each on lines of its own."""
    return [
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
        and isinstance(node.args[0], ast.JoinedStr)
    ]


def _template(call: ast.Call) -> str:
    """Return the text of `print(f"…")` with its fields in braces."""
    assert isinstance(call.args[0], ast.JoinedStr)
    return "".join(_part(part) for part in call.args[0].values)


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    spec = "" if part.format_spec is None else f":{ast.unparse(part.format_spec)[2:-1]}"
    conversion = "" if part.conversion < 0 else f"!{chr(part.conversion)}"
    return f"{{{ast.unparse(part.value)}{conversion}{spec}}}"


def _print(template: str, indent: str) -> list[str]:
    """Write `print(f"…")`, on several lines if it is long."""
    lines = [""]
    for phrase in PHRASE.findall(template):
        if lines[-1] and cell_len(template) > WIDTH and cell_len(lines[-1] + phrase) > WIDTH:
            lines.append("")
        lines[-1] += phrase
    if len(lines) == 1:
        return [f'{indent}print(f"{template}")']
    return [f"{indent}print(", *(f'{indent}    f"{line}"' for line in lines), f"{indent})"]


def _comments(code: str) -> list[str]:
    """Return the comments that hold words."""
    found = tokenize.generate_tokens(io.StringIO(code).readline)
    texts = [token.string.removeprefix("#").strip() for token in found if token.type == tokenize.COMMENT]
    return [text for text in texts if WORDS.search(text)]
