"""A run of 50 steps that is stopped after any one of them, and resumed, ends with the same bits.

As a script it is one of two processes that do so together.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glassgpt.checkpoint import steps
from glassgpt.config import RunConfig
from glassgpt.train import Dist, StepDone, resume, start
from helpers import conversations
from helpers.material import material

N = 50
MODELS: dict[str, dict[str, object]] = {
    "gpt": {"family": "gpt"},
    "gpt2": {"family": "gpt", "preset": "gpt2"},
    "speedrun": {"family": "gpt", "preset": "speedrun", "ngram_rows": 512},
    "bigram": {"family": "bigram"},
    "encoder": {"family": "encoder"},
    "classifier": {"family": "encoder"},
    "seq2seq": {"family": "seq2seq"},
    "captioner": {"family": "captioner", "image_size": 16, "patch_size": 8},
    "chat": {"family": "gpt", "block_size": 64},
    "tuned": {"family": "gpt", "preset": "gpt2"},
    "lora": {"family": "gpt", "lora_rank": 4},
}
SHAPE = {"n_layer": 1, "n_embd": 32, "n_head": 2, "block_size": 32, "dropout": 0.1}


BEGUN = ("tuned", "lora")
"""What begins with another run, which has learned a text, and learns conversations."""


def config(name: str, source: Path) -> RunConfig:
    return RunConfig.model_validate(
        {
            "data": {"sources": [str(source)]},
            "init_from": {"run": str(source.parent / "base") if name in BEGUN else None},
            "tokenizer": {"kind": "char"},
            "model": SHAPE | MODELS[name],
            "train": {
                "steps": N,
                "evals": 4,
                "sample_tokens": 0,
                "micro_batch_size": 4,
                "grad_accum_steps": 2 if name in ("gpt", "seq2seq", "chat") else 1,
            },
        }
    )


def last(run: Path) -> list[bytes]:
    step = steps(run / "checkpoints")[0]
    assert step.name == f"step-{N:010d}"
    return [(step / f"{stem}.safetensors").read_bytes() for stem in ("model", "optimizer")]


def trained(settings: RunConfig, run: Path, stop_at: int) -> list[bytes]:
    session = start(settings, run)
    for event in session.run():
        if isinstance(event, StepDone) and event.step == stop_at:
            session.trainer.request_stop()
    wait_for_all()
    if stop_at < N:
        assert steps(run / "checkpoints")[0].name == f"step-{stop_at:010d}"
        list(resume(run).run())
        wait_for_all()
    return last(run)


def wait_for_all() -> None:
    """Of several processes, only the first one knows what is on disk."""
    Dist.from_env().all_equal(0)


def source_for(name: str, folder: Path) -> Path:
    """What a model learns from."""
    if name in ("classifier", "seq2seq", "captioner"):
        return material(name, folder)
    if name == "chat" or name in BEGUN:
        if name in BEGUN:
            shape = {key: value for key, value in MODELS[name].items() if key != "lora_rank"}
            text = source_for("gpt", folder)
            begin = {"data": {"sources": [str(text)]}, "model": SHAPE | shape, "train": {"steps": 3}}
            list(start(RunConfig.model_validate(begin), folder / "base").run())
        return conversations.write(folder / "chat.jsonl", 60)
    path = folder / "text.txt"
    path.write_text("".join(f"{i} geese, {i * 7 % 31} swans, {i * 5 % 13} ashore.\n" for i in range(150)))
    return path


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", MODELS)
def test_stopped_anywhere(name: str, tmp_path: Path, count: Callable[[str], None]) -> None:
    settings = config(name, source_for(name, tmp_path))
    unbroken = trained(settings, tmp_path / "unbroken", N)
    for stop_at in range(1, N):
        assert trained(settings, tmp_path / "broken", stop_at) == unbroken, f"stopped after {stop_at}"
        shutil.rmtree(tmp_path / "broken")
    count(f"stopped after each step of {N}, {name}: {N - 1} of {N - 1} resumed bit-equal")


@pytest.mark.parametrize("name", ["chat", *BEGUN])
def test_stopped_in_the_middle(name: str, tmp_path: Path) -> None:
    """The same at one place, for those that the quick tests would else not see."""
    settings = config(name, source_for(name, tmp_path))
    assert trained(settings, tmp_path / "broken", 21) == trained(settings, tmp_path / "unbroken", N)


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["gpt", "seq2seq"])
def test_two_processes_stopped_anywhere(name: str, tmp_path: Path, count: Callable[[str], None]) -> None:
    """Both train, stop and resume in turn, without being started anew each time."""
    source = source_for(name, tmp_path)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run(
        [*torchrun, __file__, name, str(source), str(tmp_path)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": search_path()},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    last_words = ended.stdout.splitlines()[-1]
    assert last_words == f"{N - 1} bit-equal", ended.stdout
    count(f"stopped after each step of {N}, {name} in two processes: {N - 1} of {N - 1} resumed bit-equal")


def search_path() -> str:
    """Where a process of our own finds what this one has."""
    return os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])


def train_together(name: str, source: Path, folder: Path) -> None:
    """What each of two processes does."""
    settings, dist = config(name, source), Dist.from_env()
    unbroken, equal = trained(settings, folder / "unbroken", N), 0
    for stop_at in range(1, N):
        run = folder / f"{stop_at}"
        equal += trained(settings, run, stop_at) == unbroken
        wait_for_all()
        if dist.is_main:
            shutil.rmtree(run)
    if dist.is_main:
        print(f"{equal} bit-equal", flush=True)


if __name__ == "__main__":
    train_together(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
