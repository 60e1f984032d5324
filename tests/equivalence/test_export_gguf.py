"""Exports to GGUF: llama.cpp computes what we do, and a wrong file is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgpt.errors import UserError
from glassgpt.interop import certify
from glassgpt.interop.certify import Certificate, compare_greedy, compare_ids, strange_strings
from glassgpt.interop.exporter import certify_folder
from glassgpt.interop.format import find_format
from glassgpt.interop.source import ExportSource
from helpers import gguf_files as edit
from helpers.exports import TEXT, random_source

gguf = pytest.importorskip("gguf")
pytest.importorskip("xllamacpp")
GGUF = find_format("gguf")
GPT2: dict[str, Any] = {"preset": "gpt2"}
QWEN3: dict[str, Any] = {"preset": "modern"}
LLAMA: dict[str, Any] = {**QWEN3, "qk_norm": False, "norm_eps": 1e-5, "n_kv_head": 2}
SHAPES = [
    GPT2,
    {**GPT2, "bias": False, "tie_embeddings": False},
    LLAMA,
    QWEN3,
    {**QWEN3, "head_size": 16, "n_kv_head": 2, "rope_theta": 500.0},
    {**QWEN3, "tie_embeddings": True, "n_kv_head": 1},
]


@pytest.fixture(autouse=True)
def fewer_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare less than an export does: what is refused here is refused there."""
    monkeypatch.setattr(certify, "N_STRANGE", 200)
    monkeypatch.setattr(certify, "N_POSITIONS", 16)


def write(source: ExportSource, folder: Path, dtype: str = "float32") -> Path:
    folder.mkdir()
    GGUF.write(source, folder, dtype)
    return folder


def written(
    tmp_path: Path, kind: str = "char", dtype: str = "float32", **model: Any
) -> tuple[ExportSource, Path]:
    source = random_source(tmp_path / "run", kind, **model)
    return source, write(source, tmp_path / "out", dtype)


def value(certificate: Certificate, name: str) -> float:
    return next(float(each.observed) for each in certificate.findings if each.name.startswith(name))


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        *(("char", shape) for shape in SHAPES),
        *((kind, QWEN3) for kind in ("byte", "bpe", "chat")),
        ("bpe", GPT2),
    ],
    ids=str,
)
def test_llama_cpp_computes_the_same(tmp_path: Path, kind: str, shape: Any) -> None:
    source, folder = written(tmp_path, kind, **shape)
    certificate = certify_folder(source, folder, GGUF, "float32")
    assert certificate.is_confirmed, certificate.failures
    assert value(certificate, "KL") < (1e-6 if shape["preset"] == "gpt2" else 1e-10)
    assert value(certificate, "equal greedy") == 56


@pytest.mark.parametrize("shape", [GPT2, LLAMA, QWEN3], ids=str)
def test_256_generated_tokens_are_equal(tmp_path: Path, shape: Any) -> None:
    source, folder = written(tmp_path, block_size=320, **shape)
    found = [*compare_greedy(source, GGUF.open(folder), GGUF.limits["float32"], difference=1e-5)]
    assert found[0].observed == 256


@pytest.mark.parametrize(("dtype", "largest"), [("float16", 0.05), ("q8_0", 0.5)])
def test_rounded_weights_stay_near(tmp_path: Path, dtype: str, largest: float) -> None:
    source, folder = written(tmp_path, dtype=dtype)
    strict = certify_folder(source, folder, GGUF, "float32")
    assert not strict.is_confirmed, "float32's limits must see the rounding"
    assert 0 < value(strict, "KL") < largest
    types = {tensor.tensor_type.name for tensor in gguf.GGUFReader(folder / "model.gguf").tensors}
    assert types == {"F32", {"float16": "F16", "q8_0": "Q8_0"}[dtype]}


