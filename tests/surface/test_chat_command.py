"""From a file of conversations to a chat, and the errors for unusable files and runs."""

from __future__ import annotations

import json
import os
import pty
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from glassgpt.checkpoint import steps
from glassgpt.cli.commands.chat import _show
from glassgpt.cli.view.terminal import Terminal
from glassgpt.interrupts import RaiseStopped, ctrl_c_interrupts, on_signals
from helpers import conversations
from helpers.commands import run

QUICK = ["--size", "nano", "--block-size", "128", "--steps", "6", "--evals", "2", "--sample-tokens", "16"]


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    return conversations.write(tmp_path / "chat.jsonl", 200)


def test_train_and_chat(tmp_path: Path, chat: Path) -> None:
    out = run(tmp_path, "train", "chat.jsonl", *QUICK)
    for said in (
        "conversations to learn",
        "question seen",
        "exact",
        "user: ",
        "<assistant> <end>",
        "(right: ",
    ):
        assert said in out
    assert "glassgpt chat runs/chat" in out
    asked = b"Spell abc.\n/system Be brief.\n\nWhat is\\\n3 + 4?\n/exit\nnot this\n"
    options = ["chat", "runs/chat", "--seed", "1", "--max-new-tokens", "9"]
    plain = run(tmp_path, *options, stdin=asked)
    assert len(plain.splitlines()) >= 2 and "›" not in plain
    lines = run(tmp_path, *options, "--json", stdin=asked).splitlines()
    rows = [json.loads(line) for line in lines if not line.startswith("glassgpt: note: ")]
    assert [row["user"] for row in rows] == ["Spell abc.", "What is\n3 + 4?"]
    notes = [line + "\n" for line in lines if line.startswith("glassgpt: note: ")]
    assert plain == rows[0]["assistant"] + "\n" + "".join(notes) + rows[1]["assistant"] + "\n"
    assert "done" in run(tmp_path, "runs")
    assert "damaged" not in run(tmp_path, "runs")
    run(tmp_path, "verify", "runs/chat")
    config = json.loads((tmp_path / "runs/chat/config.json").read_text())
    assert config["task"] == "chat" and config["model"]["block_size"] == 128


def test_the_block_is_longer_unless_asked_for(tmp_path: Path, chat: Path) -> None:
    quick = ["--steps", "1", "--evals", "1", "--sample-tokens", "0", "--n-layer", "1"]
    run(tmp_path, "train", "chat.jsonl", *quick, "--out", "run")
    assert json.loads((tmp_path / "run/config.json").read_text())["model"]["block_size"] == 256


def test_what_was_cut_is_counted(tmp_path: Path, chat: Path) -> None:
    out = run(tmp_path, "train", "chat.jsonl", *QUICK[:2], "--block-size", "48", *QUICK[4:])
    assert "conversations are longer than the context (48 tokens)" in out


def test_running_text_if_asked_for(tmp_path: Path, chat: Path) -> None:
    out = run(tmp_path, "train", "chat.jsonl", *QUICK, "--column", "messages", "--out", "text")
    assert "xz" in out
    said = run(tmp_path, "chat", "text", stdin=b"hi\n", code=2)
    assert "was not trained on conversations" in said and "--from text" in said
    assert "glassgpt sample text" in said


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('{"messages": [{"role": "tool", "content": "x"}]}', "chat.jsonl:201: message 1 has the role 'tool'"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "chat.jsonl:201: the assistant says nothing"),
        ('{"messages": [{"role": "user", "content": ""}]}', "chat.jsonl:201: message 1, of the user, has no"),
        ("{", "chat.jsonl:201: this is not JSON"),
    ],
)
def test_bad_rows(tmp_path: Path, chat: Path, row: str, says: str) -> None:
    chat.write_text(chat.read_text() + row + "\n")
    said = run(tmp_path, "train", "chat.jsonl", *QUICK, code=2)
    assert says in said and "--skip-invalid" in said and not (tmp_path / "runs").exists()
    assert "1 row skipped" in run(tmp_path, "train", "chat.jsonl", "--skip-invalid", *QUICK)


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        ([], b"/frob\n", "/frob is no command"),
        ([], b"x" * 300 + b"\n", "takes 303 tokens"),
        ([], b"\xff\n", "line 1: byte 0xFF is not valid UTF-8"),
        (["--temperature=-1"], b"hi\n", "temperature"),
        (["--max-new-tokens", "0"], b"hi\n", "--max-new-tokens"),
        (["--device", "abacus"], b"hi\n", "abacus"),
    ],
)
def test_wrong_use(tmp_path: Path, chat: Path, arguments: list[str], stdin: bytes, says: str) -> None:
    run(tmp_path, "train", "chat.jsonl", *QUICK, "--tokenizer", "byte", "--out", "run")
    said = run(tmp_path, "chat", "run", *arguments, stdin=stdin, code=2)
    assert says in said and "Traceback" not in said


