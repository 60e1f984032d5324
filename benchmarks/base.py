"""What a base run is worth: a chat and a short text, on top of it and from random weights.

    python benchmarks/base.py [--base-steps 300] [--base RUN]

The base learns the built-in English text (`glassgpt train python`). On top of it come 12 steps (`--from`),
and next to them 12 and 35 steps from random weights with the same tokenizer, model and batch. Printed is the
held-out loss in nats per character at the end of each, for conversations (speeches of tinyshakespeare and
their replies) and for a short text (its last 12,000 characters).
All lengths are in steps, so the figures do not depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from glassgpt.checkpoint import Run
from glassgpt.config import RunConfig
from glassgpt.data.files import resolve_sources
from glassgpt.diagnose import Score
from glassgpt.train import start
from report import write_report

ON_TOP, FROM_NOTHING = 12, 35
CHAT_CHARS, SHORT_CHARS = 60_000, 12_000
MAX_SPEECH = 200


def shakespeare() -> str:
    """Return tinyshakespeare; downloaded once, if `GLASSGPT_DATA` does not have it."""
    [source] = resolve_sources(["shakespeare"])
    with source.open() as stream:
        return stream.read().decode()


def talk(folder: Path, text: str) -> Path:
    """Write short speeches and the speeches that follow them as conversations of two messages."""
    speeches = [speech.partition("\n")[2] for speech in text[:CHAT_CHARS].split("\n\n")]
    rows = [
        json.dumps({"messages": [{"role": "user", "content": a}, {"role": "assistant", "content": b}]})
        for a, b in pairwise(speeches)
        if a.strip() and b.strip() and max(len(a), len(b)) <= MAX_SPEECH
    ]
    (folder / "talk.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    return folder / "talk.jsonl"


def short(folder: Path, text: str) -> Path:
    """Write the last characters of the text."""
    (folder / "short.txt").write_text(text[-SHORT_CHARS:], "utf-8")
    return folder / "short.txt"


def trained(source: str, out: Path, n_steps: int, base: Path | None = None, **tables: Any) -> float:
    """Train, and return the loss of the last step in nats per held-out character."""
    settings = {
        "data": {"sources": [source]},
        "train": {"steps": n_steps, "evals": 1, "sample_tokens": 0},
        "init_from": {"run": str(base)} if base else {},
        **tables,
    }
    list(start(RunConfig.model_validate(settings), out).run())
    verdict = Run.open(out).verdict()
    assert verdict is not None
    found = verdict.model if isinstance(verdict.model, Score) else verdict.losses[-1]
    return found.nats_per_char


def main() -> None:
    """Train a base, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--base-steps", type=int, default=300)
    parser.add_argument("--base", type=Path, help="a run to use in place of a new one")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        base = given.base or folder / "base"
        loss = None if given.base else trained("python", base, given.base_steps)
        made = given.base or f"{given.base_steps} steps on the built-in text, {loss:.3f}"
        print(f"base: {made}", flush=True)
        config, text = Run.open(base).config(), shakespeare()
        shape = {"model": {"block_size": 128}}
        print(f"{'text':<8}{'on top':>16}{'from nothing':>16}{'from nothing':>16}   nats per character")
        print(f"{'':<8}{ON_TOP:>10} steps{ON_TOP:>10} steps{FROM_NOTHING:>10} steps")
        tokenizer = {"tokenizer": config.tokenizer.model_dump()}
        for name, path in (("chat", talk(folder, text)), ("short", short(folder, text))):
            on_top = trained(str(path), folder / f"{name}-top", ON_TOP, base, **shape)
            bare = [
                trained(str(path), folder / f"{name}-{n}", n, None, **shape, **tokenizer)
                for n in (ON_TOP, FROM_NOTHING)
            ]
            print(f"{name:<8}{on_top:>16.3f}{bare[0]:>16.3f}{bare[1]:>16.3f}", flush=True)
            rows.append({"text": name, "on_top": on_top, "nothing": bare[0], "nothing_longer": bare[1]})
    figures = {
        "base_steps": given.base_steps,
        "base_loss": loss,
        "steps": [ON_TOP, FROM_NOTHING],
        "rows": rows,
    }
    write_report("base", figures)


if __name__ == "__main__":
    main()
