"""Every command and flag that a text names exists: in messages, help, chapters, README and guide."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from glassgpt.cli.flags import with_flags
from glassgpt.cli.help import help_page
from glassgpt.cli.main import COMMANDS, app
from glassgpt.cli.view.terminal import Terminal
from glassgpt.language import LOCALE

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "glassgpt"
PAGES = (
    *(ROOT / "README.md", ROOT / "docs" / "glossary.md"),
    *sorted((ROOT / "docs" / "guide").glob("*.md")),
    *sorted(LOCALE.rglob("*.po")),
)

LINE = re.compile(r"\bglassgpt ([a-z]+)([^`\n|#)(]*)")
"""A command with what follows it on its line."""
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]")
PROSE = {"as", "did", "does", "executes", "has", "of", "reads", "that", "wrote"}
"""Words that follow the name of the program in sentences."""
EVERYWHERE = {"--help", "--version", "--lang"}
FOREIGN = {
    *("--nproc-per-node", "--standalone"),  # torchrun
    "--upgrade",  # pip
    *("--omit", "--no-audit", "--no-fund", "--log"),  # npm and Vite
    "--logdir",  # tensorboard
    "--temp",  # llama.cpp
    "--no",  # begins the name of a switch that is off
}
"""Flags of other programs, and parts of ours."""
OTHER_NAMES = {"config/synonyms.py", "config/renamed.py"}
"""Files with the flags that users try, of other programs and of old versions."""


@cache
def flags(command: str) -> frozenset[str]:
    """Return the flags of a command, with those of its topics of help."""
    panels = help_page(app, command.split(), Terminal()).options()
    names = {name for panel in panels for entry in panel.entries for name in entry.names}
    return frozenset(
        names | EVERYWHERE | {"--help-all"} | {f"--help-{panel.title.lower()}" for panel in panels}
    )


@cache
def all_flags() -> frozenset[str]:
    """Return the flags of all commands."""
    return frozenset(flag for command in [*COMMANDS, "bench generate"] for flag in flags(command))


def problems(text: str) -> list[str]:
    """Return the commands and flags of a text that do not exist."""
    found = [flag for flag in FLAG.findall(text) if flag not in all_flags() | FOREIGN]
    for word, rest in LINE.findall(text):
        if word not in {*COMMANDS, *PROSE}:
            found.append(f"glassgpt {word}")
        elif word in COMMANDS:
            command = "bench generate" if word == "bench" else word
            found += [f"{word} {flag}" for flag in FLAG.findall(rest) if flag not in flags(command)]
    return found


def strings(path: Path) -> Iterator[str]:
    """Yield the texts of a source file, docstrings too; fields are dots."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_a_wrong_name_is_seen() -> None:
    assert problems("Use `glassgpt trian a.txt`.") == ["glassgpt trian"]
    assert problems("Give --no-such-flag.") == ["--no-such-flag"]
    assert problems("`glassgpt runs --minutes 3`") == ["runs --minutes"]
    assert not problems("`glassgpt train a.txt --minutes 3` with --help-model; glassgpt did not write it")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages(page: Path) -> None:
    assert not problems(page.read_text("utf-8"))


def test_texts_of_the_source() -> None:
    found = {
        f"{path.relative_to(SOURCE)}: {problem}"
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).as_posix() not in OTHER_NAMES
        for text in strings(path)
        for problem in problems(with_flags(text))
    }
    assert not found, sorted(found)


def test_command_lines_that_are_composed() -> None:
    """`command_line` takes the name of a command first."""
    named = {
        call.args[0].value
        for path in SOURCE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "command_line"
        and isinstance(call.args[0], ast.Constant)
    }
    assert len(named) >= 5 and named <= COMMANDS.keys()
