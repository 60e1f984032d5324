"""`glassgpt chat`: a conversation with a trained model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path

from glassgpt.cli.arguments import Device, Json, MinP, RunFolder, Temperature, TopK, TopP
from glassgpt.cli.flags import with_flags
from glassgpt.cli.view.open_run import open_chat
from glassgpt.cli.view.terminal import Terminal, print_json, print_line, print_note
from glassgpt.cli.view.terminal_input import check_bytes, input_lines, join_lines, terminal_messages
from glassgpt.errors import UserError
from glassgpt.generate import ChatSession, SamplingParams
from glassgpt.interrupts import ctrl_c_interrupts
from glassgpt.language import _
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
    message; each reply is a line or, with --json, an object. A line that cannot be used is named on standard
    error and gets an empty reply; the exit code is then 2.

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
        Print a JSON object per message, with `user` and `assistant`, or `user` and `problem`.
    """
    if max_new_tokens < 1:
        raise UserError(
            "--max-new-tokens: must be at least 1, got {max_new_tokens}.", max_new_tokens=max_new_tokens
        )
    params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    model, tokenizer = open_chat(run, device, adapter)
    session = ChatSession(model, tokenizer, params, max_new_tokens, seed)
    if system:
        session.send(f"/system {system}")
    if sys.stdin.isatty() and not json:
        size = _(
            "{n_params} parameters, sees {block_size:,} tokens",
            n_params=count(model.n_params),
            block_size=model.config.block_size,
        )
        _at_a_terminal(
            session, _("{run}: {size}. /help lists the commands, Ctrl-D ends.", run=run, size=size)
        )
    else:
        _from_a_pipe(session, json)


def _from_a_pipe(session: ChatSession, json: bool) -> None:
    """Answer each line of standard input. A line that cannot be used is named, and the next one is read."""
    code = 0
    for line in join_lines(input_lines(sys.stdin)):
        try:
            check_bytes(line.text)
            reply = session.send(line.text)
        except UserError as problem:
            code = 2
            print_note(_("line {number}: {problem}", number=line.number, problem=problem))
            _reply({"user": line.text, "problem": str(problem)}, json)
            continue
        if reply.ended:
            break
        if reply.pieces is None:  # the result of a command is no reply
            print_note(reply.note)
            continue
        _reply({"user": line.text, "assistant": "".join(reply.pieces)}, json)
        if reply.notice:
            print_note(reply.notice)
    if code:
        sys.exit(code)


def _reply(turn: dict[str, str], json: bool) -> None:
    """Print one turn as JSON, or its reply as a line."""
    if json:
        print_json(turn)
    else:
        print_line(turn.get("assistant", ""))


def _at_a_terminal(session: ChatSession, greeting: str) -> None:
    """Answer messages from the terminal. An unusable message prints a note.

    From the greeting on, Ctrl-C stops a reply or clears a line, and the chat goes on.
    """
    console = Terminal()

    def say(text: str) -> None:
        console.say(with_flags(text), "dim")

    def messages() -> Iterator[str]:
        return terminal_messages("› ", "… ")

    with ctrl_c_interrupts():
        with suppress(KeyboardInterrupt):
            say(greeting)
        lines, is_open = messages(), True
        while is_open:
            try:
                is_open = _answer(session, next(lines, "/exit"), console, say)
            except KeyboardInterrupt:
                lines = messages()  # the iterator that was interrupted yields no more
                with suppress(KeyboardInterrupt):
                    say("\nCtrl-D or /exit ends")
    console.print()


def _answer(session: ChatSession, text: str, console: Terminal, say: Callable[[str], None]) -> bool:
    """Answer one message or command. Returns False if it ends the conversation."""
    try:
        check_bytes(text)
        reply = session.send(text)
    except UserError as problem:
        say(str(problem))
        return True
    if reply.pieces is not None:
        _show(reply.pieces, console)
    elif not reply.ended:
        say(reply.note)
    if reply.notice:
        say(reply.notice)
    return not reply.ended


def _show(pieces: Generator[str], console: Terminal) -> None:
    """Print a reply piece by piece. Ctrl-C stops the reply only."""
    try:
        with closing(pieces):
            for piece in pieces:
                console.print(piece, style="cyan", end="", soft_wrap=True)
    except KeyboardInterrupt:
        console.print(_(" … stopped"), style="dim", end="")
    console.print("\n")
