"""The `glassgpt` command: its subcommands, exit codes and error messages.

Commands are import paths and load when called. `--help` and a mistyped option never import torch.
"""

from __future__ import annotations

import errno
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from keyword import iskeyword
from typing import NoReturn

from cyclopts import App, CycloptsError, Parameter

from glassgpt.cli.parse import explain, explain_usage, parse, take_language
from glassgpt.cli.process_start import command_began, process_start
from glassgpt.cli.view.terminal import Terminal, discard_output, prepare_streams, print_error, print_note
from glassgpt.errors import UserError
from glassgpt.interrupts import RaiseStopped, Stopped, end_cleanly, on_signals
from glassgpt.language import N_, _, using
from glassgpt.ram import is_out_of_memory
from glassgpt.threads import set_wait_policy

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG}
"""Errors of the disk, not of the program."""
LESS_MEMORY = N_("Close other programs, or give less: a shorter text, a smaller batch, a smaller model.")

COMMANDS = {
    "train": "Train a model on your own text.",
    "plan": "Forecast the loss of a training, without training.",
    "resume": "Resume a run from its last checkpoint.",
    "sample": "Generate text with a trained model.",
    "chat": "Chat with a model trained on conversations.",
    "translate": "Translate with a trained seq2seq model.",
    "ask": "Ask a trained captioner about an image.",
    "classify": "Classify a text with a trained encoder.",
    "fill": "Fill the gaps of a text with a trained encoder.",
    "look": "Look inside a trained model.",
    "lab": "See through your models in the browser.",
    "learn": "Show your way from the notes to a GPT of your own.",
    "explain": "Measure facts about transformers, live.",
    "baselines": "Measure n-grams and xz on a text, without training.",
    "compare": "Compare two sets of settings, fairly.",
    "sweep": "Compare several values of a setting, fairly.",
    "copying": "Measure how much of a text is copied from the training text.",
    "report": "Write a report of a run as one HTML file, or check one.",
    "plot": "Plot the learning curves of runs.",
    "runs": "List runs and compare them with their baselines.",
    "export": "Export a model for other programs.",
    "share": "Copy a run to give away, without its training text.",
    "push": "Upload a certified export to the Hugging Face hub.",
    "import": "Import a model of transformers or nanoGPT as a run.",
    "adapter": "Save the LoRA adapters of a run as one small file.",
    "bench": "Measure the speed of a trained model on this machine.",
    "doctor": "Find out what is wrong with a run.",
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
    default_parameter=Parameter(negative_iterable=()),  # no --empty-stop
)
_groups = {"bench": App(name="bench", help=COMMANDS["bench"], help_format="plaintext", version_flags=[])}
_groups["bench"].command(
    "glassgpt.cli.commands.bench:generate", name="generate", help="Measure generation speed."
)
for _group in _groups.values():
    app.command(_group)
for _order, (_name, _help) in enumerate(COMMANDS.items()):
    if _name in _groups:
        continue
    _python = _name + "_" * iskeyword(_name)  # `import` cannot be the name of a module
    app.command(f"glassgpt.cli.commands.{_python}:{_python}", name=_name, help=_help, sort_key=_order)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Exit codes: 0 for success, 2 for unusable input, 128 + n for signal n (130 for Ctrl-C). `verify`
    also uses 1.
    """
    command_began.set(process_start() if arguments is None else time.monotonic())
    set_wait_policy()  # torch reads it when it is loaded
    prepare_streams()
    warnings.showwarning = lambda message, *more, **named: print_note(_translatable(message))
    try:
        language, words = take_language(sys.argv[1:] if arguments is None else arguments)
    except UserError as error:
        _fail(explain(error), 2)
    with using(language):
        _run(words)
        if arguments is None:
            _end_quickly()


def _run(words: Sequence[str]) -> None:
    """Run a command. Exits with a message if it fails."""
    try:
        with on_signals(RaiseStopped()):
            parse(app, words, Terminal())()
            sys.stdout.flush()
    except CycloptsError as error:
        _fail(explain_usage(error, words), 2)
    except UserError as error:
        _fail(explain(error), 2)
    except BrokenPipeError:  # the reader of the pipe (head, less) has closed it
        discard_output()
        sys.exit(0)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        _fail(_("the memory is full ({reason}). {remedy}", reason=reason, remedy=LESS_MEMORY), 2)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        file = error.filename or _("a file")
        _fail(
            _(
                "{file}: cannot write ({reason}). Saved checkpoints are intact.",
                file=file,
                reason=error.strerror,
            ),
            2,
        )
    except Stopped as stop:
        with suppress(OSError):  # the terminal may be gone
            print_error(_("interrupted"))
        end_cleanly(128 + stop.number)
    except KeyboardInterrupt:
        _fail(_("interrupted"), 130)


def _translatable(message: Warning | str) -> str:
    """Return the text of a warning, as `_` can translate it."""
    text = message.args[0] if isinstance(message, Warning) and message.args else message
    return text if isinstance(text, str) else str(text)


def _end_quickly() -> None:
    """End a process that has done its work: Python takes up to 3 s to take torch apart on a busy machine.

    Threads that are still at work (a tracker that sends) get the ordinary end, which waits for them.
    """
    if all(thread.daemon or thread is threading.main_thread() for thread in threading.enumerate()):
        end_cleanly(0)


def _fail(message: str, code: int) -> NoReturn:
    """Print a message and exit."""
    print_error(message)
    sys.exit(code)
