"""nanoGPT checkpoints, read without executing anything. No other module reads a .pt file.

A .pt is a pickle, which may hold a program. torch reads it here with `weights_only`: that interpreter builds
tensors, numbers and containers, and refuses everything else. Then every name, shape and number is checked.
Source: https://github.com/karpathy/nanoGPT, model.py, train.py.
"""

from __future__ import annotations

import math
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import Field, ValidationError
from torch import Tensor

from glassgpt.checkpoint import fingerprint
from glassgpt.config import Config, ModelConfig, problem_in_words
from glassgpt.errors import UserError
from glassgpt.language import N_, clipped
from glassgpt.safe_io import quoted

ONCE = {
    "transformer.wte": ("wte", "V C"),
    "transformer.wpe": ("wpe", "T C"),
    "transformer.ln_f": ("norm_f", "C"),
}
IN_EACH_BLOCK = {
    "ln_1": ("norm_1", "C"),
    "attn.c_attn": ("attn.qkv", "3C C"),
    "attn.c_proj": ("attn.proj", "C C"),
    "ln_2": ("norm_2", "C"),
    "mlp.c_fc": ("mlp.fc", "4C C"),
    "mlp.c_proj": ("mlp.proj", "C 4C"),
}
"""nanoGPT's modules, ours, and the weight's shape: V tokens, T positions, C width."""
WTE, HEAD = "transformer.wte.weight", "lm_head.weight"
COMPILED = "_orig_mod."
"""Prefix of each name after torch.compile."""
MASK = re.compile(r"transformer\.h\.\d+\.attn\.bias")
"""The causal mask, which nanoGPT stored with torch before 2.0."""
FLOATS = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}
MAX_STEP = 10**10
MAX_PICKLE = 16 << 20
"""Limit of the names and numbers around the tensors, in bytes. Those of GPT-2 XL take a hundredth of it."""
REMEDY = N_("Use a ckpt.pt of nanoGPT's own train.py: glassgpt does not know what a variant computes.")


class ModelArgs(Config):
    """Arguments of nanoGPT's GPTConfig (`model_args`). Older checkpoints lack those with defaults."""

    n_layer: int = Field(strict=True)
    n_head: int = Field(strict=True)
    n_embd: int = Field(strict=True)
    block_size: int = Field(strict=True)
    vocab_size: int = Field(strict=True, ge=1)
    bias: bool = Field(default=True, strict=True)
    dropout: float = 0.0


class Place(NamedTuple):
    """Our name and the required shape of one tensor."""

    ours: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Checkpoint:
    """A trained nanoGPT under our names, checked against `config`.

    All tensors are float32 and finite.
    """

    config: ModelConfig
    n_vocab: int
    tensors: dict[str, Tensor]
    step: int
    source: dict[str, Any]
    """Name, size, SHA-256 and nanoGPT's own loss of the file, ready for JSON."""

    def with_vocabulary(self, n_vocab: int) -> Checkpoint:
        """Return it without the embeddings of ids from `n_vocab` on: padding."""
        wte = self.tensors["wte.weight"][:n_vocab]  # (n_vocab, C)
        return replace(self, n_vocab=n_vocab, tensors={**self.tensors, "wte.weight": wte})


def read_nanogpt(path: Path) -> Checkpoint:
    """Read the model of a `ckpt.pt` of nanoGPT's train.py.

    Raises UserError if the file is missing or damaged, or holds more than tensors, numbers and containers.
    Also if a name or shape differs from nanoGPT's model.
    """
    match _load(path):
        case {"model": dict(state), "model_args": dict(args), "iter_num": int(step), **rest} if (
            0 <= step < MAX_STEP
        ):
            pass
        case found:
            what = (
                f"has {quoted(sorted(map(str, found)))}"
                if isinstance(found, dict)
                else N_("is no dictionary")
            )
            raise UserError(
                "{path} is no checkpoint of nanoGPT: it {what}, and model, model_args and iter_num are "
                "needed. {remedy}",
                path=path,
                what=what,
                remedy=REMEDY,
            )
    config, n_vocab = _config(args, path)
    named = dict(_named(state, path))
    tensors = _tensors(named, places(config, n_vocab), path)
    source = {"format": "nanoGPT", "file": path.name, **fingerprint(path)}
    loss = _number(rest.get("best_val_loss"))
    return Checkpoint(config, n_vocab, tensors, step, source | {"iter_num": step, "best_val_loss": loss})


