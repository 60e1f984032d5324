"""The commands with a user's arguments, on clean and on messy text."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.commands import run

GLASSGPT = [sys.executable, "-m", "glassgpt"]
QUICK = ["--size", "nano", "--steps", "4", "--evals", "2", "--sample-tokens", "16"]
PROSE = "The quick brown fox, who had read {} books, jumps over the lazy dog. "
CHINESE = "学而时习之，不亦说乎？有朋自远方来，不亦乐乎？人不知而不愠，不亦君子乎？第{}章。\n"


def prose(n: int = 200, line: str = PROSE) -> str:
    return "".join(line.format(i) for i in range(n))


def test_train_sample_and_runs(tmp_path: Path) -> None:
    (tmp_path / "my notes.txt").write_text(prose())
    out = run(tmp_path, "train", "my notes.txt", *QUICK)
    assert "this model" in out and "uniform" in out and "glassgpt sample runs/my-notes" in out
    first = run(
        tmp_path, "sample", "runs/my-notes", "--prompt", "The 狐", "--seed", "1", "--max-new-tokens", "20"
    )
    assert first.startswith("The 狐")
    assert first == run(
        tmp_path, "sample", "runs/my-notes", "--prompt", "The 狐", "--seed", "1", "--max-new-tokens", "20"
    )
    greedy = ["sample", "runs/my-notes", "--temperature", "0", "--max-new-tokens", "10"]
    assert run(tmp_path, *greedy) == run(tmp_path, *greedy)
    listed = run(tmp_path, "runs")
    assert "my-notes" in listed and "done" in listed
    run(tmp_path, "train", "my notes.txt", *QUICK)
    assert (tmp_path / "runs" / "my-notes-2" / "verdict.json").is_file()


def test_json_events(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(prose())
    rows = [json.loads(line) for line in run(tmp_path, "train", "a.txt", "--json", *QUICK).splitlines()]
    kinds = [row["event"] for row in rows]
    assert kinds.count("step") == 4 and kinds.count("eval") == 2 and kinds[-1] == "verdict"
    assert {score["name"] for score in rows[-1]["baselines"]} >= {"uniform", "xz"}
    assert rows[-1]["model"]["name"] == "this model"
    metrics = [json.loads(line) for line in (tmp_path / "runs/a/metrics.jsonl").read_text().splitlines()]
    assert [row["event"] for row in metrics].count("step") == 4


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("chinese.txt", prose(100, CHINESE).encode()),
        ("gb.txt", prose(100, CHINESE).encode("gb18030")),
        ("utf16.txt", prose().encode("utf-16")),
        ("mixed.txt", prose(600, PROSE + "\r\n\r").encode()),
        ("rows.jsonl", "".join(json.dumps({"text": PROSE.format(i)}) + "\n" for i in range(100)).encode()),
        ("table.csv", ("id,text\n" + "".join(f'{i},"{PROSE.format(i)}"\n' for i in range(100))).encode()),
        ("page.html", f"<html><script>no</script><p>{prose()}</p></html>".encode()),
    ],
)
def test_texts_of_many_kinds(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    run(tmp_path, "train", name, *QUICK, "--out", "run")
    run(tmp_path, "sample", "run", "--prompt", "学 The", "--max-new-tokens", "10")
    manifest = json.loads((tmp_path / "run/data/manifest.json").read_text())
    assert manifest["documents"][0]["name"].endswith(name)


def test_standard_input_and_bpe(tmp_path: Path) -> None:
    run(tmp_path, "train", "-", "--tokenizer", "bpe", "--vocab-size", "300", *QUICK, stdin=prose().encode())
    assert (tmp_path / "runs/stdin/tokenizer.json").is_file()


def test_bigram_and_gpt2(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(prose())
    run(tmp_path, "train", "a.txt", "--model", "bigram", *QUICK)
    run(tmp_path, "train", "a.txt", "--preset", "gpt2", "--optimizer", "adamw", "--tensorboard", *QUICK)
    assert list((tmp_path / "runs/a-2/tensorboard").iterdir())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"to be or not to be, that is it", "1,000"),
        (bytes(range(256)) * 40, "not text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2000), "not text"),
    ],
)
def test_data_without_text_is_an_error(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    out = run(tmp_path, "train", "a.txt", *QUICK, code=2)
    assert says in out or "binary" in out, out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "nowhere.txt"], "nowhere.txt"),
        (["train", "a.txt", "--n-embd", "130"], "multiple"),
        (["train", "a.txt", "--steps", "1", "--minutes", "1"], "not both"),
        (["train", "a.txt", "--minutes", "0"], "greater than 0"),
        (["train", "a.txt", "--minutes", "0.05"], "--minutes: 0.05 are too few. They count from the start"),
        (["train", "a.txt", "--tokens", "9", "--minutes", "1"], "give --minutes or --tokens, not both"),
        (["train", "a.txt", "--exportable", "--preset", "speedrun"], "--ngram-order is 5"),
        (["train", "a.txt", "--device", "abacus"], "abacus"),
        (["train", "a.txt", "--out", "/dev/null/run"], "/dev/null/run cannot be written to"),
        (["train", "a.txt", "--out", "full"], "not empty"),
        (["train", "--resume", "nowhere"], "not a run"),
        (["train", "a.txt", "--config", "nowhere.toml"], "nowhere.toml"),
        (["sample", "nowhere"], "not a run"),
        (["sample", "full"], "not a run"),
        (["runs", "nowhere"], "no runs"),
        (["baselines", "nowhere.txt"], "nowhere.txt"),
        (["classify", "full", "two", "words"], "'words': unexpected argument. Put a text that has spaces"),
        (["dance"], "dance"),
    ],
)
def test_wrong_use_says_what_to_do(tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "a.txt").write_text(prose())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert says in run(tmp_path, *arguments, code=2)


@pytest.mark.parametrize("temperature", ["-1", "nan"])
def test_bad_sampling_parameters(tmp_path: Path, temperature: str) -> None:
    (tmp_path / "a.txt").write_text(prose())
    run(tmp_path, "train", "a.txt", *QUICK, "--out", "run")
    assert "temperature" in run(tmp_path, "sample", "run", f"--temperature={temperature}", code=2)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_no_write_permission(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(prose())
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "cannot write" in run(tmp_path, "train", "a.txt", "--out", "locked/run", *QUICK, code=2)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_signal_saves_and_resume_continues(tmp_path: Path, number: int, code: int) -> None:
    (tmp_path / "a.txt").write_text(prose())
    arguments = [
        *GLASSGPT,
        "train",
        "a.txt",
        "--size",
        "nano",
        "--steps",
        "100000",
        "--json",
        "--out",
        "my run",
    ]
    with subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        while b'"event": "step"' not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(number)
        process.stdout.read()
        said = process.stderr.read().decode()
    assert process.returncode == code
    assert "glassgpt resume 'my run'" in said
    stopped = int(said.split("step ")[1].split(";")[0])
    out = run(tmp_path, "resume", "my run", "--steps", str(stopped + 2), "--json")
    steps = [json.loads(line)["step"] for line in out.splitlines() if '"event": "step"' in line]
    assert steps == [stopped + 1, stopped + 2]
    assert "verdict" in out


IMPATIENT = """
import os, signal, time
from glassgpt.checkpoint.store import step as store
from glassgpt.cli.main import main
from glassgpt.train import saver

