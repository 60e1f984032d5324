"""`glassgpt chat`: a conversation with a trained model."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

from rich.console import Console

from glassgpt.cli.arguments import Device, Json, MinP, RunFolder, Temperature, TopK, TopP
from glassgpt.cli.flags import with_flags
from glassgpt.cli.view.open_run import open_chat
from glassgpt.cli.view.render import printable, shown
from glassgpt.cli.view.terminal_input import piped_messages, terminal_messages
from glassgpt.errors import UserError
from glassgpt.generate import ChatSession, SamplingParams
from glassgpt.units import count


def chat(
    run: RunFolder,
    *,
    adapter: Path | None = None,
    system: str = "",
    max_new_tokens: int = 500,
    temperature: Temperature = 0.8,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    seed: int | None = None,
    json: Json = False,
    device: Device = "cpu",
) -> None:
    """Chat with a model trained on conversations (`glassgpt train chat.jsonl`).

    A \\ at the end of a line continues the message on the next line; a pasted text is one message. Ctrl-C
    stops a reply. Ctrl-D or /exit ends the chat; /help lists the commands. From a pipe, each line is a
    message; each reply is a line or, with --json, an object.

    Parameters
    ----------
    adapter
        File of `glassgpt adapter`, trained on this run.
    system
        System message at the beginning of the conversation.
    max_new_tokens
        Maximum length of a reply, in tokens.
    seed
        The same seed and the same messages give the same replies.
    json
        Print a JSON object per message, with `user` and `assistant`.
    """
    if max_new_tokens < 1:
        raise UserError(f"--max-new-tokens: must be at least 1, got {max_new_tokens}.")
    params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    model, tokenizer = open_chat(run, device, adapter)
    session = ChatSession(model, tokenizer, params, max_new_tokens, seed)
    if system:
        session.send(f"/system {system}")
    if sys.stdin.isatty() and not json:
        size = f"{count(model.n_params)} parameters, sees {model.config.block_size:,} tokens"
        _at_a_terminal(session, f"{run}: {size}. /help lists the commands, Ctrl-D ends.")
    else:
        _from_a_pipe(session, json)


def _from_a_pipe(session: ChatSession, json: bool) -> None:
    """Answer each line of standard input. An unusable message ends the conversation."""
    for text in piped_messages(sys.stdin):
        reply = session.send(text)
        if reply.ended:
            return
        if reply.pieces is None:  # a note about a command; programs do not read it
            continue
        answer = "".join(reply.pieces)
        if reply.notice:
            print(f"glassgpt: note: {with_flags(reply.notice)}", file=sys.stderr)
        if json:
            print(json_format.dumps({"user": text, "assistant": answer}, ensure_ascii=False), flush=True)
        else:
            print(shown(answer), flush=True)


def _at_a_terminal(session: ChatSession, greeting: str) -> None:
    """Answer messages from the terminal. An unusable message prints a note."""
    console = Console(highlight=False)

    def note(text: str) -> None:
        console.print(with_flags(text), style="dim", markup=False, soft_wrap=True)

    def interrupted() -> None:
        note("\nCtrl-D or /exit ends")

    note(greeting)
    messages, is_open = terminal_messages("› ", "… ", interrupted), True
    while is_open:
        try:
            is_open = _answer(session, next(messages, "/exit"), console, note)
        except KeyboardInterrupt:  # between a line and a reply
            interrupted()
    console.print()


def _answer(session: ChatSession, text: str, console: Console, note: Callable[[str], None]) -> bool:
    """Answer one message or command. Returns False if it ends the conversation."""
    try:
        reply = session.send(text)
    except UserError as problem:
        note(str(problem))
        return True
    if reply.pieces is not None:
        _show(reply.pieces, console)
    elif not reply.ended:
        note(reply.note)
    if reply.notice:
        note(reply.notice)
    return not reply.ended


def _show(pieces: Generator[str], console: Console) -> None:
    """Print a reply piece by piece. Ctrl-C stops the reply only."""
    try:
        with closing(pieces):
            for piece in pieces:
                console.print(printable(piece), style="cyan", end="", markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        console.print(" … stopped", style="dim", end="")
    console.print("\n")
