"""Open a run for a command, and refuse a model that the command cannot use."""

from __future__ import annotations

from pathlib import Path

from glassgpt.checkpoint import Run, load_run, load_with_adapter, read_verdict
from glassgpt.cli.view.terminal import print_note
from glassgpt.data import find_chat_format
from glassgpt.device import choose_device
from glassgpt.errors import UserError, command_line
from glassgpt.language import N_, _
from glassgpt.models import Model
from glassgpt.tasks import TASKS, task_of_model
from glassgpt.tokenizers import Tokenizer


def open_for(command: str, run: Path, device: str) -> tuple[Model, Tokenizer]:
    """Load the best model of a run and its tokenizer. Raises UserError if another command is meant."""
    model, tokenizer = load_run(run, choose_device(device))
    task = task_of_model(model.config)
    if command not in task.commands:
        wanted = next(other.ability for other in TASKS.values() if command == other.commands[0])
        raise UserError(
            "{run} is a {family}. It can {ability}, but not {wanted}. Use `{command}`.",
            run=run,
            family=model.config.family,
            ability=task.ability,
            wanted=wanted,
            command=command_line(task.commands[0], run),
        )
    return model, tokenizer


def note_guesses(run: Path) -> None:
    """Print a note if the verdict says that the model guesses."""
    verdict = read_verdict(Run.open(run))
    if verdict is not None and verdict.guesses:
        print_note(
            _(
                "this model guesses: {guesses}. Train it longer before you trust its attention.",
                guesses=verdict.guesses,
            )
        )


def open_chat(run: Path, device: str, adapter: Path | None = None) -> tuple[Model, Tokenizer]:
    """Load the best model of a run that was trained on conversations, and its tokenizer."""
    if adapter is None:
        model, tokenizer = load_run(run, choose_device(device))
    else:
        model, tokenizer = load_with_adapter(run, adapter, choose_device(device))
    if find_chat_format(tokenizer):
        return model, tokenizer
    use = N_("`{command}` uses it", command=command_line(task_of_model(model.config).commands[0], run))
    if model.config.family == "gpt":
        use = N_(
            "{use}, and `{command}` teaches it to chat",
            use=use,
            command=command_line("train", "chat.jsonl", "--from", run),
        )
    raise UserError("{run} was not trained on conversations: {use}", run=run, use=use)
