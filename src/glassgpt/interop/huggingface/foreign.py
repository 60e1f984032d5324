"""A model in a Hugging Face folder, under our names: checked as a whole, then read tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glassgpt.checkpoint import LazyTensors, Spec, fingerprint, layout, planned_layout, read_tensor
from glassgpt.config import ModelConfig
from glassgpt.errors import UserError
from glassgpt.interop.huggingface.foreign_config import read_config
from glassgpt.interop.huggingface.foreign_files import Stored, find_file, find_weights, require_file
from glassgpt.interop.names import BUFFERS, PREFIXES, RULES, Rule, rules, their_shapes, to_ours
from glassgpt.language import N_
from glassgpt.safe_io import quoted, read_capped, read_json
from glassgpt.tokenizers import Tokenizer, load_tokenizer

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"
MAX_TEMPLATE = 1 << 16
"""Longest chat template, in bytes. Those of large models have a tenth of it."""
ANY_FILE = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""Classes of transformers that use a tokenizer.json as it is."""
MAX_PADDING = 1023
"""Maximum padding of a vocabulary: rounding up to a multiple of 1,024 adds unused ids."""
HEAD = "lm_head.weight"
FLOATS = ("F32", "F16", "BF16")
"""Types of weights; a mixture of them is stored as F32, which holds each exactly."""


@dataclass(frozen=True)
class ForeignModel:
    """A model of another program: its configuration, tokenizer and, when asked for, its tensors."""

    name: str
    """Class of transformers, such as `Qwen3ForCausalLM`."""
    shape: ModelConfig
    tokenizer: Tokenizer
    tensors: LazyTensors
    """Under our names; without the padding of the vocabulary."""
    files: Mapping[str, Path]
    """Files that were read, by name."""
    n_padding: int
    """Ids of the embedding that no token has; they are left out."""
    chat: dict[str, str]
    """Chat template and end of a text, kept for an export. A template is a program: it is never run here."""

    def source(self) -> dict[str, Any]:
        """Return class, chat template, sizes and hashes of the files, ready for JSON."""
        files = {name: fingerprint(path) for name, path in self.files.items()}
        return {"format": self.name, "files": files, "chat": self.chat}


def open_foreign(folder: Path) -> ForeignModel:
    """Check a folder with a model of transformers, and return it. Reads headers, not weights.

    Raises UserError for a class, a setting or a tokenizer that GlassGPT does not have, for files that do not
    belong together, and for a model larger than this machine's RAM.
    """
    files = {name: require_file(folder, name) for name in (CONFIG, TOKENIZER)}
    found = read_config(read_json(files[CONFIG]), folder / CONFIG)
    files |= {name: path for name in (TOKENIZER_CONFIG, TEMPLATE) if (path := find_file(folder, name))}
    chat = _read_chat(files)
    tokenizer = load_tokenizer(files[TOKENIZER])
    _check_class(tokenizer, files)
    if chat.get("eos_token") not in tokenizer.specials:
        chat.pop("eos_token", None)
    n_padding = found.n_vocab - tokenizer.n_vocab
    if not 0 <= n_padding <= MAX_PADDING:
        raise UserError(
            "{folder}: the tokenizer has {n_tokens:,} tokens, and the model a vocabulary of {n_vocab:,}; "
            "padding explains up to {limit:,} more. Use the tokenizer of its training.",
            folder=folder,
            n_tokens=tokenizer.n_vocab,
            n_vocab=found.n_vocab,
            limit=MAX_PADDING,
        )
    stored = find_weights(folder)
    weights = _checked(stored.tensors, found.name, found.shape, found.n_vocab, folder)
    planned = layout(found.shape, tokenizer.n_vocab)
    types = {each.place.spec.dtype for each in weights.values()}
    dtype = types.pop() if len(types) == 1 else "F32"
    specs = {name: Spec(dtype, shape) for name, shape in planned.shapes.items()}
    table = {rule.ours: rule for rule in rules(RULES[found.name], found.shape)}
    tensors = LazyTensors(specs, _Reader(table, weights, tokenizer.n_vocab).read)
    files |= stored.files
    return ForeignModel(found.name, found.shape, tokenizer, tensors, files, n_padding, chat)


@dataclass(frozen=True)
class _Reader:
    """Reads our tensors from the files of another program."""

    table: Mapping[str, Rule]
    weights: Mapping[str, Stored]
    n_vocab: int

    def read(self, name: str) -> Tensor:
        """Read one tensor of ours. Raises UserError for numbers that are not finite."""
        rule = self.table[name]
        tensor = to_ours(rule, [_read_finite(each, self.weights[each]) for each in rule.theirs])
        return tensor[: self.n_vocab] if name in ("wte.weight", HEAD) else tensor


