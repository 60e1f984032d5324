"""Opening a run for the command that its family is for."""

from __future__ import annotations

from pathlib import Path

from glassgpt.checkpoint import load_run, load_with_adapter
from glassgpt.config import ModelConfig
from glassgpt.data import CHAT_SPECIALS
from glassgpt.device import choose_device
from glassgpt.errors import UserError
from glassgpt.models import Model
from glassgpt.tokenizers import Tokenizer

COMMANDS = {
    "sample": "write on",
    "translate": "turn one text into another",
    "ask": "answer about images",
    "fill": "fill gaps",
    "classify": "tell classes apart",
}


def command_for(config: ModelConfig) -> str:
    """The command that uses a model of this kind."""
    match config.family:
        case "gpt" | "bigram":
            return "sample"
        case "seq2seq":
            return "translate"
        case "captioner":
            return "ask"
        case "encoder":
            return "classify" if config.labels else "fill"


def open_for(command: str, run: Path, device: str) -> tuple[Model, Tokenizer]:
    """The best model of a run and its tokenizer. Raises UserError where another command is meant."""
    model, tokenizer = load_run(run, choose_device(device))
    right = command_for(model.config)
    if right != command:
        kind = model.config.family
        raise UserError(
            f"{run} is a {kind}, which can {COMMANDS[right]}, not {COMMANDS[command]}: "
            f"use `glassgpt {right} {run}`"
        )
    return model, tokenizer


def open_chat(run: Path, device: str, adapter: Path | None = None) -> tuple[Model, Tokenizer]:
    """The best model of a run that has learned from conversations, and its tokenizer."""
    if adapter is None:
        model, tokenizer = load_run(run, choose_device(device))
    else:
        model, tokenizer = load_with_adapter(run, adapter, choose_device(device))
    if all(name in tokenizer.specials for name in CHAT_SPECIALS):
        return model, tokenizer
    use = f"`glassgpt {command_for(model.config)} {run}` uses it"
    if model.config.family == "gpt":
        use += f", and `glassgpt train chat.jsonl --from {run}` teaches it to chat"
    raise UserError(f"{run} has not learned from conversations: {use}")
