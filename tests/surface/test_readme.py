"""Every block of README and guide and every example of --help runs: Python unchanged, commands shortened."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from glassgpt.cli.examples import EXAMPLES
from glassgpt.data import write_image
from glassgpt.tokenizers import train_tokenizer
from helpers import conversations, nanogpt
from helpers.commands import run

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tools"))
import floors  # noqa: E402

FIRST = ["tasks.md", "chat.md"]
"""Pages whose runs the other pages use."""
PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs" / "guide" / name for name in FIRST),
    *(page for page in sorted((ROOT / "docs" / "guide").glob("*.md")) if page.name not in FIRST),
]
BLOCKS = [
    block
    for page in PAGES
    for block in re.findall(r"^```(\w+)\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
]
TEXT = "".join(
    f"{i} green bottles hanging on the wall, and if {i % 7} should fall, so be it.\n" for i in range(400)
)


COMMAND_WORDS = ("glassgpt", "torchrun", "python")
"""`glassgpt` runs in this process, where torch is imported; also what `torchrun` starts in several."""
TORCHRUN = shlex.split("torchrun --standalone --nproc-per-node 2 -m glassgpt")
"""How equivalence/test_processes.py starts two processes."""
LONGER = count(9, 3)
"""Total steps of each resumed run: more each time, or it would be finished."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, small_datasets: None, known_speed: None) -> Iterator[Path]:
    """A folder as the pages expect it: data of every kind, and a run of notes.txt."""
    tmp_path = tmp_path_factory.mktemp("desk")
    (tmp_path / "notes.txt").write_text(TEXT)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text(TEXT)
    (tmp_path / "chat.jsonl").write_text('{"text": "hello there, how are you today?"}\n' * 200)
    conversations.write(tmp_path / "talk.jsonl", 60)
    (tmp_path / "_chat.txt").write_text("".join(map(_whatsapp, range(200))))
    (tmp_path / "pairs.tsv").write_text("".join(f"{i} green bottles\t{i} flacons verts\n" for i in range(60)))
    (tmp_path / "reviews.csv").write_text(
        "text,label\n" + "".join(f"number {i},{i % 2}\n" for i in range(60))
    )
    for i in range(30):
        write_image(np.full((3, 20, 20), 8 * i, np.uint8), tmp_path / "photos" / f"{i}.png")
    rows = "".join(f"{i}.png,what is this?,a gray of {i}\n" for i in range(30))
    (tmp_path / "photos" / "captions.csv").write_text("image,question,answer\n" + rows)
    nanogpt.save(tmp_path / "out-shakespeare-char", nanogpt.checkpoint())
    (tmp_path / "data" / "shakespeare_char").mkdir(parents=True)
    (tmp_path / "data" / "shakespeare_char" / "input.txt").write_text(nanogpt.TEXT)
    nanogpt.save(tmp_path / "out", nanogpt.checkpoint(vocab_size=300))
    (tmp_path / "gpt2").mkdir()
    train_tokenizer("bpe", [nanogpt.TEXT], vocab_size=280).save(tmp_path / "gpt2" / "tokenizer.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        shell(tmp_path, "glassgpt train notes.txt --size nano")
        yield tmp_path


def _whatsapp(i: int) -> str:
    """Return a question and Ana's answer, as WhatsApp exports them."""
    day = f"[{i // 24 % 28 + 1:02}/03/2024, {i % 24:02}"
    return (
        f"{day}:10:00] Ben: how many bottles of kind {i}?\n{day}:11:00] Ana: there are {i * 7 % 31} of them\n"
    )


def shell(folder: Path, line: str) -> str:
    """Run one command of a page, cut down to a few steps, and return what it prints."""
    piped, _, line = line.rpartition(" | ")
    words = shlex.split(line, comments=True)
    if words[0] == "torchrun":
        assert words[: len(TORCHRUN)] == TORCHRUN
        words = words[len(TORCHRUN) - 1 :]
    if {"compare", "sweep"} & set(words):
        if "--minutes" in words:
            words[words.index("--minutes") : words.index("--minutes") + 2] = ["--steps", "2", "--evals", "1"]
        words += ["--pairs", "1"]
    if {"train", "resume"} & set(words):
        for length in ("--minutes", "--steps"):
            if length in words:
                at = words.index(length)
                words[at : at + 2] = []
        steps = next(LONGER) if "resume" in words else 3
        words += ["--steps", str(steps), "--evals", "1", "--sample-tokens", "20"]
    if "--seconds" in words:
        words[words.index("--seconds") + 1] = "0.01"
    if words[1].endswith("gpt_in_one_file.py"):
        words[-1] = "5"
    given = "".join(f"{word}\n" for word in shlex.split(piped)[1:])
    if words[0] == "glassgpt":
        return run(folder, *words[1:], stdin=given.encode())
    done = subprocess.run(
        [sys.executable, *words[1:]],
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("code", [code for language, code in BLOCKS if language == "python"])
def test_python(
    code: str, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(desk)
    exec(compile(code, "page", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out


COMMANDS = [
    line
    for language, block in BLOCKS
    if language == "sh"
    for line in block.splitlines()
    if line.startswith((*COMMAND_WORDS, "echo"))
]
COMMANDS += sorted({line for lines in EXAMPLES.values() for line in lines})
COMMANDS = [*dict.fromkeys(line.partition("  #")[0].rstrip() for line in COMMANDS)]
"""Each once: a second export of one run is refused."""


LARGE = "glassgpt train shakespeare"
"""A text and models that take 10 s each."""


def test_there_are_blocks() -> None:
    assert len(COMMANDS) >= 5


@pytest.mark.filterwarnings("default::UserWarning")  # notes to the user
@pytest.mark.parametrize(
    "line",
    [pytest.param(line, marks=pytest.mark.slow if line.startswith(LARGE) else ()) for line in COMMANDS],
)
def test_command(line: str, desk: Path) -> None:
    if "shakespeare" in line and not os.environ.get("GLASSGPT_DATA"):
        pytest.skip("tinyshakespeare is not in $GLASSGPT_DATA, and tests download nothing")
    told = shell(desk, re.sub(r"\b(?=(examples|benchmarks)/)", f"{ROOT}/", line))
    assert told or " chat " in line  # without a message there is no reply


def test_the_table_of_floors_is_up_to_date() -> None:
    """Run `python tools/floors.py` to update it."""
    readme = (ROOT / "README.md").read_text("utf-8")
    assert floors.replaced(readme) == readme


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 145


def test_the_glossary_names_files_that_exist() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    code = re.findall(r"`((?!src)[a-z_0-9]+/[a-z_0-9/.]*)`", text)
    assert len(code) > 30
    assert not [name for name in code if not (ROOT / "src" / "glassgpt" / name).exists()]
