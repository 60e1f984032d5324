"""Import a checkpoint of another program as a run; with a text, measure it against the baselines.

`interop` reads the file. The run has no optimizer state: it can be used, but training cannot be resumed.
"""

from __future__ import annotations

import math
import shutil
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from glassgpt.checkpoint import (
    LOCK,
    OWNER,
    Run,
    acquire_lock,
    discard,
    load_weights,
    save_step,
    step_folder,
    weights,
    write_json,
    write_pointer,
)
from glassgpt.config import DataConfig, RunConfig, TokenizerConfig, TrainConfig
from glassgpt.data import Corpus, read_corpus
from glassgpt.device import choose_device
from glassgpt.diagnose import Score
from glassgpt.errors import UserError
from glassgpt.interop import Checkpoint, read_nanogpt
from glassgpt.models import Model
from glassgpt.objective import evaluate
from glassgpt.paths import check_file
from glassgpt.tasks import LanguageData
from glassgpt.tokenizers import CharTokenizer, Tokenizer, load_tokenizer
from glassgpt.train.events import Evaluated
from glassgpt.train.learner import make_learner
from glassgpt.train.metrics import JsonLines
from glassgpt.train.new_path import new_path

MAX_PADDING = 127
"""Maximum padding of a vocabulary: rounding up to multiples of 64 or 128 adds unused ids."""


def import_nanogpt(
    path: Path | str,
    out: Path | str | None = None,
    *,
    text: Path | str | None = None,
    tokenizer: Path | str | None = None,
    device: str = "auto",
    stage: Callable[[str], None] | None = None,
) -> Run:
    """Create a run from nanoGPT's `ckpt.pt`, at `out` (by default below `runs/`).

    text: the input.txt of the training; its characters are the vocabulary, and the model is measured on its
    last tenth. tokenizer: a tokenizer.json, such as GPT-2's, for a model with other tokens than characters.
    One of them is required; with both, the text is for measuring only. Raises UserError, and leaves nothing
    behind, if a file cannot be used or the files do not belong together. Warns about changes.
    """
    stage = stage or (lambda _: None)
    choose_device(device)  # fail before any work is done
    for file in filter(None, (path, text, tokenizer)):
        check_file(file)
    if text is None and tokenizer is None:
        raise UserError(
            "a checkpoint does not name its tokens. Give the input.txt of its characters (`text`), or the "
            "tokenizer.json of its tokenizer (`tokenizer`)."
        )
    path = Path(path)
    target = Path(out) if out else _free_path(path)
    Run.check_free(target)
    stage(f"reading {path}")
    found = read_nanogpt(path)
    data = DataConfig(sources=() if text is None else (str(text),), split="end")  # as nanoGPT splits it
    corpus = read_corpus(data) if data.sources else None
    if tokenizer is not None:
        known = load_tokenizer(Path(tokenizer))
        found, notes = _without_padding(found, known, path)
    else:
        assert corpus is not None
        known, notes = _characters(corpus, found, path), []
    config = _config(data, known, found, device)
    run = _whole_or_not_at_all(target, lambda: _make(target, config, found, corpus, known, stage))
    for note in (*notes, *(corpus.notes if corpus else ())):
        warnings.warn(note, stacklevel=2)
    return run


def _config(data: DataConfig, known: Tokenizer, found: Checkpoint, device: str) -> RunConfig:
    """Return the configuration that would train such a model, as far as it is known."""
    kind = {"kind": known.kind} | ({"vocab_size": known.n_vocab} if known.kind == "bpe" else {})
    return RunConfig(
        task="language",
        data=data,
        tokenizer=TokenizerConfig.model_validate(kind),
        model=found.config,
        train=TrainConfig(steps=max(1, found.step), device=device, dtype="float32"),
    )


