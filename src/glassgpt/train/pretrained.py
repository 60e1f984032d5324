"""Import a model of transformers as a run, and compare the two before the run counts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from glassgpt.checkpoint import Run
from glassgpt.config import DataConfig, RunConfig
from glassgpt.data import read_corpus
from glassgpt.device import choose_device
from glassgpt.errors import UserError
from glassgpt.interop import ForeignModel, compare_import, open_foreign
from glassgpt.language import _
from glassgpt.paths import check_file, is_folder
from glassgpt.train.imported import Imported, make_run
from glassgpt.train.importing import import_nanogpt
from glassgpt.train.session import new_path


def import_pretrained(
    source: Path | str,
    out: Path | str | None = None,
    *,
    text: Path | str | None = None,
    tokenizer: Path | str | None = None,
    compare: bool = True,
    device: str = "auto",
    stage: Callable[[str], None] = lambda _: None,
) -> Run:
    """Create a run from a model of another program, at `out` (by default below `runs/`).

    source: a Hugging Face folder with a GPT2LMHeadModel, LlamaForCausalLM or Qwen3ForCausalLM, or nanoGPT's
    ckpt.pt (see `import_nanogpt`). text: measure the model on its last tenth, next to the baselines.
    tokenizer: of a ckpt.pt only. compare: load the folder with transformers, if it is installed, and compare
    token ids, predictions and generated tokens. Nothing in a file is executed. Raises UserError, and leaves
    nothing behind, if the files cannot be used or the comparison fails. Warns about changes.
    """
    if not is_folder(Path(source)):
        return import_nanogpt(source, out, text=text, tokenizer=tokenizer, device=device, stage=stage)
    if tokenizer is not None:
        raise UserError("`tokenizer` is for a ckpt.pt; a folder has its own tokenizer.json. Leave it out.")
    choose_device(device)  # fail before any work is done
    if text is not None:
        check_file(text)
    folder = Path(source)
    target = Path(out) if out else _free_path(folder)
    Run.check_free(target)
    stage(f"reading {folder}")
    found = open_foreign(folder)
    data = DataConfig(sources=() if text is None else (str(text),), split="end")
    corpus = read_corpus(data) if data.sources else None
    imported = Imported(found.shape, found.tokenizer, found.tensors, 0, found.source())
    notes = [*_notes(found), *(corpus.notes if corpus else ())]

    def check(run: Run) -> None:
        if compare:
            stage("loading it in transformers and comparing")
            notes.extend(compare_import(run, found))

    run = make_run(target, imported, corpus, data, device, stage, check)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return run


def _notes(found: ForeignModel) -> list[str]:
    """Return the differences from the folder, for the user."""
    if not found.n_padding:
        return []
    return [
        _(
            "{n:,} ids of the vocabulary are padding, which no token has: they are left out",
            n=found.n_padding,
        )
    ]


def _free_path(folder: Path) -> Path:
    """Return a path below runs/, named after the folder."""
    return new_path(RunConfig(data=DataConfig(sources=(folder.resolve().name or "model",))))