def hang(*_):  # like a network disk
    os.kill(os.getpid(), signal.{0})
    time.sleep(1)
    os.kill(os.getpid(), signal.{0})
    time.sleep(600)

saver.save_step = hang
main("train a.txt --size nano --steps 100000 --evals 1 --save-minutes 1e-9 --out run".split())
"""


@pytest.mark.parametrize(
    ("number", "code"), [pytest.param("SIGINT", 130, marks=pytest.mark.slow), ("SIGTERM", 143)]
)
def test_a_second_signal_ends_at_once(tmp_path: Path, number: str, code: int) -> None:
    """The program does not wait for the current save, so a disk that hangs cannot block it."""
    (tmp_path / "a.txt").write_text(prose())
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", IMPATIENT.format(number)], cwd=tmp_path, capture_output=True
    )
    assert ended.returncode == code and b"Traceback" not in ended.stderr, ended.stderr
    assert time.monotonic() - began < 250
    assert sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir()) == []


def test_resuming_refuses_another_model(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(prose())
    run(tmp_path, "train", "a.txt", *QUICK, "--out", "run")
    said = run(tmp_path, "resume", "run", "--seed", "3", code=2)
    assert "--seed (decides the order of the examples, and dropout) cannot change" in " ".join(said.split())
    assert "keeps its model" in run(tmp_path, "train", "--resume", "run", "--n-layer", "3", code=2)


def test_toml_below_options(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(prose())
    (tmp_path / "c.toml").write_text('[model]\nsize = "nano"\nn_layer = 3\n[train]\nsteps = 2\nevals = 1\n')
    run(tmp_path, "train", "a.txt", "--config", "c.toml", "--n-layer", "1", "--out", "run")
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert (config["model"]["n_layer"], config["model"]["n_embd"], config["train"]["steps"]) == (1, 64, 2)
    (tmp_path / "c.toml").write_text("[model]\nlayers = 3\n")
    assert "layers" in run(tmp_path, "train", "a.txt", "--config", "c.toml", code=2)


@pytest.mark.slow
@pytest.mark.parametrize("one_line", [False, True])
def test_200_mb_in_bounded_memory(tmp_path: Path, one_line: bool) -> None:
    """200 MB of lines, and one line of 10 MB: memory stays bounded."""
    megabytes = 10 if one_line else 200
    piece = prose(20_000) if one_line else prose(20_000, PROSE + "\n")
    with (tmp_path / "big.txt").open("w") as file:
        for _ in range(megabytes * 1_000_000 // len(piece)):
            file.write(piece)
    code = (
        "import resource, sys; from glassgpt.cli.main import main\n"
        f"try: main(['train', 'big.txt', *{QUICK!r}, '--out', 'run'])\n"
        "finally: print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=290
    )
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout.split("peak ")[1])
    print(f"{megabytes} MB: peak {peak} MB, {time.monotonic() - began:.0f} s")
    assert peak < 1000
    run(tmp_path, "sample", "run", "--max-new-tokens", "10")