def _read_finite(name: str, stored: Stored) -> Tensor:
    tensor = read_tensor(stored.file, name, stored.place)
    if not torch.isfinite(torch.stack(tensor.aminmax())).all():  # both are NaN if any number is
        raise UserError(
            "{path}: {name} holds numbers that are NaN or infinite: its training diverged, or the file is "
            "damaged. Use another copy.",
            path=stored.file,
            name=quoted(name),
        )
    return tensor


def _checked(
    found: Mapping[str, Stored], name: str, shape: ModelConfig, n_vocab: int, folder: Path
) -> dict[str, Stored]:
    """Return the tensors that the class has, under its own names. Raises UserError if any differs."""
    weights = _with_prefix(found, PREFIXES[name], folder)
    ours, expected = planned_layout(shape, n_vocab).shapes, {}
    for rule in rules(RULES[name], shape):
        expected |= their_shapes(rule, ours[rule.ours], shape)
    head = weights.pop(HEAD, None) if shape.tie_embeddings else None
    if differing := sorted(weights.keys() ^ expected.keys()):
        side = N_("the model has not") if differing[0] in weights else N_("the files lack")
        raise _differs(
            folder,
            N_(
                "{n} tensors such as {name}, which {side}",
                n=len(differing),
                name=quoted(differing[0]),
                side=side,
            ),
        )
    for key, stored in weights.items():
        spec = stored.place.spec
        if spec.shape != expected[key] or spec.dtype not in FLOATS:
            raise _differs(folder, f"{quoted(key)} is {spec.dtype} {spec.shape}, not a float {expected[key]}")
    if head is not None:
        _check_tied(head, weights[RULES[name][0].theirs[0]], folder)
    return weights


def _with_prefix(found: Mapping[str, Stored], prefix: str, folder: Path) -> dict[str, Stored]:
    """Return tensors under their whole names, without tables."""
    weights: dict[str, Stored] = {}
    for key, stored in found.items():
        if BUFFERS.fullmatch(key):
            continue
        whole = key if key.startswith((prefix, HEAD)) else prefix + key
        if whole in weights:
            raise _differs(folder, f"{quoted(whole)} is there twice, with and without its prefix")
        weights[whole] = stored
    return weights


def _check_tied(head: Stored, embedding: Stored, folder: Path) -> None:
    """Raise UserError unless a stored head equals the embedding that it shares."""
    same = head.place.spec == embedding.place.spec and torch.equal(
        read_tensor(head.file, HEAD, head.place), read_tensor(embedding.file, "embedding", embedding.place)
    )
    if not same:
        raise _differs(folder, f"{HEAD} differs from the embedding, and `tie_word_embeddings` is true")


def _differs(folder: Path, problem: str) -> UserError:
    return UserError(
        "{folder} does not hold the model of its config.json: {problem}. Restore a copy of it.",
        folder=folder,
        problem=problem,
    )


def _check_class(tokenizer: Tokenizer, files: Mapping[str, Path]) -> None:
    """Raise UserError if transformers does not use tokenizer.json as it is.

    Without a class for any file, it takes the model's own, which knows byte-level BPE only.
    """
    settings = read_json(files[TOKENIZER_CONFIG]) if TOKENIZER_CONFIG in files else {}
    if tokenizer.kind == "char" and settings.get("tokenizer_class") not in ANY_FILE:
        raise UserError(
            "{path} holds characters, and `tokenizer_class` is {name}: transformers would split a text "
            "otherwise. Set it to {known}, if that is how the model was trained.",
            path=files[TOKENIZER],
            name=quoted(settings.get("tokenizer_class")),
            known=ANY_FILE[0],
        )


def _read_chat(files: Mapping[str, Path]) -> dict[str, str]:
    """Return the chat template and the token that ends a text, as far as the files have them.

    Raises UserError for a setting that changes the ids of tokenizer.json, and for a template file of over
    `MAX_TEMPLATE` bytes.
    """
    settings = read_json(files[TOKENIZER_CONFIG]) if TOKENIZER_CONFIG in files else {}
    if settings.get("add_prefix_space"):
        raise UserError(
            "{settings}: `add_prefix_space` adds a space before each text; GlassGPT adds nothing. Choose a "
            "model without it.",
            settings=files[TOKENIZER_CONFIG],
        )
    if TEMPLATE in files:
        template = read_capped(files[TEMPLATE], MAX_TEMPLATE).decode("utf-8", "replace")
        settings["chat_template"] = template
    end = settings.get("eos_token")
    found = {
        "chat_template": settings.get("chat_template"),
        "eos_token": end.get("content") if isinstance(end, dict) else end,
    }
    return {name: text for name, text in found.items() if isinstance(text, str) and len(text) <= MAX_TEMPLATE}
