"""Copies of the package that each lack one fsync, one atomic rename or one check of a hash.

The places are found in the syntax tree, so that none is forgotten when the code changes.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
PACKAGE = SOURCE / "glassgpt"
FILES = [
    PACKAGE / "atomic_write.py",
    *sorted((PACKAGE / "checkpoint").rglob("*.py")),
    PACKAGE / "train/resume_run.py",
    PACKAGE / "train/start_run.py",
]
SYNCS = {"sync", "sync_above", "fsync"}
CHECKS = {"check_hashes", "verify_step", "check_data_hashes", "check_data"}
NOT_AT_ONCE = '''

def _not_at_once(source, target):
    """A copy and a removal, where the right code renames."""
    import pathlib, shutil
    source, target = pathlib.Path(source), pathlib.Path(target)
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    shutil.rmtree(source) if source.is_dir() else source.unlink()
'''


@dataclass(frozen=True)
class Removal:
    """What is taken away: `new` instead of the text of a node of the syntax tree."""

    file: Path
    function: str
    node: ast.expr
    new: str

    def __str__(self) -> str:
        where = f"{self.file.relative_to(SOURCE / 'glassgpt')}:{self.node.lineno}"
        return f"{where} {self.function}: {ast.unparse(self.node)}"

    def changed(self) -> str:
        """The file's text without it."""
        text, node = self.file.read_text("utf-8"), self.node
        lines = text.splitlines(keepends=True)
        assert node.end_lineno is not None
        begin, end = (
            sum(map(len, lines[: line - 1])) + len(lines[line - 1].encode()[:column].decode())
            for line, column in ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset or 0))
        )
        return text[:begin] + self.new + text[end:] + NOT_AT_ONCE

    def make(self, folder: Path) -> Path:
        """A copy of the package without it; returns what is to be searched for modules."""
        shutil.copytree(
            SOURCE / "glassgpt", folder / "glassgpt", ignore=shutil.ignore_patterns("__pycache__")
        )
        (folder / self.file.relative_to(SOURCE)).write_text(self.changed(), "utf-8")
        return folder


def removals() -> list[Removal]:
    """All there are."""
    found = []
    for file in FILES:
        tree = ast.parse(file.read_text("utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                found += [Removal(file, function.name, *each) for each in _in_function(function)]
    return found


def _in_function(function: ast.FunctionDef) -> Iterator[tuple[ast.expr, str]]:
    for node in ast.walk(function):
        match node:
            case ast.Expr(ast.Call() as call) if _name(call) in SYNCS | CHECKS:
                yield call, "None"
            case ast.Call(ast.Attribute(value=ast.Name("os"), attr="rename" | "replace"), [a, b]):
                yield node, f"_not_at_once({ast.unparse(a)}, {ast.unparse(b)})"
            case ast.Call(ast.Attribute(value=a, attr="rename"), [b]):
                yield node, f"_not_at_once({ast.unparse(a)}, {ast.unparse(b)})"
            case ast.Compare(left=ast.Call() as call) if _name(call) == "fingerprint":
                yield node, "False"


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
