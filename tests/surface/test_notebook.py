"""The library in a notebook: the example runs in a kernel, and each object shows itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
EXAMPLE = Path(__file__).parents[2] / "examples" / "notebook.ipynb"


RUN = """
import sys, nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
source, out, sockets = sys.argv[1:]
book = nbformat.read(source, as_version=4)
manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel")  # not over TCP
NotebookClient(book, timeout=250, km=manager).execute()
nbformat.write(book, out)
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook after all its cells ran, in an empty folder."""
    folder = tmp_path_factory.mktemp("notebook")
    env = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    with TemporaryDirectory() as sockets:  # their path must be short
        command = [sys.executable, "-c", RUN, str(EXAMPLE), str(folder / "out.ipynb"), sockets]
        ended = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return nbformat.read(folder / "out.ipynb", as_version=4)


def code(book: Any) -> list[Any]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def cell(book: Any, source: str) -> Any:
    return next(cell for cell in code(book) if cell.source.startswith(source))


def test_every_cell_shows_something_and_nothing_is_wrong(ran: Any) -> None:
    silent = [cell.source for cell in code(ran) if not cell.outputs]
    assert silent == ["import glassgpt as gg"]
    streams = [output for cell in code(ran) for output in cell.outputs if output.output_type == "stream"]
    assert not [output.text for output in streams if output.name == "stderr"]


def test_training_shows_a_live_curve_and_a_verdict(ran: Any) -> None:
    progress, verdict = cell(ran, "run = gg.train").outputs
    html = progress.data["text/html"]
    assert '<progress value="1.000"' in html and html.count("<circle") == 5  # one for each evaluation
    assert "uniform" in html and "this model" in verdict.data["text/html"]


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        ("run.verdict()", "text/html", "bigram"),
        ("tokenizer", "text/html", "tokens"),
        ("model, tokenizer", "text/html", "The "),
        ("config = ", "text/html", "nano"),
        ("session = ", "text/html", "step 10"),
        ("gg.plot(run)", "image/png", ""),
        ("from glassgpt.plots", "image/png", ""),
    ],
)
def test_objects_show_themselves(ran: Any, source: str, kind: str, said: str) -> None:
    shown = [output.data.get(kind) for output in cell(ran, source).outputs if "data" in output]
    assert any(each is not None and said in each for each in shown)


def test_the_example_is_stored_without_outputs() -> None:
    stored = json.loads(EXAMPLE.read_text("utf-8"))
    assert not [cell for cell in stored["cells"] if cell.get("outputs") or cell.get("execution_count")]