@pytest.mark.parametrize("kind", ["char", "byte", "bpe"])
def test_ids_of_strange_strings_and_of_much_text(tmp_path: Path, kind: str) -> None:
    source, folder = written(tmp_path, kind)
    left_out = GGUF.left_out(source)
    text = "".join(strange_strings(3_000, seed=1)).replace(left_out or "\0", "") + TEXT * 100
    for finding in compare_ids(source.tokenizer, GGUF.open(folder), text, left_out):
        assert finding.observed == 0, finding.name


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["char", "byte", "bpe", "chat"])
def test_ids_of_ten_thousand_strings_and_a_megabyte(tmp_path: Path, kind: str) -> None:
    source, folder = written(tmp_path, kind)
    theirs, left_out = GGUF.open(folder), GGUF.left_out(source)
    for text in strange_strings(10_000, seed=2):
        plain = text.replace(left_out or "\0", "")
        assert theirs.encode(plain) == source.tokenizer.encode(plain), repr(plain)
    text = TEXT * (1_000_000 // len(TEXT.encode()) + 1)
    for finding in compare_ids(source.tokenizer, theirs, text, left_out):
        assert finding.observed == 0, finding.name


def interleaved(matrix: np.ndarray) -> np.ndarray:
    return matrix.reshape(4, 2, 4, -1).swapaxes(1, 2).reshape(matrix.shape)


def truncate(folder: Path) -> None:
    file = folder / "model.gguf"
    file.write_bytes(file.read_bytes()[:-100])


MODEL = "tokenizer.ggml."
OF_QWEN3 = {
    "q and k swapped": edit.swap_tensors("blk.1.attn_q.weight", "blk.1.attn_k.weight"),
    "gate and up swapped": edit.swap_tensors("blk.1.ffn_gate.weight", "blk.1.ffn_up.weight"),
    "norms swapped": edit.swap_tensors("blk.1.attn_norm.weight", "blk.1.ffn_norm.weight"),
    "q_norm and k_norm swapped": edit.swap_tensors("blk.1.attn_q_norm.weight", "blk.1.attn_k_norm.weight"),
    "blocks swapped": edit.swap_tensors("blk.0.ffn_down.weight", "blk.1.ffn_down.weight"),
    "output transposed": edit.set_tensor("blk.1.attn_output.weight", np.transpose),
    "heads in another order": edit.set_tensor("blk.1.attn_v.weight", lambda t: np.roll(t, 8, 0)),
    "pairs of RoPE interleaved": edit.set_tensor("blk.1.attn_q.weight", interleaved),
    "one weight off by a tenth": edit.set_tensor("output_norm.weight", lambda t: t + 0.1 * (t == t.max())),
    "head one token further": edit.set_tensor("output.weight", lambda t: np.roll(t, 1, 0)),
    "head tied": edit.drop_tensor("output.weight"),
    "embedding doubled": edit.set_tensor("token_embd.weight", lambda t: 2 * t),
    "a norm missing": edit.drop_tensor("blk.1.attn_norm.weight"),
    "a norm of queries missing": edit.drop_tensor("blk.1.attn_q_norm.weight"),
    "weights rounded": edit.set_tensor("blk.0.ffn_down.weight", lambda t: t.astype(np.float16).astype("f4")),
    "theta": edit.set_field("rope.freq_base", 9_000.0),
    "theta missing, another default": edit.set_field("rope.freq_base", 1_000_000.0),
    "eps": edit.set_field("layer_norm_rms_epsilon", 1e-3),
    "one layer less": edit.set_field("block_count", 1),
    "other heads": edit.set_field("attention.head_count", 2),
    "architecture": edit.set_field("general.architecture", "qwen2"),
    "context too short": edit.set_field("context_length", 16),
    "tokens swapped": edit.swap_items(f"{MODEL}tokens", 5, 6),
    "a byte token is ordinary": edit.set_field("token_type", [1] * 309),
    "space before the text": edit.set_field("add_space_prefix", True),
    "an ordinary token ends the text": edit.set_field("eos_token_id", 36),
}
OF_LLAMA = {
    "pairs of RoPE in halves": edit.set_tensor(
        "blk.0.attn_q.weight", lambda t: t.reshape(4, 4, 2, -1).swapaxes(1, 2).reshape(t.shape)
    ),
}
OF_GPT2 = {
    "matrix transposed": edit.set_tensor("blk.1.attn_output.weight", np.transpose),
    "bias missing": edit.set_tensor("blk.1.ffn_up.bias", np.zeros_like),
    "positions shifted": edit.set_tensor("position_embd.weight", lambda t: np.roll(t, 1, 0)),
    "eps": edit.set_field("layer_norm_epsilon", 1e-3),
    "heads": edit.set_field("attention.head_count", 2),
}
OF_BPE = {
    "another pre-tokenizer": edit.set_field("ggml.pre", "llama-bpe"),
    "merges reversed": lambda fields, tensors: fields.update(
        {f"{MODEL}merges": fields[f"{MODEL}merges"][::-1]}
    ),
    "a token before the text": edit.set_field("add_bos_token", True),
}
CASES = [
    *(("char", QWEN3, name, change) for name, change in OF_QWEN3.items()),
    *(("char", LLAMA, name, change) for name, change in OF_LLAMA.items()),
    *(("char", GPT2, name, change) for name, change in OF_GPT2.items()),
    *(("bpe", QWEN3, name, change) for name, change in OF_BPE.items()),
]


@pytest.mark.parametrize(
    ("kind", "shape", "change"),
    [case[:2] + case[3:] for case in CASES],
    ids=[f"{c[0]}-{c[1]['preset']}-{c[2]}" for c in CASES],
)
def test_a_wrong_file_is_refused(tmp_path: Path, kind: str, shape: Any, change: edit.Change) -> None:
    source, folder = written(tmp_path, kind, **shape)
    edit.rewrite(folder / "model.gguf", change)
    try:
        certificate = certify_folder(source, folder, GGUF, "float32")
    except UserError:
        return
    assert not certificate.is_confirmed