def test_a_line_that_cannot_be_used_is_named_and_the_rest_is_answered(tmp_path: Path, chat: Path) -> None:
    run(tmp_path, "train", "chat.jsonl", *QUICK, "--tokenizer", "byte", "--out", "run")
    typed = b"/frob\n\xff\n/help\n" + b"x" * 300 + b"\nhi\n"
    lines = run(tmp_path, "chat", "run", "--json", stdin=typed, code=2).split("\n")
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    assert [sorted(row) for row in rows] == [["problem", "user"]] * 3 + [["assistant", "user"]]
    assert [row["user"] for row in rows[::3]] == ["/frob", "hi"]
    notes = "\n".join(line for line in lines if not line.startswith("{"))
    assert "line 1: /frob is no command" in notes and "line 4: " in notes and "/retry" in notes


def test_a_long_conversation_drops_its_oldest_turns(tmp_path: Path, chat: Path) -> None:
    run(tmp_path, "train", "chat.jsonl", *QUICK, "--out", "run")
    said = run(tmp_path, "chat", "run", "--seed", "1", stdin=b"What is the capital of Peru?\n" * 8)
    assert said.count("has outgrown the 128 tokens") == 1


def test_resume_continues(tmp_path: Path, chat: Path) -> None:
    run(tmp_path, "train", "chat.jsonl", *QUICK, "--out", "run")
    run(tmp_path, "resume", "run", "--steps", "8")
    assert steps(tmp_path / "run" / "checkpoints")[0].name == "step-0000000008"


def test_from_another_run(tmp_path: Path, chat: Path) -> None:
    (tmp_path / "notes.txt").write_text("The quick brown fox jumps over the lazy dog. " * 60)
    small = ["--n-layer", "1", "--n-embd", "32"]
    quick = ["--steps", "3", "--evals", "1", "--sample-tokens", "8"]
    run(tmp_path, "train", "notes.txt", *small, *quick, "--out", "base")
    out = run(tmp_path, "train", "chat.jsonl", "--from", "base", "--lora-rank", "2", *quick, "--out", "tuned")
    assert "of base" in out and "adapters   of rank 2" in out and "+ <system>" in out
    run(tmp_path, "chat", "tuned", "--max-new-tokens", "3", stdin=b"hi\n")
    run(tmp_path, "look", "tuned", "hello")
    run(tmp_path, "verify", "tuned")
    run(tmp_path, "resume", "tuned", "--steps", "5")
    run(tmp_path, "train", "notes.txt", "--from", "tuned", *quick, "--out", "again")
    run(tmp_path, "sample", "again", "--max-new-tokens", "3")
    for options, says in (
        (["--from", "nowhere"], "nowhere is not a run"),
        (["--from", "base", "--n-layer", "2"], "--n-layer 2 contradicts base, where it is 1"),
        (["--from", "base", "--lora-rank", "99"], "--lora-rank (99) must be at most --n-embd (32)"),
        (["--lora-rank", "2"], "--lora-rank needs a trained base model. Name its run with --from."),
    ):
        assert says in run(tmp_path, "train", "chat.jsonl", *options, code=2)
    assert "keeps its init_from" in run(tmp_path, "train", "--resume", "tuned", "--from", "base", code=2)
    assert "has no adapters" in run(tmp_path, "adapter", "base", "a.safetensors", code=2)


