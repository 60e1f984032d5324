"""The lessons: every cell runs in each language, and its sentences depend on its code."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import Any

import pytest

from glassgpt.errors import UserError
from glassgpt.explain import LANGUAGES, NAMES, Lesson, unmeasured_chapter
from helpers.explain_runs import small_run

CHANGES: dict[str, list[dict[str, Any]]] = {
    "loss": [{"V": 30}, {"sigma": 2.0}],
}
"""Other values of variables; together with another run they change the output of every cell."""
FAMILY = {"cross": "seq2seq"}
"""Family of another run, if it is no gpt."""
COLUMNS = 76
"""Most columns of a line of code, so that a terminal of 80 shows it whole."""


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    made: dict[str, str] = {}

    class Runs(dict[str, str]):
        def __missing__(self, family: str) -> str:
            made[family] = self[family] = str(small_run(tmp_path_factory.mktemp(family), family))
            return made[family]

    return Runs()


def lesson_of(name: str, language: str = "en") -> Lesson:
    lesson = unmeasured_chapter(name, language).lesson
    assert lesson is not None
    return lesson


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", CHANGES)
def test_every_cell_runs_and_says_what_it_found(name: str, language: str) -> None:
    lesson = lesson_of(name, language)
    outputs = lesson.run()
    code = [output for cell, output in zip(lesson.cells, outputs, strict=True) if cell.is_code]
    assert 3 <= len(code) <= 8 and all(code), code
    assert not any(re.search(r"[{}]|\bnan\b", output) for output in code), code
    if language == "zh":
        assert all(re.search(r"[\u4e00-\u9fff]", output) for output in code), code


@pytest.mark.parametrize("name", CHANGES)
def test_it_fits_a_terminal(name: str) -> None:
    for language in LANGUAGES:
        for cell in lesson_of(name, language).cells:
            lines = cell.shown.splitlines() if cell.is_code else []
            assert len([line for line in lines if line]) <= 14, cell.shown
            if language == "en":
                assert [line for line in lines if len(line) > COLUMNS] == []


@pytest.mark.parametrize("name", CHANGES)
def test_it_imports_torch_alone_before_it_opens_a_run(name: str) -> None:
    imported = []
    for node in ast.walk(ast.parse(lesson_of(name).code)):
        match node:
            case ast.Import(names=names):
                imported += [alias.name for alias in names]
            case ast.ImportFrom(module=str(module)):
                imported.append(module)
    first = imported.index("glassgpt")
    assert {module.split(".")[0] for module in imported[:first]} <= {"torch", "math"}
    assert imported[first:] and set(imported[first:]) <= {"glassgpt", "glassgpt.explain", "matplotlib"}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_changes_what_follows(name: str, runs: dict[str, str]) -> None:
    """Every sentence depends on the code above it: some change of a value changes it."""
    lesson = lesson_of(name)
    before = lesson.run()
    changes = [*CHANGES[name], {"RUN": runs[FAMILY.get(name, "gpt")]}]
    changed: set[int] = set()
    for change in changes:
        after = lesson.with_values(**change).run()
        differ = {i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}
        assert differ, change
        changed |= differ
    fixed = [before[i] for i, cell in enumerate(lesson.cells) if cell.is_code and i not in changed]
    assert fixed == []


@pytest.mark.parametrize("name", CHANGES)
def test_every_sentence_has_a_figure_from_the_code(name: str) -> None:
    for cell in lesson_of(name).cells:
        if cell.is_code:
            sentences = re.findall(r"print\(\s*(f\".*?\")\s*\)", cell.source, re.DOTALL)
            assert sentences and all("{" in sentence for sentence in sentences), cell.source


@pytest.mark.parametrize("name", CHANGES)
def test_the_script_runs_by_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for language in LANGUAGES:
        exec(compile(unmeasured_chapter(name, language).code, name, "exec"), {"__name__": "script"})
        printed = capsys.readouterr().out.strip().splitlines()
        said = [line for output in lesson_of(name, language).run() for line in output.splitlines()]
        assert printed == said


def test_a_variable_that_no_line_sets_is_refused() -> None:
    with pytest.raises(UserError, match="sets no variable 'W'"):
        lesson_of("loss").with_values(W=1)


def test_a_lesson_leaves_the_random_state_alone() -> None:
    import torch

    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    lesson_of("loss").run()
    assert torch.rand(1) == expected


def test_a_cell_without_its_sentences_is_shown() -> None:
    cell = lesson_of("loss").cells[1]
    assert "print" in cell.source and "print" not in cell.shown
    assert "uniform = F.cross_entropy(logits, target)" in cell.shown


SEED = re.compile(r"torch\.manual_seed\(\d+\)")


def seeded(name: str, seed: int) -> dict[str, Any]:
    """Variables at the end of a lesson, with another random seed."""
    lesson = lesson_of(name)
    cells = [
        replace(cell, source=SEED.sub(f"torch.manual_seed({seed})", cell.source)) for cell in lesson.cells
    ]
    return replace(lesson, cells=tuple(cells)).variables()[1]


@pytest.mark.parametrize("seed", range(20))
def test_loss_lies_where_theory_says(seed: int) -> None:
    names = seeded("loss", seed)
    assert names["losses"].mean().item() == pytest.approx(4.667, abs=4 * 0.18 / 300**0.5 + 0.01)
    assert names["loss"].item() == pytest.approx(4.66, abs=4 * 0.19)


def test_the_files_are_those_of_the_chapters() -> None:
    from glassgpt.explain.lesson import LESSONS

    assert {path.stem for path in LESSONS.glob("*.py")} == {name.replace("-", "_") for name in CHANGES}
    assert CHANGES.keys() <= set(NAMES)
