"""The notebooks of the chapters: up to date with the chapters, and every cell runs."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "chapters"))

import make  # noqa: E402

from glassgpt.explain import LANGUAGES, NAMES  # noqa: E402

ALL = [(name, language) for name in NAMES for language in LANGUAGES]
LONG = {"ladder"}
"""Chapters that train models."""
RUN_HERE = [
    pytest.param(name, language, marks=pytest.mark.slow if language != "en" or name in LONG else ())
    for name, language in ALL
]


def saved(name: str, language: str) -> Any:
    return nbformat.read(make.notebook_file(name, language), as_version=4)


def test_there_is_one_for_each_chapter() -> None:
    folder = ROOT / "docs" / "chapters"
    assert {path.stem for path in folder.glob("*.ipynb")} == set(NAMES)
    assert {path.stem for path in (folder / "zh").glob("*.ipynb")} == {name for name, _ in ALL}


@pytest.mark.parametrize(("name", "language"), ALL)
def test_it_is_up_to_date(name: str, language: str) -> None:
    """Run `make notebooks` to update it."""
    fresh, stored = make.notebook(name, language), saved(name, language)
    assert [cell.source for cell in stored.cells] == [cell.source for cell in fresh.cells]
    outputs = [output for cell in stored.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not any(output.output_type == "error" for output in outputs)
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert {"text/markdown", "image/png"} <= kinds


@pytest.mark.parametrize(("name", "language"), RUN_HERE)
def test_every_cell_runs(name: str, language: str) -> None:
    """Run the cells in this process: quicker than a kernel. Other tests start one."""
    names: dict[str, Any] = {"__name__": f"notebook_{name.replace('-', '_')}"}
    module = type(sys)(names["__name__"])
    module.__dict__.update(names)
    sys.modules[module.__name__] = module  # where dataclasses look for their annotations
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            for cell in saved(name, language).cells:
                if cell.cell_type == "code":
                    exec(compile(cell.source, cell.id, "exec"), module.__dict__)
        assert module.__dict__["chapter"].name == name and module.__dict__["chapter"].findings
    finally:
        del sys.modules[module.__name__]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "language"), ALL)
@pytest.mark.filterwarnings("ignore")  # of the kernel's own machinery
def test_it_runs_in_a_kernel(name: str, language: str) -> None:
    book = make.notebook(name, language)
    make.run(book)
    assert all(cell.outputs for cell in book.cells if cell.cell_type == "code")