@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals")
def test_at_a_terminal(tmp_path: Path, chat: Path) -> None:
    """Ctrl-C stops a reply and not the program, each time; /exit ends it."""
    run(tmp_path, "train", "chat.jsonl", *QUICK, "--out", "run")
    with at_a_terminal(tmp_path) as (process, ours):
        heard = wait_for(ours, "lists the commands")
        os.write(ours, b"/nonsense\n")
        heard += wait_for(ours, "is no command")
        for _ in range(3):
            heard += interrupt(process, ours, "Ctrl-D or /exit ends")
        os.write(ours, b"hello\n")
        heard += wait_for(ours, "hello")
        os.write(ours, b"/exit\n")
        heard += wait_for(ours, "/exit")
        assert process.wait(60) == 0, heard


@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals")
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_other_signals_end_a_chat(tmp_path: Path, chat: Path, number: signal.Signals) -> None:
    run(tmp_path, "train", "chat.jsonl", *QUICK, "--out", "run")
    with at_a_terminal(tmp_path) as (process, ours):
        wait_for(ours, "lists the commands")
        interrupt(process, ours, "Ctrl-D or /exit ends")
        for _ in range(20):
            process.send_signal(number)  # readline may lose the first one
            with suppress(subprocess.TimeoutExpired):
                assert process.wait(3) == 128 + number
                return
        raise AssertionError("the chat goes on")


def test_each_ctrl_c_stops_a_reply(capsys: pytest.CaptureFixture[str]) -> None:
    def pieces() -> Generator[str]:
        yield "first"
        os.kill(os.getpid(), signal.SIGINT)
        yield "second"

    with on_signals(RaiseStopped()), ctrl_c_interrupts():
        for _ in range(3):
            _show(pieces(), Terminal())
    said = capsys.readouterr().out
    assert said.count("first … stopped") == 3 and "second" not in said


@contextmanager
def at_a_terminal(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a chat at a terminal of its own; return the process and our end of the terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "glassgpt", "chat", "run", "--max-new-tokens", "100"]
    environment = os.environ | {"TERM": "dumb", "COLUMNS": "80"}
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            yield process, ours
        finally:
            process.kill()
    os.close(ours)


def wait_for(terminal: int, text: str, seconds: float = 60.0) -> str:
    """Read the output of a terminal up to this text."""
    heard, end = "", time.monotonic() + seconds
    while text not in heard:
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, heard
        heard += os.read(terminal, 4096).decode("utf-8", "replace")
    return heard


def interrupt(process: subprocess.Popen[bytes], terminal: int, text: str) -> str:
    """Send Ctrl-C until the program answers: readline loses a signal just before it waits."""
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        with suppress(AssertionError):
            return wait_for(terminal, text, seconds=3)
    raise AssertionError(f"{text!r} did not come")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_it_answers_right(tmp_path: Path) -> None:
    """It spells unseen words, knows capitals and writes dates; sums would take longer."""
    conversations.write(tmp_path / "chat.jsonl", 6000)
    run(tmp_path, "train", "chat.jsonl", "--steps", "500", "--evals", "2", "--out", "run")
    rng, asked = random.Random(987_654), list[tuple[str, str]]()
    while len(asked) < 100:
        question, answer = (message["content"] for message in conversations.turn(rng))
        if "=" not in answer:
            asked.append((question, answer))
    lines = "".join(f"/reset\n{question}\n" for question, _ in asked)
    said = run(tmp_path, "chat", "run", "--temperature", "0", stdin=lines.encode()).splitlines()
    right = sum(mine == answer for mine, (_, answer) in zip(said, asked, strict=True))
    print(f"{right} of 100 right")
    assert right >= 90
