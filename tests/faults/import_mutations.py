"""Imports of mutated Hugging Face folders: an error in words or a correct run, and nothing left behind.

    PYTHONPATH=tests python -m faults.import_mutations 5000    # prints counts, and each place with an example
    PYTHONPATH=tests python -m faults.import_mutations --only 123

Each import is a forked process with limits (sandbox.py). A run that it makes is compared with the model that
transformers loads from the same files. For Linux.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer

from faults.mutate import mutate
from faults.mutations import STDIN, Tally, Tried
from faults.sandbox import Ended, run
from glassgpt.checkpoint import load_run
from glassgpt.train import import_pretrained
from helpers import foreign

KINDS = {
    "gpt2": {"family": "GPT2", "kind": "char"},
    "llama": {"family": "Llama", "kind": "bpe", "shard": "20KB"},
    "qwen3": {"family": "Qwen3", "kind": "chat", "tie_word_embeddings": True, "n_padding": 3},
    "shards": {"family": "GPT2", "kind": "byte", "shard": "20KB", "dtype": torch.bfloat16},
}
INDEX = "model.safetensors.index.json"


def prepare(folder: Path) -> dict[str, Path]:
    """Save the whole models, and load all code, before the first fork."""
    torch.set_num_threads(1)  # a fork has no other threads
    transformers.logging.set_verbosity_error()
    folders = {}
    for name, fields in KINDS.items():
        folders[name] = folder / "whole" / name
        foreign.save(folders[name], **fields)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about padding
            import_pretrained(folders[name], folder / "imported" / name, device="cpu")
    gc.collect()
    gc.freeze()  # pages stay shared with the children
    return folders


def attempt(number: int, seed: int, folders: dict[str, Path]) -> Tried:
    """Mutate one folder and import it. Everything follows from number and seed."""
    rng = random.Random(f"{seed}/{number}")
    kind = list(folders)[number % len(folders)]
    work = folders[kind].parent.parent / f"work-{seed}-{number}"
    work.mkdir()
    try:
        source = work / "RUN"
        shutil.copytree(folders[kind], source)
        (work / "others").symlink_to(folders[kind].parent)
        change = rng.choice((mutate, mutate, mutate, mutate_weights))
        mutation = change(source, rng)
        before = sorted(work.rglob("*"))
        command = ["import", "RUN", "--out", "imported", "--no-compare", "--device", "cpu"]
        ended = run(command, work, STDIN)
        if not ended.fault and ended.code == 0 and (problem := _differs(work / "imported", source)):
            ended = _fault("wrong import", problem, ended)
        if not ended.fault and ended.code != 0 and sorted(work.rglob("*")) != before:
            left = [str(each) for each in work.rglob("*") if each not in before]
            ended = _fault("left behind", ", ".join(left), ended)
        return Tried(number, kind, mutation, command, ended)
    finally:
        shutil.rmtree(work)


def _fault(fault: str, output: str, ended: Ended) -> Ended:
    return Ended(fault, output, ended.code, ended.cpu_s, ended.rss_bytes)


def _theirs(source: Path) -> torch.nn.Module:
    return transformers.AutoModelForCausalLM.from_pretrained(
        source, use_safetensors=True, local_files_only=True, trust_remote_code=False
    ).float()


@torch.inference_mode()
def _differs(imported: Path, source: Path) -> str:
    """Return the difference of an imported run from transformers; empty if there is none.

    transformers refuses some files that are right for us (such as an odd field that has no effect).
    """
    ours, tokenizer = load_run(imported)
    try:
        theirs = _theirs(source)
        known = Tokenizer.from_file(str(source / "tokenizer.json"))
    except Exception:  # any of another program
        return ""
    size = min(ours.config.block_size, foreign.N_POSITIONS)
    ids = torch.arange(size)[None] * 7 % tokenizer.n_vocab
    one, two = ours(ids), theirs(ids).logits[..., : tokenizer.n_vocab]
    scale = float(two.abs().nan_to_num(0, 0, 0).max())
    same = torch.allclose(one, two, rtol=1e-4, atol=1e-5 * max(1.0, scale), equal_nan=True)
    text = "The moon sees 7 green boats.\n"
    known.no_truncation()
    if known.encode(text, add_special_tokens=False).ids != tokenizer.encode(text):
        return "token ids differ"
    return "" if same else f"logits differ by {float((one - two).abs().max())}"


def mutate_weights(source: Path, rng: random.Random) -> str:
    """Change the list of tensors as a stranger would: names, places, shapes and files."""
    change = rng.choice([*(CHANGES if (source / INDEX).exists() else CHANGES[:4])])
    return change(source, rng)


def _edit_header(source: Path, rng: random.Random, change: Callable[[dict, str, str], None]) -> str:
    file = rng.choice(sorted(source.glob("*.safetensors")))
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    names = sorted(set(header) - {"__metadata__"})
    change(header, rng.choice(names), rng.choice(names))
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    return f"{file.name} {change.__name__}"


def _huge(source: Path, rng: random.Random) -> str:
    def huge(header: dict, one: str, two: str) -> None:
        header[one]["shape"] = [rng.choice((2**31, 2**62, 10**30, -1)) for _ in header[one]["shape"]]

    return _edit_header(source, rng, huge)


def _overlap(source: Path, rng: random.Random) -> str:
    def overlap(header: dict, one: str, two: str) -> None:
        header[one]["data_offsets"] = header[two]["data_offsets"]

    return _edit_header(source, rng, overlap)


def _exchanged(source: Path, rng: random.Random) -> str:
    def exchanged(header: dict, one: str, two: str) -> None:
        header[one], header[two] = header[two], header[one]

    return _edit_header(source, rng, exchanged)


def _nan(source: Path, rng: random.Random) -> str:
    file = rng.choice(sorted(source.glob("*.safetensors")))
    data = bytearray(file.read_bytes())
    at = len(data) - 4 * rng.randrange(1, 100)
    data[at : at + 4] = b"\xff\xff\xff\x7f"
    file.write_bytes(data)
    return f"{file.name} nan at {at}"


def _elsewhere(source: Path, rng: random.Random) -> str:
    index = json.loads((source / INDEX).read_text("utf-8"))
    name = rng.choice(sorted(index["weight_map"]))
    target = rng.choice(
        ("../others/gpt2/model.safetensors", "/etc/passwd", "a.bin", "", 7, None, [], "x" * 300)
    )
    index["weight_map"][name] = target
    (source / INDEX).write_text(json.dumps(index), "utf-8")
    return f"index: {name} is in {target!r}"


def _repeated(source: Path, rng: random.Random) -> str:
    shards = sorted(source.glob("*.safetensors"))
    one, two = rng.choice(shards), rng.choice(shards)
    two.write_bytes(one.read_bytes())
    return f"{two.name} is {one.name}"


CHANGES = (_huge, _overlap, _exchanged, _nan, _elsewhere, _repeated)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("n", nargs="?", type=int, default=150, help="number of mutated folders")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one mutation, with all its output")
    given = parser.parse_args()
    numbers, tally = range(given.n) if given.only is None else [given.only], Tally()
    with tempfile.TemporaryDirectory() as folder:
        folders = prepare(Path(folder))
        for tried in (attempt(i, given.seed, folders) for i in numbers):
            is_new, ended = tally.add(tried), tried.ended
            if given.only is not None or is_new:
                print(
                    tried, f"exit code {ended.code} {ended.fault}", ended.output[-3000:], sep="\n", flush=True
                )
    print(f"{len(numbers)} mutations", end=", ")
    tally.show()
    sys.exit(bool(tally.faults))


if __name__ == "__main__":
    main()
