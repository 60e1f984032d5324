"""Make the notebooks of the chapters from their lessons, in each language.

    python docs/chapters/make.py              # all, run, with their outputs: some minutes
    python docs/chapters/make.py loss scale   # some

English ones lie here, others in a folder named after the language.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from glassgpt.explain import LANGUAGES, NAMES, make_notebook, unmeasured_chapter

HERE = Path(__file__).parent
SOURCE = HERE.parent.parent / "src"


def notebook_file(name: str, language: str) -> Path:
    """Return the path of a notebook."""
    return HERE / ("" if language == "en" else language) / f"{name}.ipynb"


def notebook(name: str, language: str) -> Any:
    """Return the notebook of a chapter, not yet run, with a link to the module that measures it."""
    content = make_notebook(unmeasured_chapter(name, language))
    module = f"glassgpt.explain.chapters.{name.replace('-', '_')}"
    file = SOURCE / f"{module.replace('.', '/')}.py"
    link = os.path.relpath(file, notebook_file(name, language).parent)
    for cell in content["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = "".join(cell["source"]).replace(f"`{module}`", f"[`{module}`]({link})")
        else:
            cell["source"] = "".join(cell["source"])
    book = nbformat.from_dict(content)
    nbformat.validate(book)
    return book


def run(book: Any) -> None:
    """Run all cells and fill in the outputs. Raises an error if a cell fails."""
    with TemporaryDirectory() as sockets:  # not over TCP: nobody listens in
        manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel")
        client = NotebookClient(book, timeout=120, km=manager)
        try:
            client.execute()
        finally:  # the client leaves a kernel that it did not make, and its own sockets to it
            client.kc.stop_channels()
            manager.shutdown_kernel(now=True)
    for cell in book.cells:
        cell.metadata.pop("execution", None)  # when it ran: of no use, and different each time


def main() -> None:
    for name in sys.argv[1:] or NAMES:
        for language in LANGUAGES:
            book = notebook(name, language)
            run(book)
            path = notebook_file(name, language)
            path.parent.mkdir(exist_ok=True)
            nbformat.write(book, path)
            print(path.relative_to(HERE), flush=True)


if __name__ == "__main__":
    main()
