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

from glassgpt.explain import NAMES  # noqa: E402


def saved(name: str) -> Any:
    return nbformat.read(ROOT / "docs" / "chapters" / f"{name}.ipynb", as_version=4)


def test_there_is_one_for_each_chapter() -> None:
    assert {path.stem for path in (ROOT / "docs" / "chapters").glob("*.ipynb")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_up_to_date(name: str) -> None:
    """Run `make notebooks` to update it."""
    fresh, stored = make.notebook(name), saved(name)
    assert [cell.source for cell in stored.cells] == [cell.source for cell in fresh.cells]
    outputs = [output for cell in stored.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not any(output.output_type == "error" for output in outputs)
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert {"text/markdown", "image/png"} <= kinds


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_runs(name: str) -> None:
    """Run the cells in this process: quicker than a kernel. The slow test starts one."""
    names: dict[str, Any] = {"__name__": f"notebook_{name.replace('-', '_')}"}
    module = type(sys)(names["__name__"])
    module.__dict__.update(names)
    sys.modules[module.__name__] = module  # where dataclasses look for their annotations
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            for cell in saved(name).cells:
                if cell.cell_type == "code":
                    exec(compile(cell.source, cell.id, "exec"), module.__dict__)
        assert module.__dict__["chapter"].name == name and module.__dict__["chapter"].findings
    finally:
        del sys.modules[module.__name__]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")  # of the kernel's own machinery
def test_it_runs_in_a_kernel(name: str) -> None:
    book = make.notebook(name)
    make.run(book)
    assert all(cell.outputs for cell in book.cells[1:4] if cell.source != book.cells[1].source)
