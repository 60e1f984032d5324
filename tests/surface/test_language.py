"""Limits of the language: short first lines, no banned words, one home for each name, imports through faces.

`python tools/language.py` prints the figures and the offenders. docs/decisions/0029 has the reasons.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "tools"))
import language

FILES = language.python_files()
FIGURES = language.figures(FILES)


def test_first_lines_do_not_begin_with_a_free_relative() -> None:
    assert len(FIGURES.beginnings) <= 0.02 * len(FIGURES.first_lines), FIGURES.beginnings[:10]


def test_first_lines_are_short() -> None:
    assert FIGURES.median_words <= 12


def test_first_lines_have_few_relative_clauses() -> None:
    assert FIGURES.relative_words <= 0.25


def test_public_functions_have_docstrings() -> None:
    assert FIGURES.documented >= 0.84, FIGURES.undocumented[:10]


def test_every_reshape_has_a_shape() -> None:
    assert not FIGURES.reshapes


def test_banned_words_do_not_occur() -> None:
    assert not list(language.banned_words())


def test_packages_are_imported_through_their_faces() -> None:
    assert len(past := list(language.imports_past_a_face(FILES))) <= 10, past


def test_every_public_name_has_one_home() -> None:
    assert not language.names_in_two_packages()


def test_no_module_is_shadowed_by_a_name_of_its_package() -> None:
    assert not language.shadowed_modules()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A package that breaks every rule once."""
    for name, text in {
        "nn/__init__.py": '"""Parts."""\nfrom glassgpt.nn.mask import mask\n',
        "nn/mask.py": '"""What is hidden, which is said anew."""\ndef mask(x):\n    return x.view(1, -1)\n',
        "cli/__init__.py": '"""Commands."""\n',
        "cli/main.py": '"""A command."""\nfrom glassgpt.nn.mask import mask\nfrom glassgpt.nn import block\n'
        "def mask(): ...\n",
        "nn/block.py": '"""A block."""\nfrom glassgpt.nn.mask import mask\n',
    }.items():
        path = tmp_path / "src" / "glassgpt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "src" / "glassgpt"


def test_each_rule_finds_its_offender(source: Path) -> None:
    files = language.python_files(source=source)
    found = language.figures(files, source)
    assert [line for _, line in found.beginnings] == ["What is hidden, which is said anew."]
    assert found.documented == 0 and len(found.undocumented) == 2
    assert found.reshapes == ["nn/mask.py:3"]
    assert list(language.banned_words(source.parents[1])) == [
        "src/glassgpt/nn/mask.py:1: is said",
        "src/glassgpt/nn/mask.py:1: anew",
    ]
    past = list(language.imports_past_a_face(files, source))
    assert past == [f"past a face  cli/main.py:{n}: glassgpt.nn{m}" for n, m in ((2, ".mask"), (3, ""))]
    assert language.names_in_two_packages(source) == {"mask": ["cli", "nn"]}
    assert language.shadowed_modules(source) == ["nn/mask"]
