"""The lessons: every cell runs in each language, and its sentences depend on its code."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch

from glassgpt.errors import UserError
from glassgpt.explain import BUILTIN, LANGUAGES, NAMES, Chapter, Lesson, unmeasured_chapter
from helpers.explain_runs import small_run

SCENES = str(BUILTIN / "scenes")
CHANGES: dict[str, list[dict[str, Any]]] = {
    "loss": [{"V": 30}, {"sigma": 2.0}],
    "sampling": [{"PROBS": [0.1, 0.2, 0.3, 0.4], "SECOND_ROW": [0.25] * 4}, {"N": 1000}],
    "temperature": [{"LOGITS": [0.1, 0.7, 0.2, 1.5]}, {"HOT, COLD": (3.0, 0.25)}],
    "weighted-sum": [{"B, T, C": (2, 5, 3)}],
    "query-key": [{"T, D": (5, 32)}, {"BLOCK": 8}],
    "scale": [{"B, T, D": (4, 8, 64)}, {"SIZE, N_KEYS": (256, 16)}, {"N": 50}],
    "mask": [{"T": 5}],
    "graph": [{"B, T, C": (2, 6, 8)}],
    "cross": [{"T, S, C, D": (4, 6, 32, 16)}, {"SIDE, PATCH": (32, 16)}, {"SCENES, QUESTION": (SCENES, 0)}],
    "qkv": [{"T, C": (5, 96)}, {"H": 6}],
    "buffers": [{"T, D": (4, 8)}, {"RATE": 0.2}, {"DEVICE": "cpu"}, {"PERSISTENT": True}],
    "ladder": [{"WORDS": ["a", "bc", "bad"]}, {"STEPS, B, T, C": (30, 8, 8, 16)}],
    "block": [{"C": 32}, {"L": 16}],
    "positions": [{"C": 64}, {"d": 5}],
}
"""Other values of variables; together with another run they change the output of every cell."""
QUICK: dict[str, dict[str, Any]] = {"ladder": {"STEPS, B, T, C": (20, 8, 8, 16)}}
"""Smaller values for a lesson that takes seconds."""
FAMILIES = {
    "cross": ("seq2seq", "captioner"),
    "qkv": ("gpt", "seq2seq"),
    "buffers": ("gpt", "seq2seq", "captioner", "encoder"),
    "ladder": ("gpt", "bigram", "encoder"),
    "block": ("gpt",),
    "positions": ("gpt",),
} | dict.fromkeys(("loss", "sampling", "temperature"), ("gpt", "bigram"))
"""Families of runs that a chapter shows, if not those of self-attention."""
SELF_ATTENTION = ("gpt", "seq2seq", "encoder")
COLUMNS = 76
"""Most columns of a line of code, so that a terminal of 80 shows it whole."""


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    made: dict[str, str] = {}

    class Runs(dict[str, str]):
        def __missing__(self, family: str) -> str:
            if family == "captioner":
                return SCENES
            made[family] = self[family] = str(small_run(tmp_path_factory.mktemp(family), family))
            return made[family]

    return Runs()


def chapter_of(name: str, language: str = "en") -> Chapter:
    chapter = unmeasured_chapter(name, language)
    return replace(chapter, lesson=chapter.lesson.with_values(**QUICK.get(name, {})))


def lesson_of(name: str, language: str = "en") -> Lesson:
    return chapter_of(name, language).lesson


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", CHANGES)
def test_every_cell_runs_and_says_what_it_found(name: str, language: str) -> None:
    lesson = lesson_of(name, language)
    outputs = lesson.run()
    code = [output for cell, output in zip(lesson.cells, outputs, strict=True) if cell.is_code]
    assert 3 <= len(code) <= 8 and all(code), code
    assert not any(re.search(r"\{[^'}]|\bnan\b|tensor\(\d", output) for output in code), code
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
    changes = [*CHANGES[name], {"RUN": runs[FAMILIES.get(name, SELF_ATTENTION)[0]]}]
    changed: set[int] = set()
    for change in changes:
        after = lesson.with_values(**change).run()
        differ = {i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}
        assert differ, change
        changed |= differ
    fixed = [before[i] for i, cell in enumerate(lesson.cells) if cell.is_code and i not in changed]
    assert fixed == []


@pytest.mark.parametrize(
    ("name", "family"), [(name, family) for name in CHANGES for family in FAMILIES.get(name, SELF_ATTENTION)]
)
def test_it_runs_on_every_run_that_its_chapter_shows(name: str, family: str, runs: dict[str, str]) -> None:
    outputs = lesson_of(name).with_values(RUN=runs[family]).run()
    assert outputs[-1] and "nan" not in outputs[-1]


@pytest.mark.parametrize("name", CHANGES)
def test_every_sentence_has_a_figure_from_the_code(name: str) -> None:
    for cell in lesson_of(name).cells:
        if cell.is_code:
            sentences = re.findall(r"print\(\s*(f\".*?\")\s*\)", cell.source, re.DOTALL)
            assert sentences and all("{" in sentence for sentence in sentences), cell.source


@pytest.mark.parametrize("name", CHANGES)
def test_the_script_runs_by_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for language in LANGUAGES:
        with torch.random.fork_rng():
            exec(compile(chapter_of(name, language).code, name, "exec"), {"__name__": "script"})
        printed = capsys.readouterr().out.strip().splitlines()
        said = [line for output in lesson_of(name, language).run() for line in output.splitlines()]
        assert printed == said


def test_a_variable_that_no_line_sets_is_refused() -> None:
    with pytest.raises(UserError, match="sets no variable 'W'"):
        lesson_of("loss").with_values(W=1)


def test_a_lesson_leaves_the_random_state_alone() -> None:
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
    return with_seed(lesson_of(name), seed).variables()[1]


def with_seed(lesson: Lesson, seed: int) -> Lesson:
    cells = [
        replace(cell, source=SEED.sub(f"torch.manual_seed({seed})", cell.source)) for cell in lesson.cells
    ]
    return replace(lesson, cells=tuple(cells))


SEEDS = range(20)


@pytest.mark.parametrize("seed", SEEDS)
def test_loss_lies_where_theory_says(seed: int) -> None:
    names = seeded("loss", seed)
    assert names["losses"].mean().item() == pytest.approx(4.667, abs=4 * 0.18 / 300**0.5 + 0.01)
    assert names["loss"].item() == pytest.approx(4.66, abs=4 * 0.19)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_draws_lie_where_theory_says(seed: int) -> None:
    names = seeded("sampling", seed)
    assert names["n_different"] == 3
    for share, theory in ((names["share"], 0.5 * 0.3 / 0.5), (names["alike"], 0.2**2 + 0.5**2 + 0.3**2)):
        assert share.item() == pytest.approx(theory, abs=4 * (theory * (1 - theory) / 4000) ** 0.5)
    p = names["next_p"].max().item()
    assert names["drawn_best"].item() == pytest.approx(p, abs=4 * (p * (1 - p) / 4000) ** 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_variances_lie_where_theory_says(seed: int) -> None:
    """Standard error of a variance of 4 · 8² scores that share queries and keys: 2.03 (chapter `scale`)."""
    names = seeded("scale", seed)
    assert names["variances"].mean().item() == pytest.approx(16, abs=4 * 2.03 / 500**0.5)
    assert names["variances"].std().item() == pytest.approx(2.03, rel=0.2)
    assert names["scaled"].var().item() == pytest.approx(1, abs=4 * 2.03 / 16)
    assert names["most"].mean() > 0.75 and names["soft_most"].mean() < 0.35
    assert names["dead"] > 0.2 and names["soft_dead"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_two_ways_to_the_same_differ_by_rounding(seed: int) -> None:
    means, blocks, mask = seeded("weighted-sum", seed), seeded("query-key", seed), seeded("mask", seed)
    cross, fused = seeded("cross", seed), seeded("qkv", seed)
    assert max(means["difference"], means["gap"], mask["difference"], mask["gap"]) < 1e-6
    assert max(blocks["difference"], cross["change"], fused["difference"]) < 1e-5
    assert max(means["error"], blocks["error"], fused["error"]) < 1e-4 and fused["same"]
    assert mask["seen"].tolist() == [1, 2, 3, 4] and mask["n_broken"] == 1 and mask["leak"] > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_messages_go_along_edges_only(seed: int) -> None:
    names = seeded("graph", seed)
    assert names["changed"].tolist() == [False, False, True]
    assert names["moved"].tolist() == [False] * 5 + [True] * 3
    assert names["blind"] < 1e-4 and min(names["conv"], names["told"]) > 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_each_rung_has_its_place(seed: int) -> None:
    """The floor is the entropy of the words; without attention a model is no better than the table."""
    names = with_seed(unmeasured_chapter("ladder").lesson, seed).variables()[1]
    assert names["floor"] < min(names["gpt"], names["block"]) < names["heads"] < names["bigram"]
    assert names["gpt"] < names["head"] and names["bigram"] - names["gpt"] > 0.3
    assert names["vectors"] == pytest.approx(names["bigram"], abs=0.1)


def test_an_optimizer_moves_what_theory_says() -> None:
    """AdamW's first step is the rate, whatever the gradient; weight decay takes rate · decay · weight."""
    names = lesson_of("buffers").variables()[1]
    assert names["moved"].item() == pytest.approx(0.1, abs=0.001) and names["mask_moved"] == 0
    assert names["mask"].max().item() == pytest.approx(1 - 0.1 * 0.1, abs=1e-6)
    assert names["saved"] == ["tril", "key.weight"] and names["skipped"] == ["again"]


