"""`glassgpt explain`: a fact about transformers as code, measured live, with exercises."""

from __future__ import annotations

import os
import re
import runpy
import sys
from json import dumps
from pathlib import Path
from types import FunctionType
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from glassgpt.atomic_write import replacing
from glassgpt.cli.progress import finished_steps, record_step
from glassgpt.cli.view.chapter import WIDTH, chapter_page, highlighted
from glassgpt.cli.view.terminal import Terminal, print_json, print_line, print_text
from glassgpt.errors import UserError
from glassgpt.explain import Chapter, chapter, check, learning_path, make_notebook, titles, unmeasured_chapter
from glassgpt.language import N_, _
from glassgpt.paths import check_file

ONE_OUTPUT = N_("--code, --json and --answer each print something else. Choose one.")


def explain(
    name: str | None = None,
    *,
    run: Path | None = None,
    plot: Path | None = None,
    dark: Annotated[bool, Parameter(negative="")] = False,
    code: Annotated[bool, Parameter(negative="")] = False,
    notebook: Path | None = None,
    answer: tuple[int, str] | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    seed: int = 0,
) -> None:
    """Show a fact about transformers as code, and measure it. Without a name, list the chapters.

    Parameters
    ----------
    name
        A chapter: loss, sampling, temperature, weighted-sum, query-key, scale, mask, graph, positions,
        qkv, buffers, block, cross, ladder.
    run
        Folder of a run to measure. A built-in run takes its place if the run cannot show the fact.
    plot
        Write the plot to this file, too: png, svg or pdf (needs matplotlib).
    dark
        Draw the plot on a dark ground.
    code
        Print the code alone, as a Python script that runs by itself.
    notebook
        Write the chapter to this file as a Jupyter notebook.
    answer
        Check an answer to an exercise: its number, then your number, or a Python file with your function. The
        exit code is 1 for a wrong answer.
    json
        Print text, code, results, tables and findings as JSON.
    seed
        Random seed. It changes the figures, but should not change the findings.
    """
    if name is None:
        if plot is not None or run is not None or code or notebook is not None or answer is not None:
            raise UserError("there is no chapter. Name one, as in `glassgpt explain loss`.")
        _list(json)
        return
    if dark and plot is None:
        raise UserError("--dark: there is no file for the plot. Add --plot.")
    if code + json + (answer is not None) > 1:
        raise UserError(ONE_OUTPUT)
    if answer is not None:
        _answer(name, *answer)
        return
    if plot is not None:
        from glassgpt.plots import check_suffix

        check_suffix(plot)  # before any work
    if notebook is not None:
        _check_notebook(notebook)
    if code and run is None and plot is None:
        read = unmeasured_chapter(name)  # nothing to measure
    else:
        read = chapter(name, run, seed=seed)
    quiet = code or json
    if code:
        _print_code(read.code)
    elif json:
        print_json(read.to_dict(), indent=1)
    else:
        _print_page(read)
    if plot is not None:
        _save(read, plot, "dark" if dark else "light", quiet)
    if notebook is not None:
        _write_notebook(read, notebook, quiet)
    record_step(name)


def _print_page(read: Chapter) -> None:
    """Print a chapter. On a terminal, a pager shows it from its top; `PAGER=cat` turns that off."""
    console = Terminal()
    console.width = min(console.width, WIDTH)
    page = chapter_page(read, console.width, learning_path(done=finished_steps()))
    if not console.is_terminal or not sys.stdin.isatty():
        console.print(page)
        return
    os.environ.setdefault("LESS", _less_options())
    with console.pager(styles=True):
        console.print(page)


def _less_options() -> str:
    """Return options of `less`: quit if it fits one screen, keep colors and the text; keys in the prompt."""
    prompt = re.sub(r"([?:.%\\])", r"\\\1", _("space: next page, q: end"))  # `less` obeys these characters
    return f"-FRX -Ps{prompt} $"


def _print_code(code: str) -> None:
    console = Terminal()
    if console.is_terminal:
        console.print(highlighted(code))
    else:
        print_text(code)


def _answer(name: str, exercise: int, answer: str) -> None:
    """Check an answer and print the result. Exit with 1 if it is wrong."""
    value = _function_of(Path(answer)) if answer.endswith(".py") else answer
    checked = check(name, exercise, value)
    Terminal().print(str(checked), style="green" if checked else "yellow")
    if not checked:
        sys.exit(1)


def _function_of(file: Path) -> object:
    """Run a Python file of the user and return the last function that it defines."""
    check_file(file)
    try:
        names = runpy.run_path(str(file))
    except OSError as error:
        raise UserError(
            "{file}: cannot be read ({strerror}). Check the path.", file=file, strerror=error.strerror
        ) from error
    except Exception as error:
        raise UserError(
            "{file}: it raises {name} ({error}). Correct the file.",
            file=file,
            name=type(error).__name__,
            error=error,
        ) from error
    functions = [value for value in names.values() if isinstance(value, FunctionType)]
    own = [function for function in functions if function.__code__.co_filename == str(file)]
    if not own:
        raise UserError(
            "{file}: it defines no function. Define the one that the exercise asks for.", file=file
        )
    return own[-1]


def _check_notebook(path: Path) -> None:
    """Raise UserError if a notebook cannot be written there: before any work."""
    if path.suffix != ".ipynb":
        raise UserError("{path}: a notebook ends in .ipynb. Choose such a name.", path=path)
    if path.exists():
        raise UserError("{path}: the file exists, and may hold your answers. Choose another name.", path=path)


def _write_notebook(read: Chapter, path: Path, quiet: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(dumps(make_notebook(read), ensure_ascii=False, indent=1) + "\n", "utf-8")
    _ = read.gettext
    if not quiet:
        print_line(_("notebook: {path}").format(path=path))


def _save(read: Chapter, plot: Path, theme: str, quiet: bool) -> None:
    from glassgpt.plots import save

    save(read.plot(theme), plot)
    _ = read.gettext
    if not quiet:
        print_line(_("plot: {path}").format(path=plot))


def _list(as_json: bool) -> None:
    found = titles()
    if as_json:
        print_json(found, indent=1)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, title in found.items():
        table.add_row(Text(name, "bold"), title)
    console = Terminal()
    console.table(table)
    how = _("\nglassgpt explain NAME [--run runs/…] [--plot plot.svg]")
    console.print(how, style="dim")
    console.print(_("In order, with practice and your progress: glassgpt learn"), style="dim")
