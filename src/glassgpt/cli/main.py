"""The `glassgpt` command: its subcommands, loaded when called, and what happens when something goes wrong.

Commands are given as import paths, so that `--help` and a mistyped option answer before torch is imported.
"""

from __future__ import annotations

import errno
import sys
import warnings
from collections.abc import Sequence
from keyword import iskeyword
from typing import Any

from cyclopts import App, CycloptsError

from glassgpt.cli.arguments import STDIN
from glassgpt.errors import UserError

DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG}
"""What a disk, not the program, is to blame for."""

COMMANDS = {
    "train": "Train a model on your own text.",
    "resume": "Go on with a run from its last checkpoint.",
    "sample": "Let a trained model write.",
    "chat": "ChatSession to a model that was trained on conversations.",
    "translate": "Translate with a trained seq2seq model.",
    "ask": "Ask a trained captioner about an image.",
    "classify": "Say which class a text belongs to.",
    "fill": "Fill the gaps of a text with a trained encoder.",
    "look": "Look inside a trained model as it reads.",
    "explain": "Watch a fact about transformers happen, in numbers.",
    "baselines": "Say what counting and compressing alone achieve on a text.",
    "runs": "List the runs in a folder and how they compare with counting.",
    "import": "Make a run of a checkpoint that nanoGPT has trained.",
    "adapter": "Write what a run with --lora-rank has learned into a small file.",
    "bench": "Measure how fast a trained model is on this machine.",
    "verify": "Say whether a run is whole, and what of it can be used.",
}


def _version() -> str:
    from importlib.metadata import version  # 15 ms that only --version needs

    return version("glassgpt")


app = App(
    name="glassgpt",
    help="Train a GPT from scratch on your own text, on the machine you have, and see through it.\n\n"
    "Start with:  glassgpt train notes.txt --minutes 5",
    version=_version,
    help_format="plaintext",
    help_on_error=False,
)
_groups = {"bench": App(name="bench", help=COMMANDS["bench"], help_format="plaintext", version_flags=[])}
_groups["bench"].command("glassgpt.cli.commands.bench:generate", name="generate", help="How fast it writes.")
for _group in _groups.values():
    app.command(_group)
for _name, _help in COMMANDS.items():
    if _name in _groups:
        continue
    _python = _name + "_" * iskeyword(_name)  # `import` cannot be the name of a module
    app.command(f"glassgpt.cli.commands.{_python}:{_python}", name=_name, help=_help)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 when done, 2 for input that can't be used, 130 when interrupted."""
    warnings.showwarning = _show_warning
    words = sys.argv[1:] if arguments is None else arguments
    try:
        app([STDIN if word == "-" else word for word in words], exit_on_error=False, print_error=False)
    except (CycloptsError, UserError) as error:
        _fail(_explain(error), 2)
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader of a pipe (head, less) has seen enough
            sys.stderr.close()
            sys.exit(0)
        if error.errno not in DISK_TROUBLE:
            raise
        what = error.filename or "a file"
        _fail(f"{what} could not be written ({error.strerror}); checkpoints that were saved are untouched", 2)
    except KeyboardInterrupt:
        _fail("interrupted", 130)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"glassgpt: note: {message}", file=sys.stderr)


def _fail(message: str, code: int) -> None:
    print(f"glassgpt: {message}", file=sys.stderr)
    sys.exit(code)


def _explain(error: Exception) -> str:
    cause: Any = error.__cause__
    if type(cause).__name__ == "ValidationError":  # pydantic's, which --help has no need to import
        return "\n".join(_explain_field(e["loc"], e["msg"], e["input"]) for e in cause.errors())
    if isinstance(error, CycloptsError):
        return f"{error}\nSee `glassgpt --help`, or the command's own --help."
    return str(error)


def _explain_field(path: tuple[int | str, ...], message: str, given: object) -> str:
    message = message.removeprefix("Value error, ")
    if isinstance(given, dict | tuple) or not path:
        return message
    option = "--" + str(path[-1]).replace("_", "-")
    return f"{option}: {message[:1].lower()}{message[1:]}, got {given!r}"