def test_temperature_lies_where_theory_says() -> None:
    names = lesson_of("temperature").variables()[1]
    powers = [math.exp(z / 1.5) for z in (0.1, 0.7, 0.2)]
    assert names["flat"].tolist() == pytest.approx([power / sum(powers) for power in powers], abs=1e-6)
    assert names["ratio"].item() == pytest.approx(math.exp(0.6)), names["ratio"]
    assert names["sharp_ratio"].item() == pytest.approx(math.exp(0.6 / 0.5))
    assert names["n_rises"] == 49 and names["n_undefined"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_half_the_square_of_a_gradient_is_lost_at_each_relu(seed: int) -> None:
    names = seeded("block", seed)
    assert names["without"].log2().item() == pytest.approx(-16, abs=4)  # 2^(−L / 2), times the noise of 32
    assert 1 < names["with_path"].item() < 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_positions_know_distances_only(seed: int) -> None:
    names = seeded("positions", seed)
    assert names["near"].item() == pytest.approx(names["far"].item(), rel=1e-12)
    assert max(names["scores"]).item() == pytest.approx(min(names["scores"]).item(), rel=1e-9, abs=1e-12)


def test_the_files_are_those_of_the_chapters() -> None:
    from glassgpt.explain.lesson import LESSONS

    assert {path.stem for path in LESSONS.glob("*.py")} == {name.replace("-", "_") for name in CHANGES}
    assert CHANGES.keys() <= set(NAMES)


def test_a_difference_of_zero_is_printed_as_zero() -> None:
    """`.0e` would print 0e+00."""
    from glassgpt.explain.lesson import LESSONS

    assert f"{0.0:.1g} {3e-8:.1g}" == "0 3e-08"
    assert not [path.name for path in LESSONS.glob("*.py") if ".0e}" in path.read_text("utf-8")]