def places(config: ModelConfig, n_vocab: int) -> dict[str, Place]:
    """Return nanoGPT's tensors of such a model by name. The head shares the embedding."""
    C = config.n_embd
    sizes = {"V": n_vocab, "T": config.block_size, "C": C, "3C": 3 * C, "4C": 4 * C}
    modules = dict(ONCE)
    for i in range(config.n_layer):
        for theirs, (ours, shape) in IN_EACH_BLOCK.items():
            modules[f"transformer.h.{i}.{theirs}"] = (f"blocks.{i}.{ours}", shape)
    found = {}
    for theirs, (ours, letters) in modules.items():
        shape = tuple(sizes[letter] for letter in letters.split())
        found[f"{theirs}.weight"] = Place(f"{ours}.weight", shape)
        if config.bias and ours not in ("wte", "wpe"):
            found[f"{theirs}.bias"] = Place(f"{ours}.bias", shape[:1])
    return found


def _load(path: Path) -> object:
    """Load a file of torch.save with only tensors, numbers and containers."""
    if not path.is_file():
        raise UserError("{path} is no file. {remedy}", path=path, remedy=REMEDY)
    try:
        path.open("rb").close()  # for the system's reason; torch's error may hide it
    except OSError as error:
        raise UserError("{path} cannot be read ({strerror})", path=path, strerror=error.strerror) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about files, then refuses them
            mmap = zipfile.is_zipfile(path)  # older files are read as a whole
            if mmap:
                _check_records(path)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except UserError:
        raise
    except Exception as error:  # a damaged or hostile file breaks anywhere
        raise UserError(_why_not(error, path)) from error


def _check_records(path: Path) -> None:
    """Raise UserError for records that torch.save does not write; torch would unpack them without a bound."""
    with zipfile.ZipFile(path) as file:
        for record in file.infolist():
            if record.compress_type != zipfile.ZIP_STORED:
                raise UserError(
                    "{path}: {filename} is compressed, and torch.save compresses nothing. {remedy}",
                    path=path,
                    filename=quoted(record.filename),
                    remedy=REMEDY,
                )
            if record.filename.endswith(".pkl") and record.file_size > MAX_PICKLE:
                raise UserError(
                    "{path}: {filename} has {file_size:,} bytes; the limit is {max_pickle:,}. {remedy}",
                    path=path,
                    filename=quoted(record.filename),
                    file_size=record.file_size,
                    max_pickle=MAX_PICKLE,
                    remedy=REMEDY,
                )


def _why_not(error: Exception, path: Path) -> str:
    """Explain torch's refusal of a file: it holds a program, or it is damaged."""
    if isinstance(error, pickle.UnpicklingError) or "TorchScript" in str(error):
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f" ({quoted(named[1])})" if named else ", or is no file of torch.save"
        return (
            f"{path} holds more than tensors, numbers and containers{what}. That could be a program, and "
            "glassgpt executes nothing that is in a file: where you trust it, load it with torch yourself, "
            "and save again what nanoGPT's train.py saves"
        )
    reason = quoted(f"{type(error).__name__}: {error}".splitlines()[0], 160)
    return f"{path} is damaged, or no file of torch.save ({reason}). {REMEDY}"


def _config(args: Mapping[Any, Any], path: Path) -> tuple[ModelConfig, int]:
    """Return the model of `model_args`, and the size of its vocabulary."""
    try:
        given = ModelArgs.model_validate(dict(args))
        fields = given.model_dump(exclude={"vocab_size"})
        config = ModelConfig.model_validate({"preset": "gpt2", "mlp": "gelu_erf"} | fields)
    except (ValidationError, TypeError) as error:  # TypeError: names that are no text
        wrong = {"type": "", "loc": (), "msg": str(error)}
        first = error.errors()[0] if isinstance(error, ValidationError) else wrong
        name = ".".join(map(str, ("model_args", *first["loc"])))
        value = f", got {quoted(first['input'])}" if first["loc"] else ""
        # these are fields of the file, not options of a command
        problem = clipped(problem_in_words(first), lambda text: text.replace("`", ""))
        raise UserError(
            "{path}: {name}: {problem}{value}. {remedy}",
            path=path,
            name=quoted(name),
            problem=problem,
            value=value,
            remedy=REMEDY,
        ) from None
    return config, given.vocab_size


