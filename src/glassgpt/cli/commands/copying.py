"""`glassgpt copying`: passages of a text that stand word for word in a run's training text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.checkpoint import Run
from glassgpt.cli.arguments import Json, RunFolder
from glassgpt.cli.view.copying import copying_json, open_meter, print_copying
from glassgpt.cli.view.terminal import Terminal, print_json
from glassgpt.cli.view.terminal_input import read_text
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.option_groups import BASICS
from glassgpt.paths import check_file
from glassgpt.tasks import text_to_measure


def copying(
    run: RunFolder,
    text: Annotated[str | None, Parameter(group=BASICS)] = None,
    *,
    file: Annotated[Path | None, Parameter(group=BASICS)] = None,
    max_new_tokens: Annotated[int, Parameter(group=BASICS)] = 500,
    seed: Annotated[int, Parameter(group=BASICS)] = 1,
    json: Json = False,
) -> None:
    """Measure how much of a text stands word for word in the training text.

    Each figure stands next to that of held-out text of the same length, since people repeat phrases, too.
    Needs '.[copying]'. The first call makes an index of the training text: up to 8 bytes per character, in
    the folder of the run.

    Parameters
    ----------
    text
        Text to measure; `-` for standard input. Without one, the model writes it.
    file
        UTF-8 file with the text to measure.
    max_new_tokens
        Length of the text that the model writes, in tokens.
    seed
        The same seed gives the same text.
    json
        Print a JSON object with the figures, those of held-out text, and the passages.
    """
    if max_new_tokens < 1:
        raise UserError(
            "--{name}: must be at least 1, got {value}.", name="max-new-tokens", value=max_new_tokens
        )
    opened = Run.open(run)
    meter = open_meter(opened)
    found = meter.measure(_text(opened, text, file, max_new_tokens, seed))
    if json:
        print_json(copying_json(found))
    else:
        print_copying(Terminal(), found)


def _text(run: Run, text: str | None, file: Path | None, max_new_tokens: int, seed: int) -> str:
    """Return the text to measure. Raises UserError for two of them, and for an empty one."""
    if text is not None and file is not None:
        raise UserError("TEXT and --file: give one of them.")
    if text == "-" or (text is None and str(file) == "-"):
        text = read_text("-")
    elif file is not None:
        text = _read(file)
    elif text is None:
        text = text_to_measure(run, max_new_tokens, seed)
    if not text:
        raise UserError("{what}: it is empty. Give a text to measure.", what=file or N_("the text"))
    return text


def _read(file: Path) -> str:
    check_file(file, "--file")
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            "--file {path}: cannot be read ({error}). Give a UTF-8 file.", path=file, error=error
        ) from error
