"""The autopilot's choice against hand-picked settings at equal time.

    python benchmarks/choice.py TEXT --minutes 3 [--settings 24]
    python benchmarks/choice.py TEXT --quick          # one minute, the eight most usual settings: 9 minutes

Trains the autopilot's choice first, then the default and other settings that people pick, each for the same
minutes from start to verdict. Prints the loss of each on the whole held-out text, measured afterwards (a
verdict by the clock may be measured on a part), as a share of the best counted n-gram's, and the autopilot's
distance from the best.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from report import write_report
from whole import measure_whole

SETTINGS = (
    "",
    "--preset speedrun",
    "--tokenizer bpe --vocab-size 1024",
    "--preset speedrun --size nano --block-size 128",
    "--preset speedrun --size nano --tokenizer bpe --vocab-size 1024",
    "--tokenizer bpe --vocab-size 2048",
    "--preset speedrun --n-layer 2 --n-embd 96 --n-head 3 --ngram-rows 131072",
    "--preset speedrun --tokenizer bpe --vocab-size 1024 --ngram-dropout 0.5",
    "--preset speedrun --tokenizer bpe --vocab-size 2048",
    "--size nano",
    "--size nano --tokenizer bpe --vocab-size 1024",
    "--block-size 128",
    "--block-size 256 --batch-size 8",
    "--preset speedrun --ngram-dropout 0.5",
    "--preset speedrun --tokenizer bpe --vocab-size 512",
    "--tokenizer bpe --vocab-size 4096",
    "--n-layer 4 --n-embd 256 --n-head 8 --tokenizer bpe --vocab-size 1024",
    "--dropout 0.1 --tokenizer bpe --vocab-size 1024",
    "--lr 0.01 --muon-lr 0.015 --tokenizer bpe --vocab-size 1024",
    "--preset speedrun --block-size 128 --batch-size 16",
    "--preset speedrun --size nano --batch-size 32",
    "--preset gpt2 --size nano --tokenizer bpe --vocab-size 1024",
    "--n-layer 3 --n-embd 192 --n-head 6",
    "--preset speedrun --tokenizer bpe --vocab-size 1024 --block-size 128 --batch-size 8",
)
"""Options of hand-picked settings, the more usual ones first; the first is the default."""
QUICK = 8


def train(text: str, minutes: float, options: str) -> float:
    """Train once; return the loss on the whole held-out text as a share of the best counted n-gram's."""
    command = [sys.executable, "-m", "glassgpt", "train", text, "--minutes", str(minutes), "--json"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*command, *shlex.split(options)], cwd=folder, check=True, capture_output=True)
        whole = measure_whole(next(Path(folder).glob("runs/*")))
    return whole.loss / whole.counted


def main() -> None:
    """Train all settings and print their losses."""
    parser = argparse.ArgumentParser()
    parser.add_argument("text")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--settings", type=int, default=len(SETTINGS))
    parser.add_argument("--quick", action="store_true", help="one minute, eight settings")
    given = parser.parse_args()
    if given.quick:
        given.minutes, given.settings = 1.0, QUICK
    text = given.text if given.text == "python" else str(Path(given.text).resolve())
    chosen = train(text, given.minutes, "")
    print(f"{chosen:.4f} autopilot", flush=True)
    losses = {}
    for options in SETTINGS[: given.settings]:
        losses[options or "default"] = train(text, given.minutes, f"--no-autopilot {options}")
        print(f"{losses[options or 'default']:.4f} {options or 'default'}", flush=True)
    best = min(losses, key=lambda options: losses[options])
    print(f"autopilot {chosen / losses[best] - 1:+.1%} from the best ({best})")
    name = f"choice_{Path(given.text).stem}"
    write_report(name, {"minutes": given.minutes, "autopilot": chosen, "losses": losses, "best": best})


if __name__ == "__main__":
    main()
