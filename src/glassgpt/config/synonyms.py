"""Names that other programs give to options, and the option to use here."""

from __future__ import annotations

import difflib
from collections.abc import Set

from glassgpt.language import N_, join_texts

SYNONYMS: dict[str, tuple[str, ...]] = {
    "--accumulate-grad-batches": ("--grad-accum-steps",),
    "--activation": ("--mlp",),
    "--arch": ("--preset", "--model"),
    "--beam-size": ("--beams",),
    "--checkpoint": ("--resume", "--from"),
    "--clip": ("--grad-clip",),
    "--context": ("--block-size",),
    "--context-length": ("--block-size",),
    "--ctx": ("--block-size",),
    "--cuda": ("--device",),
    "--d-model": ("--n-embd",),
    "--depth": ("--n-layer",),
    "--dim": ("--n-embd",),
    "--embd": ("--n-embd",),
    "--embed-dim": ("--n-embd",),
    "--epochs": ("--max-epochs",),
    "--eval-interval": ("--evals",),
    "--eval-iters": ("--evals",),
    "--fp16": ("--dtype", "--precision"),
    "--from-pretrained": ("--from",),
    "--gpu": ("--device",),
    "--gradient-accumulation-steps": ("--grad-accum-steps",),
    "--heads": ("--n-head",),
    "--hidden-size": ("--n-embd",),
    "--init-from": ("--from",),
    "--iterations": ("--steps",),
    "--iters": ("--steps",),
    "--label-column": ("--target-column",),
    "--layers": ("--n-layer",),
    "--learning-rate": ("--lr",),
    "--length": ("--max-new-tokens", "--minutes"),
    "--max-grad-norm": ("--grad-clip",),
    "--max-iters": ("--steps",),
    "--max-length": ("--max-new-tokens", "--block-size"),
    "--max-seq-len": ("--block-size",),
    "--max-steps": ("--steps",),
    "--max-tokens": ("--max-new-tokens", "--tokens"),
    "--n": ("--num-samples",),
    "--n-ctx": ("--block-size",),
    "--n-heads": ("--n-head",),
    "--n-layers": ("--n-layer",),
    "--num-epochs": ("--max-epochs",),
    "--num-heads": ("--n-head",),
    "--num-layers": ("--n-layer",),
    "--num-train-epochs": ("--max-epochs",),
    "--output": ("--out",),
    "--output-dir": ("--out",),
    "--penalty": ("--repetition-penalty",),
    "--quantize": ("--precision",),
    "--rate": ("--lr",),
    "--save-every": ("--save-minutes",),
    "--save-interval": ("--save-minutes",),
    "--seq-len": ("--block-size",),
    "--sequence-length": ("--block-size",),
    "--start": ("--prompt",),
    "--stop-sequence": ("--stop",),
    "--system-prompt": ("--system",),
    "--temp": ("--temperature",),
    "--text-column": ("--column",),
    "--time": ("--minutes",),
    "--train-iters": ("--steps",),
    "--val-split": ("--val-fraction",),
    "--vocab": ("--vocab-size",),
    "--warmup-ratio": ("--warmup",),
    "--warmup-steps": ("--warmup",),
    "--wd": ("--weight-decay",),
}
"""Name elsewhere → options here; a command has the first of them that it knows."""

SOURCES = {"--data", "--dataset", "--file", "--input", "--text", "--train-data", "--train-file"}
"""Names of what is an argument here."""

CLOSE = 0.75
"""Similarity of two names from which one is taken for a slip of the other; 1 is equal."""


def advice(flag: str, known: Set[str], elsewhere: Set[str], command: str) -> str:
    """Return a sentence that names the option to use in place of an unknown one, or an empty string.

    known: the command's options. elsewhere: the options of `glassgpt train`.

    >>> advice("--learning-rate", {"--lr", "--steps"}, {"--lr"}, "train")
    'Use --lr.'
    >>> advice("--stpes", {"--lr", "--steps"}, {"--lr"}, "train")
    'Did you mean --steps?'
    >>> advice("--lr", {"--steps"}, {"--lr"}, "sample")
    '--lr is an option of `glassgpt train`.'
    """
    slip = "".join(difflib.get_close_matches(flag, SYNONYMS, 1, 0.9))
    candidates = SYNONYMS.get(flag) or SYNONYMS.get(slip) or (flag,)
    if used := [name for name in candidates if name in known]:
        return N_("Use {names}.", names=join_texts(" or ", used))
    if flag in SOURCES and command in ("train", "baselines"):
        return N_(
            "Name files and folders without an option: `glassgpt {command} notes.txt`.", command=command
        )
    if close := difflib.get_close_matches(flag, known, 1, CLOSE):
        return N_("Did you mean {names}?", names=close[0])
    if command == "resume" and (fixed := [name for name in candidates if name in elsewhere]):
        return N_("A resumed run keeps its {name}. Start a new run to change it.", name=fixed[0])
    if train := [name for name in candidates if name in elsewhere]:
        return N_("{name} is an option of `glassgpt train`.", name=train[0])
    return ""