def _characters(corpus: Corpus, found: Checkpoint, path: Path) -> CharTokenizer:
    """Return nanoGPT's character vocabulary: the characters of the whole text, in order."""
    chunks = (chunk for part in (corpus.train, corpus.val) for chunk in part.chunks())
    known = CharTokenizer.train(chunks, fallback=False)
    if known.n_vocab != found.n_vocab:
        raise UserError(
            "the text has {n_vocab:,} different characters, and {path} a vocabulary of {expected:,}. Give "
            "the whole text of its training, or its tokenizer.json (`tokenizer`).",
            n_vocab=known.n_vocab,
            path=path,
            expected=found.n_vocab,
        )
    return known


def _without_padding(found: Checkpoint, known: Tokenizer, path: Path) -> tuple[Checkpoint, list[str]]:
    """Cut padding from the vocabulary; returns notes for the user as well."""
    surplus = found.n_vocab - known.n_vocab
    if not 0 <= surplus <= MAX_PADDING:
        raise UserError(
            "the tokenizer has {n_vocab:,} tokens, and {path} a vocabulary of {expected:,}; padding "
            "explains up to {max_padding} more. Give the tokenizer of its training.",
            n_vocab=known.n_vocab,
            path=path,
            expected=found.n_vocab,
            max_padding=MAX_PADDING,
        )
    if not surplus:
        return found, []
    note = (
        f"the vocabulary of {found.n_vocab:,} is cut to the {known.n_vocab:,} tokens of the tokenizer: the "
        "others are padding, which nanoGPT could choose, however unlikely"
    )
    return found.with_vocabulary(known.n_vocab), [note]


def _whole_or_not_at_all(target: Path, make: Callable[[], Run]) -> Run:
    """Create a run as its only writer; after an error, nothing of it remains."""
    made = [folder for folder in (target, target.parent) if not folder.exists()]
    with ExitStack() as leaving:
        lock = acquire_lock(target)
        leaving.callback(discard, target, made)
        leaving.callback(lock.release, force=True)
        try:
            return make()
        except BaseException:
            for each in target.iterdir():
                if each.is_dir():
                    shutil.rmtree(each, ignore_errors=True)
                elif each.name not in (LOCK, OWNER):
                    each.unlink()
            raise


def _make(
    target: Path,
    config: RunConfig,
    found: Checkpoint,
    corpus: Corpus | None,
    tokenizer: Tokenizer,
    stage: Callable[[str], None],
) -> Run:
    """Create the run: tokenizer, one step and, with a text, tokens, baselines and verdict."""
    run = Run.create(target, config)
    tokenizer.save(run.tokenizer_file)
    learner = make_learner(config, tokenizer.n_vocab)
    load_weights(learner.model, found.tensors)
    data = score = None
    if corpus is not None:
        stage("counting what there is to beat")
        data = LanguageData.prepare(config, corpus, tokenizer, run)
        run.record_hashes()
        stage("measuring it on the held-out text")
        score = _measure(run, data, learner.model, found.step)
    run.sync()  # no step may outlive the files that it needs
    best = {
        "best": score.nats_per_char if score else None,
        "best_step": step_folder(run.checkpoints, found.step).name,
    }
    state = {**best, "imported": found.source}
    step = save_step(run.checkpoints, found.step, {"model": weights(learner.model)}, state)
    write_pointer(run.checkpoints, "best", step)
    if data is not None and score is not None:
        write_json(run.verdict_file, data.verdict(lambda: learner.model).to_dict())
    return run


def _measure(run: Run, data: LanguageData, model: Model, step: int) -> Score:
    """Measure the model on the whole validation split, and write the one line of metrics.jsonl."""
    began, val = time.monotonic(), data.val
    measured = evaluate(model, data.eval_batches())
    nats = measured.nats
    score = Score("this model", nats, val.n_chars, val.n_bytes)
    if not math.isfinite(nats):
        raise UserError(
            "the model's loss is {nats}: its weights are finite, but what it computes is not", nats=nats
        )
    tracker = JsonLines(run)
    tracker.on_event(Evaluated.of(measured, val, step=step, best=math.inf, seconds=time.monotonic() - began))
    tracker.close()
    return score


def _free_path(path: Path) -> Path:
    """Return a path below runs/, named after the checkpoint's folder: every file is called ckpt.pt."""
    return new_path(RunConfig(data=DataConfig(sources=(path.resolve().parent.name or "nanogpt",))))
