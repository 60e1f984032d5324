"""The `glassgpt` command: its subcommands, exit codes and error messages.

Commands are import paths and load when called. `--help` and a mistyped option never import torch.
"""

from __future__ import annotations

import errno
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from keyword import iskeyword
from typing import Any

from cyclopts import App, CycloptsError

from glassgpt.cli.arguments import STDIN
from glassgpt.cli.flags import field_flags, with_flags
from glassgpt.errors import UserError
from glassgpt.interrupts import RaiseStopped, Stopped, end_cleanly, on_signals
from glassgpt.threads import set_wait_policy

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG}
"""Errors of the disk, not of the program."""

COMMANDS = {
    "train": "Train a model on your own text.",
    "resume": "Resume a run from its last checkpoint.",
    "sample": "Generate text with a trained model.",
    "chat": "Chat with a model trained on conversations.",
    "translate": "Translate with a trained seq2seq model.",
    "ask": "Ask a trained captioner about an image.",
    "classify": "Classify a text with a trained encoder.",
    "fill": "Fill the gaps of a text with a trained encoder.",
    "look": "Look inside a trained model.",
    "explain": "Measure facts about transformers, live.",
    "baselines": "Measure n-grams and xz on a text, without training.",
    "runs": "List runs and compare them with their baselines.",
    "import": "Import a nanoGPT checkpoint as a run.",
    "adapter": "Save the LoRA adapters of a run as one small file.",
    "bench": "Measure the speed of a trained model on this machine.",
    "verify": "Check a run for damage.",
}


def _version() -> str:
    from importlib.metadata import version  # 15 ms that only --version needs

    return version("glassgpt")


app = App(
    name="glassgpt",
    help="Train a GPT from scratch on your own text, on the machine you have, and see inside it.\n\n"
    "Start with:  glassgpt train notes.txt --minutes 5",
    version=_version,
    help_format="plaintext",
    help_on_error=False,
)
_groups = {"bench": App(name="bench", help=COMMANDS["bench"], help_format="plaintext", version_flags=[])}
_groups["bench"].command(
    "glassgpt.cli.commands.bench:generate", name="generate", help="Measure generation speed."
)
for _group in _groups.values():
    app.command(_group)
for _name, _help in COMMANDS.items():
    if _name in _groups:
        continue
    _python = _name + "_" * iskeyword(_name)  # `import` cannot be the name of a module
    app.command(f"glassgpt.cli.commands.{_python}:{_python}", name=_name, help=_help)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Exit codes: 0 for success, 2 for unusable input, 128 + n for signal n (130 for Ctrl-C). `verify`
    also uses 1.
    """
    set_wait_policy()  # torch reads it when it is loaded
    warnings.showwarning = _show_warning
    words = sys.argv[1:] if arguments is None else arguments
    try:
        with on_signals(RaiseStopped()):
            app([STDIN if word == "-" else word for word in words], exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _fail(_renamed(words) or f"{_explain(error)}\nSee `glassgpt --help`, or the command's own --help.", 2)
    except UserError as error:
        _fail(_explain(error), 2)
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader of the pipe (head, less) has closed it
            sys.stderr.close()
            sys.exit(0)
        if error.errno not in DISK_ERRORS:
            raise
        file = error.filename or "a file"
        _fail(f"{file}: cannot write ({error.strerror}). Saved checkpoints are intact.", 2)
    except Stopped as stop:
        with suppress(OSError):  # the terminal may be gone
            print("glassgpt: interrupted", file=sys.stderr)
        end_cleanly(128 + stop.number)
    except KeyboardInterrupt:
        _fail("interrupted", 130)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"glassgpt: note: {with_flags(str(message))}", file=sys.stderr)


def _fail(message: str, code: int) -> None:
    """Print a message and exit."""
    print(f"glassgpt: {with_flags(message)}", file=sys.stderr)
    sys.exit(code)


def _renamed(words: Sequence[str]) -> str:
    """Return the message about an old flag on the command line, or an empty string."""
    from glassgpt.config import check_renamed_flags  # only a wrong command line needs pydantic

    try:
        check_renamed_flags(words)
    except UserError as error:
        return str(error)
    return ""


def _explain(error: Exception) -> str:
    """Return an error's message; for a validation error, a line for each field."""
    cause: Any = error.__cause__
    if type(cause).__name__ == "ValidationError":  # pydantic's; --help does not import it
        return "\n".join(_explain_field(e["loc"], e["msg"], e["input"]) for e in cause.errors())
    return str(error)


def _explain_field(path: tuple[int | str, ...], message: str, given: object) -> str:
    """Return one validation error as `<flag>: <problem>, got <value>`."""
    message = message.removeprefix("Value error, ")
    if isinstance(given, dict | tuple) or not path:
        return message
    flags = field_flags()
    full = ".".join(str(part) for part in path)
    name = flags.get(full) or flags.get(str(path[-1])) or full
    return f"{name}: {message[:1].lower()}{message[1:]}, got {given!r}"