def _named(state: Mapping[Any, Any], path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors under the names of model.py, without masks."""
    seen = set()
    for key, tensor in state.items():
        name = str(key).removeprefix(COMPILED)
        if not _is_plain(tensor) or name in seen:
            what = (
                "twice"
                if name in seen
                else N_("as a {type}, not as an ordinary tensor", type=type(tensor).__name__)
            )
            raise UserError(
                "{path} holds {name} {what}. {remedy}", path=path, name=quoted(name), what=what, remedy=REMEDY
            )
        seen.add(name)
        if not MASK.fullmatch(name):
            yield name, tensor.detach()


def _tensors(named: dict[str, Tensor], places: Mapping[str, Place], path: Path) -> dict[str, Tensor]:
    """Return the tensors under our names, in float32. Raises UserError for tensors of another model."""
    _check_names(named, places, path)
    head = named.pop(HEAD)
    _check_shapes(named, places, path)
    _check_dtypes(named, path)
    _check_claims(named, path)
    if not torch.equal(head, named[WTE]):
        raise UserError(
            "{path}: {head} is not {wte}, and nanoGPT shares the two. {remedy}",
            path=path,
            head=HEAD,
            wte=WTE,
            remedy=REMEDY,
        )
    return {place.ours: named[name].float() for name, place in places.items()}


def _check_names(named: Mapping[str, Tensor], places: Mapping[str, Place], path: Path) -> None:
    """Raise UserError if names are missing or unknown."""
    if differing := sorted(named.keys() ^ {*places, HEAD}):
        side = N_("nanoGPT's model has not") if differing[0] in named else N_("the file lacks")
        raise UserError(
            "{path} does not hold the model that its model_args describe: {n_differing} tensors are on one "
            "side only, such as {differing}, which {side}. {remedy}",
            path=path,
            n_differing=len(differing),
            differing=quoted(differing[0]),
            side=side,
            remedy=REMEDY,
        )


def _check_shapes(named: Mapping[str, Tensor], places: Mapping[str, Place], path: Path) -> None:
    """Raise UserError if a shape differs from the model's."""
    for name, place in places.items():
        if (shape := tuple(named[name].shape)) != place.shape:
            raise UserError(
                "{path}: {name} is {shape}, and {expected} in the model that its model_args describe. "
                "{remedy}",
                path=path,
                name=quoted(name),
                shape=quoted(shape),
                expected=quoted(place.shape),
                remedy=REMEDY,
            )


def _check_dtypes(named: Mapping[str, Tensor], path: Path) -> None:
    """Raise UserError if the weights have several types, or one that is no float."""
    types = {t.dtype for t in named.values()}
    if len(types) > 1 or not types <= FLOATS.keys():
        kinds = ", ".join(sorted(str(each).removeprefix("torch.") for each in types))
        raise UserError(
            "{path} holds {kinds}; weights are all {floats}. {remedy}",
            path=path,
            kinds=kinds,
            floats=", all ".join(FLOATS.values()),
            remedy=REMEDY,
        )


def _check_claims(named: Mapping[str, Tensor], path: Path) -> None:
    """Raise UserError for tensors larger than their file, or not finite.

    A tensor with stride 0 takes no room in a file, and any amount of RAM.
    """
    n_bytes, size = sum(t.nbytes for t in named.values()), path.stat().st_size
    if n_bytes > size:
        raise UserError(
            "{path} has {size:,} bytes, and its tensors would take {n_bytes:,}: it is damaged. Do not use "
            "it.",
            path=path,
            size=size,
            n_bytes=n_bytes,
        )
    for name, t in named.items():
        if not (finite := torch.isfinite(t)).all():
            raise UserError(
                "{path}: {n_bad:,} of the {n:,} numbers of {name} are NaN or infinite: its training "
                "diverged. Use an earlier checkpoint.",
                path=path,
                n_bad=int((~finite).sum()),
                n=t.numel(),
                name=quoted(name),
            )


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"


def _number(value: object) -> float | None:
    """Return a loss, which train.py saves as a tensor of one number; None without one."""
    if isinstance(value, Tensor) and _is_plain(value) and value.numel() == 1 and value.dtype in FLOATS:
        value = value.item()
    return value if isinstance(value, float) and math.isfinite(value) else None
