"""Import a model of transformers as a run, and compare the two before the run counts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from glassgpt.checkpoint import Run
from glassgpt.config import DataConfig
from glassgpt.data import CHAT_SPECIALS, find_chat_format, read_corpus
from glassgpt.device import choose_device
from glassgpt.errors import UserError
from glassgpt.interop import HUB_PREFIX, ForeignModel, compare_import, download, open_foreign
from glassgpt.language import _
from glassgpt.paths import check_file, is_folder
from glassgpt.train.importing.make_run import ImportedModel, make_run
from glassgpt.train.importing.nanogpt import import_nanogpt
from glassgpt.train.new_path import free_path


def import_pretrained(
    source: Path | str,
    out: Path | str | None = None,
    *,
    text: Path | str | None = None,
    tokenizer: Path | str | None = None,
    compare: bool = True,
    device: str = "auto",
    stage: Callable[[str], None] | None = None,
) -> Run:
    """Create a run from a model of another program, at `out` (by default below `runs/`).

    source: a folder with a GPT2LMHeadModel, LlamaForCausalLM or Qwen3ForCausalLM; `hf:owner/name` to download
    one from the hub; or nanoGPT's ckpt.pt (see `import_nanogpt`). text: measure the model on its last tenth,
    next to the baselines. tokenizer: of a ckpt.pt only. compare: load the folder with transformers, if it is
    installed, and compare token ids, predictions and generated tokens. Nothing in a file is executed. Raises
    UserError, and leaves nothing behind, if the files cannot be used or the comparison fails. Warns about
    changes.
    """
    stage = stage or (lambda _: None)
    on_hub = str(source).startswith(HUB_PREFIX)
    if not on_hub and not is_folder(Path(source)):
        return import_nanogpt(source, out, text=text, tokenizer=tokenizer, device=device, stage=stage)
    if tokenizer is not None:
        raise UserError("`tokenizer` is for a ckpt.pt; a folder has its own tokenizer.json. Leave it out.")
    choose_device(device)  # fail before any work is done
    if text is not None:
        check_file(text)
    target = Path(out) if out else free_path(_name(str(source)))
    Run.check_free(target)
    stage(f"{'downloading' if on_hub else 'reading'} {source}")
    folder = download(str(source)) if on_hub else Path(source)
    found = open_foreign(folder)
    origin = {**found.source(), "from": f"{source} ({folder.name})" if on_hub else folder.name}
    data = DataConfig(sources=() if text is None else (str(text),), split="end")
    corpus = read_corpus(data) if data.sources else None
    imported = ImportedModel(found.shape, found.tokenizer, found.tensors, 0, origin)
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
    notes, format = [], find_chat_format(found.tokenizer)
    if found.n_padding:
        notes.append(
            _(
                "{n:,} ids of the vocabulary are padding, which no token has: they are left out",
                n=found.n_padding,
            )
        )
    if format and format.specials != CHAT_SPECIALS and "chat_template" in found.chat:
        notes.append(
            _(
                "`glassgpt chat` writes messages as {format}. The folder's own chat template is kept for "
                "exports, but not executed: what it adds, such as a system message, is missing",
                format=format.name,
            )
        )
    return notes


def _name(source: str) -> str:
    """Return the name of the folder, or of the model on the hub."""
    path = source.partition("@")[0] if source.startswith(HUB_PREFIX) else Path(source).resolve()
    return Path(path).name or "model"
