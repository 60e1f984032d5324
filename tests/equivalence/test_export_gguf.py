"""Exports to GGUF: llama.cpp computes what we do, and a wrong file is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgpt.errors import UserError
from glassgpt.interop.certify import Certificate, compare_greedy, compare_ids, strange_strings
from glassgpt.interop.exporter import certify_folder, export
from glassgpt.interop.format import find_format
from glassgpt.interop.source import ExportSource
from glassgpt.tokenizers import BpeTokenizer, CharTokenizer
from helpers import gguf_files as edit
from helpers.exports import TEXT, random_source

gguf = pytest.importorskip("gguf")
pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.usefixtures("fewer_comparisons")
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


def write(source: ExportSource, folder: Path, dtype: str = "float32") -> Path:
    folder.mkdir()
    GGUF.write(source, folder, dtype)
    return folder


def written(
    tmp_path: Path, kind: str = "char", dtype: str = "float32", **model: Any
) -> tuple[ExportSource, Path]:
    source = random_source(tmp_path / "run", kind, **model)
    vars(source)["text"] = TEXT * 3
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
    found = [*compare_greedy(source, GGUF.open(folder), GGUF.tolerance(source, "float32"), difference=1e-5)]
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
    "half of the merges": lambda fields, tensors: fields.update(
        {f"{MODEL}merges": fields[f"{MODEL}merges"][::2]}
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


def test_a_wrong_chat_template_is_refused(tmp_path: Path) -> None:
    source, folder = written(tmp_path, "chat")
    edit.rewrite(folder / "model.gguf", edit.set_field("chat_template", "{{ messages[0]['content'] }}"))
    assert certify_folder(source, folder, GGUF, "float32").failures == [
        "different token ids: conversations: 1, expected ≤ 0"
    ]


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    source, folder = written(tmp_path)
    file = folder / "model.gguf"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match="cannot use the files"):
        certify_folder(source, folder, GGUF, "float32")


def test_generation_passes_the_token_that_ends_a_text(tmp_path: Path) -> None:
    source, folder = written(tmp_path)
    prompt = source.windows[0][:8].tolist()
    expected = GGUF.open(folder).greedy(prompt, 20)
    edit.rewrite(folder / "model.gguf", edit.set_field("eos_token_id", expected[4]))
    assert GGUF.open(folder).greedy(prompt, 20) == expected


def test_rows_that_do_not_divide_into_blocks_are_kept_in_half_precision(tmp_path: Path) -> None:
    source, folder = written(tmp_path, dtype="q8_0", n_embd=48, head_size=8)
    tensors = gguf.GGUFReader(folder / "model.gguf").tensors
    types = {each.name: each.tensor_type.name for each in tensors}
    assert types["blk.0.attn_q.weight"] == "F16" and types["blk.0.ffn_down.weight"] == "Q8_0"
    assert value(certify_folder(source, folder, GGUF, "q8_0"), "KL") < 0.5


def test_the_regular_expressions_of_other_models_have_their_names(tmp_path: Path) -> None:
    from tokenizers import Regex, Tokenizer, pre_tokenizers

    from glassgpt.interop.gguf.tokenizer import SPLITS

    source = random_source(tmp_path / "run", "bpe")
    for regex, name in SPLITS.items():
        inner = Tokenizer.from_str(json.dumps(source.tokenizer.spec()))
        inner.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(regex), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        other = replace(source, tokenizer=BpeTokenizer.from_spec(json.loads(inner.to_str())))
        assert GGUF.obstacle(other) == ""
        ids = compare_ids(other.tokenizer, GGUF.open(write(other, tmp_path / name)), TEXT)
        assert [each.observed for each in ids] == [0, 0], name


def test_what_gguf_cannot_hold_is_refused_by_name(tmp_path: Path) -> None:
    source = random_source(tmp_path)
    assert "n-gram" in GGUF.obstacle(random_source(tmp_path, preset="speedrun"))
    assert "window" in GGUF.obstacle(random_source(tmp_path, window=8))
    assert "bigram" in GGUF.obstacle(random_source(tmp_path, family="bigram"))
    assert "gelu_erf" in GGUF.obstacle(random_source(tmp_path, preset="gpt2", mlp="gelu_erf"))
    for chars, fallback, reason in (
        ("a▁", True, "U+2581"),
        ("a\0", True, "NUL"),
        ("ab", False, "byte_fallback"),
    ):
        tokenizer = CharTokenizer(chars, fallback=fallback)
        assert reason in GGUF.obstacle(replace(source, tokenizer=tokenizer))


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("glassgpt.interop.gguf")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(UserError, match=r"gguf is not installed: pip install 'glassgpt\[gguf\]'"):
        find_format("gguf")


def test_an_export_has_every_file(tmp_path: Path) -> None:
    from helpers.explain_runs import small_run

    folder, certificate = export(small_run(tmp_path, "gpt"), "gguf", tmp_path / "out", license="mit")
    assert {path.name for path in folder.iterdir()} == {"README.md", "model.gguf", "certificate.json"}
    assert certificate.runtime.startswith("llama.cpp") and certificate.is_confirmed
    fields = gguf.GGUFReader(folder / "model.gguf").fields
    assert fields["general.license"].contents() == "mit"
    assert "trained from random weights" in fields["general.description"].contents()
    assert "llama-cli" in (folder / "README.md").read_text("utf-8")
