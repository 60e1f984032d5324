"""Make a notebook of each chapter from its module.

    python docs/chapters/make.py              # all, run, with their outputs: about two minutes
    python docs/chapters/make.py loss scale   # some

A notebook shows the chapter, its plot, and its measuring functions, to change and run again.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from glassgpt.explain import NAMES, titles

HERE = Path(__file__).parent
FROM = {"cross": "glassgpt.explain.cross_attention"}
"""Module of the measuring functions, if it is not the chapter's own."""
DEMO = 'from glassgpt.explain import ChapterContext\n\ndemo = ChapterContext().demo("{family}")\n'
TEXT, DATES = DEMO.format(family="gpt"), DEMO.format(family="seq2seq")
TOKENS = 'tokens = torch.tensor([demo.tokenizer.encode("To be, or not")])\n'
TRY = {
    "loss": "table_losses(n_tables=5, n_targets=32, generator=torch.Generator().manual_seed(1))",
    "sampling": "orders([0.2, 0.5, 0.3])",
    "temperature": "[by_hand([0.1, 0.7, 0.2], t) for t in (1.5, 1.0, 0.5, 0.01)]",
    "weighted-sum": "W, x = torch.tensor([[1.0, 0.0], [0.5, 0.5]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])\n"
    "by_rows(W, x), W @ x",
    "query-key": "q, k = torch.randn(3, 4), torch.randn(3, 4)\nby_pairs(q, k), q @ k.mT",
    "scale": "[measure(d, torch.Generator().manual_seed(0)) for d in (16, 1024)]",
    "graph": f"{TEXT}{TOKENS}edges(demo.model, torch.cat([tokens, tokens.flip(1)]))",
    "mask": f"{TEXT}{TOKENS}widest_head(demo.model, tokens).weights",
    "cross": f"import numpy as np\n{DATES}ablate_memory(demo, np.arange(50))",
    "qkv": "compare_fused(torch.randn(6, 768), torch.randn(2304, 768), None, [768, 768, 768]).whole.shape",
    "buffers": f'{TEXT}fates(demo.model, ["rope.cos", "lm_head.weight"], optimized=set())',
    "ladder": f"{TEXT}train, val = texts(demo)\n"
    'climb("one head", rungs(demo.tokenizer.n_vocab)["head"], train, val, seconds=1.0, seed=0)',
}
"""A first call of a chapter's functions."""

SPLIT = "\n# ---\n"


def notebook(name: str) -> Any:
    """Return the notebook of a chapter, not yet run."""
    functions, trial = tidied(measuring(name) + SPLIT + TRY[name]).split(SPLIT)
    cells = [
        f"# {titles('en')[name]}",
        f'import glassgpt as gg\n\nchapter = gg.chapter("{name}", language="en")  # or "zh", or run="runs/…"',
        "chapter",
        "chapter.plot()",
        "## How it was measured\n\nThe chapter's own functions: change them, and run them again.",
        functions.strip(),
        trial.strip(),
    ]
    make = {True: nbformat.v4.new_markdown_cell, False: nbformat.v4.new_code_cell}
    book = nbformat.v4.new_notebook(
        cells=[make[text.startswith("#")](text, id=f"{name}-{i}") for i, text in enumerate(cells)],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        },
    )
    nbformat.validate(book)
    return book


def measuring(name: str) -> str:
    """Return the source of a chapter's module up to `make_chapter`, without texts."""
    module = import_module(FROM.get(name, f"glassgpt.explain.chapters.{name.replace('-', '_')}"))
    text = Path(str(module.__file__)).read_text("utf-8")
    lines, parts = text.splitlines(), []
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == "make_chapter":
            break
        if not _is_left_out(node):
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
            gap = "\n\n\n" if isinstance(node, ast.FunctionDef | ast.ClassDef) else "\n"
            parts += [gap, "\n".join(lines[first - 1 : node.end_lineno])]
    return "".join(parts).strip("\n") + "\n"


def tidied(code: str) -> str:
    """Remove unused imports and format the code."""
    for command in (["check", "--quiet", "--fix", "--select", "F401,I"], ["format", "--quiet"]):
        command = [sys.executable, "-m", "ruff", *command, "--stdin-filename", "cell.py", "-"]
        code = subprocess.run(command, input=code, capture_output=True, text=True, check=True).stdout
    return code


def _is_left_out(node: ast.stmt) -> bool:
    """True for the module's docstring, its title, and imports for the type checker."""
    match node:
        case ast.Expr(value=ast.Constant()) if node.lineno == 1:
            return True
        case ast.ImportFrom(module="__future__") | ast.If():
            return True
        case ast.Assign(targets=[ast.Name(id="TITLE")]):
            return True
    return False


def run(book: Any) -> None:
    """Run all cells and fill in the outputs. Raises an error if a cell fails."""
    with TemporaryDirectory() as sockets:  # not over TCP: nobody listens in
        manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel")
        NotebookClient(book, timeout=120, km=manager).execute()
    for cell in book.cells:
        cell.metadata.pop("execution", None)  # when it ran: of no use, and different each time


def main() -> None:
    for name in sys.argv[1:] or NAMES:
        book = notebook(name)
        run(book)
        nbformat.write(book, HERE / f"{name}.ipynb")
        print(name, flush=True)


if __name__ == "__main__":
    main()
