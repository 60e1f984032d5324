"""`glassgpt chat`: a conversation with a model that was trained on conversations."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from glassgpt.cli.view.open_run import open_chat
from glassgpt.cli.view.render import printable, shown
from glassgpt.cli.view.terminal_input import piped, typed
from glassgpt.errors import UserError
from glassgpt.generate import ChatSession, SamplingParams
from glassgpt.units import count


def chat(
    run: Path,
    *,
    adapter: Path | None = None,
    system: str = "",
    max_new_tokens: int = 500,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    seed: int | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    device: str = "cpu",
) -> None:
    """ChatSession to a model that was trained on conversations (`glassgpt train chat.jsonl`).

    A line that ends with \\ goes on in the next one; a pasted text is one message. Ctrl-C stops a reply,
    Ctrl-D or /exit ends; /help lists the commands. From a pipe each line is a message, and each reply a line
    of its own or, with --json, an object.

    Parameters
    ----------
    run
        Folder of a run.
    adapter
        File of `glassgpt adapter`, trained beside this run.
    system
        What the system says before the conversation begins.
    max_new_tokens
        Longest reply, in tokens.
    temperature
        Below 1 safer, above 1 wilder; 0 always takes the likeliest token.
    top_k
        Choose among the k likeliest tokens only.
    top_p
        Choose among the likeliest tokens that together have this probability.
    min_p
        Drop tokens less likely than this share of the likeliest.
    seed
        The same seed and the same messages give the same replies.
    json
        Print each message and its reply as a JSON object, one a line.
    device
        `cpu`, `cuda`, `mps` or `auto`.
    """
    if max_new_tokens < 1:
        raise UserError(f"--max-new-tokens must be at least 1, got {max_new_tokens}")
    params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    model, tokenizer = open_chat(run, device, adapter)
    talk = ChatSession(model, tokenizer, params, max_new_tokens, seed)
    if system:
        talk.take(f"/system {system}")
    if sys.stdin.isatty() and not json:
        size = f"{count(model.n_params)} parameters, sees {model.config.block_size:,} tokens"
        _at_a_terminal(talk, f"{run}: {size}. /help lists the commands, Ctrl-D ends.")
    else:
        _from_a_pipe(talk, json)


def _from_a_pipe(talk: ChatSession, json: bool) -> None:
    """A message a line; whatever is wrong with one ends the conversation."""
    for text in piped(sys.stdin):
        turn = talk.take(text)
        if turn.ended:
            return
        if turn.pieces is None:  # a note on a command, which no program waits for
            continue
        said = "".join(turn.pieces)
        if talk.news:
            print(f"glassgpt: note: {talk.news}", file=sys.stderr)
            talk.news = ""
        if json:
            print(json_format.dumps({"user": text, "assistant": said}, ensure_ascii=False), flush=True)
        else:
            print(shown(said), flush=True)


def _at_a_terminal(talk: ChatSession, greeting: str) -> None:
    """With a prompt; whatever is wrong with a message is said, and the conversation goes on."""
    console = Console(highlight=False)

    def note(text: str) -> None:
        console.print(text, style="dim", markup=False, soft_wrap=True)

    def interrupted() -> None:
        note("\nCtrl-D or /exit ends")

    note(greeting)
    messages, goes_on = typed("› ", "… ", interrupted), True
    while goes_on:
        try:
            goes_on = _answer(talk, next(messages, "/exit"), console, note)
        except KeyboardInterrupt:  # between a line and a reply
            interrupted()
    console.print()


def _answer(talk: ChatSession, text: str, console: Console, note: Callable[[str], None]) -> bool:
    """What comes of one message or command; False where it ends the conversation."""
    try:
        turn = talk.take(text)
    except UserError as problem:
        note(str(problem))
        return True
    if turn.pieces is not None:
        _show(turn.pieces, console)
    elif not turn.ended:
        note(turn.note)
    if talk.news:
        note(talk.news)
        talk.news = ""
    return not turn.ended


def _show(pieces: Generator[str], console: Console) -> None:
    """A reply as it comes. Ctrl-C ends it, and nothing else."""
    try:
        with closing(pieces):
            for piece in pieces:
                console.print(printable(piece), style="cyan", end="", markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        console.print(" … stopped", style="dim", end="")
    console.print("\n")
