"""Exports to ONNX: onnxruntime computes the same, with and without a cache, and refuses a wrong export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgpt.errors import UserError
from glassgpt.interop import certify
from glassgpt.interop.certify import compare_greedy
from glassgpt.interop.exporter import certify_folder
from glassgpt.interop.format import find_format
from glassgpt.interop.onnx.runtime import OnnxRuntime
from glassgpt.interop.source import ExportSource
from helpers.exports import random_source

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import numpy_helper  # noqa: E402

ONNX = find_format("onnx")
SMALL = {"image_size": 16, "patch_size": 4}
MODELS: dict[str, dict[str, Any]] = {
    "modern": {},
    "gpt2": {"preset": "gpt2"},
    "speedrun": {"preset": "speedrun"},
    "speedrun, pairs and a window": {"preset": "speedrun", "ngram_order": 2, "window": 8},
    "grouped queries, wide heads": {"n_kv_head": 2, "head_size": 16},
    "one key head, tied": {"n_kv_head": 1, "tie_embeddings": True},
    "window": {"window": 8},
    "no positions": {"position": "none"},
    "sinusoidal": {"position": "sinusoidal", "qk_norm": False},
    "exact gelu without biases": {
        "preset": "gpt2",
        "bias": False,
        "mlp": "gelu_erf",
        "tie_embeddings": False,
    },
    "bigram": {"family": "bigram"},
    "masked": {"family": "encoder"},
    "masked, window": {"family": "encoder", "preset": "gpt2", "window": 8},
    "classifier": {"family": "encoder", "labels": ("no", "yes", "perhaps")},
    "classifier, window": {"family": "encoder", "labels": ("no", "yes"), "window": 8, "n_kv_head": 2},
    "seq2seq": {"family": "seq2seq"},
    "seq2seq, gpt2": {"family": "seq2seq", "preset": "gpt2", "n_encoder_layer": 1, "n_kv_head": 2},
    "captioner": {"family": "captioner", **SMALL},
    "captioner, gpt2, color": {"family": "captioner", "preset": "gpt2", "channels": 3, **SMALL},
}


@pytest.fixture(autouse=True)
def few_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encode fewer random strings; tests/equivalence/test_export_huggingface.py encodes many."""
    monkeypatch.setattr(certify, "N_STRANGE", 100)


def written(
    tmp_path: Path, kind: str = "char", dtype: str = "float32", **model: Any
) -> tuple[ExportSource, Path]:
    source, folder = random_source(tmp_path / "run", kind, **model), tmp_path / "out"
    folder.mkdir()
    ONNX.write(source, folder, dtype)
    return source, folder


@pytest.mark.parametrize("name", MODELS)
def test_onnxruntime_computes_the_same(tmp_path: Path, name: str) -> None:
    source, folder = written(tmp_path, **MODELS[name])
    certificate = certify_folder(source, folder, ONNX, "float32")
    assert certificate.is_confirmed, certificate.failures
    assert any("log-probability" in each.name for each in certificate.findings)
    has_cache = source.shape.family != "encoder"
    assert sum("with the cache" in each.name for each in certificate.findings) == 3 * has_cache


@pytest.mark.parametrize("kind", ["byte", "bpe", "chat"])
def test_any_tokenizer(tmp_path: Path, kind: str) -> None:
    source, folder = written(tmp_path, kind)
    certificate = certify_folder(source, folder, ONNX, "float32")
    assert certificate.is_confirmed, certificate.failures


@pytest.mark.parametrize("preset", ["modern", "gpt2", "speedrun"])
def test_256_generated_tokens_are_equal(tmp_path: Path, preset: str) -> None:
    source, folder = written(tmp_path, block_size=320, preset=preset)
    found = compare_greedy(source, OnnxRuntime(folder), ONNX.limits["float32"], difference=1e-5)
    assert next(iter(found)).observed == 256


def test_rounded_weights_take_half_and_stay_near(tmp_path: Path) -> None:
    sizes = {}
    for dtype in ("float32", "float16"):
        (tmp_path / dtype).mkdir()
        source, folder = written(tmp_path / dtype, dtype=dtype, n_embd=128)
        sizes[dtype] = (folder / "model.onnx").stat().st_size
    assert sizes["float16"] < 0.6 * sizes["float32"]
    strict = certify_folder(source, folder, ONNX, "float32")
    assert not strict.is_confirmed, "float32's limits must see the rounding"
    kl = next(each for each in strict.findings if each.name.startswith("KL"))
    assert float(kl.observed) < 0.05  # random weights are ten times those of a trained model


def edit(name: str, change: Callable[[Any], object]) -> Callable[[Path], None]:
    """Change the graph of a file."""

    def apply(folder: Path) -> None:
        model = onnx.load(folder / name)
        change(model.graph)
        onnx.save(model, folder / name)

    return apply


def weight(name: str, change: Callable[[np.ndarray], np.ndarray], file: str = "model.onnx") -> Any:
    """Change a stored tensor."""

    def apply(graph: Any) -> None:
        (tensor,) = (each for each in graph.initializer if each.name == name)
        changed = change(numpy_helper.to_array(tensor).copy())
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(changed), name))

    return edit(file, apply)


def swap_weights(one: str, other: str) -> Callable[[Path], None]:
    def apply(graph: Any) -> None:
        found = {each.name: each for each in graph.initializer}
        found[one].name, found[other].name = other, one

    return edit("model.onnx", apply)


def nodes(kind: str, change: Callable[[Any], object], file: str = "model.onnx") -> Callable[[Path], None]:
    """Change all nodes of a kind."""

    def apply(graph: Any) -> None:
        found = [each for each in graph.node if each.op_type == kind]
        assert found, f"no {kind}"
        for each in found:
            change(each)

    return edit(file, apply)


def swap_outputs(one: str, other: str, file: str = "model.onnx") -> Callable[[Path], None]:
    def apply(graph: Any) -> None:
        (a,) = (each for each in graph.node if one in each.output)
        (b,) = (each for each in graph.node if other in each.output)
        a.input[0], b.input[0] = b.input[0], a.input[0]

    return edit(file, apply)


def swap_inputs(node: Any) -> None:
    node.input[0], node.input[1] = node.input[1], node.input[0]


def swap_cache(node: Any) -> None:
    if node.input[0].startswith("past_key_values"):
        swap_inputs(node)


def kind(name: str) -> Callable[[Any], None]:
    return lambda node: setattr(node, "op_type", name)


def forget_the_past(graph: Any) -> None:
    """Count positions from zero in every call."""
    for node in graph.node:
        if node.op_type == "Shape" and node.input[0].startswith("past_key_values"):
            node.attribute[0].i = node.attribute[1].i = 0
            node.attribute[1].i = 1  # the size of the batch in place of the length of the past


def settings(**changes: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        file = folder / "model.json"
        file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | changes), "utf-8")

    return apply


def tokenizer(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        spec = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        change(spec)
        (folder / "tokenizer.json").write_text(json.dumps(spec), "utf-8")

    return apply


def swap_ids(spec: dict[str, Any]) -> None:
    vocab = spec["model"]["vocab"]
    (a, i), (b, j) = list(vocab.items())[5:7]
    vocab[a], vocab[b] = j, i


def truncate(folder: Path) -> None:
    file = folder / "model.onnx"
    file.write_bytes(file.read_bytes()[:-100])


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def swap_rows(n: int) -> Callable[[np.ndarray], np.ndarray]:
    """Swap the first n rows with the next n."""
    return lambda t: np.concatenate((t[n : 2 * n], t[:n], t[2 * n :]))


SLOW = (
    "norms swapped",
    "output transposed",
    "heads in another order",
    "head one token further",
    "embedding doubled",
    "cosine and sine swapped",
    "lowercase",
    "no byte fallback",
    "positions shifted",
    "bias missing",
    "keys and values of the source swapped",
    "an encoder that sees nothing",
)
"""Wrong exports that resemble others."""
B = "blocks.1."
WRONG: dict[str, tuple[str, Callable[[Path], None]]] = {
    "q and k swapped": ("modern", weight(f"{B}attn.qkv.weight", swap_rows(32))),
    "gate and up swapped": ("modern", weight(f"{B}mlp.fc.weight", swap_rows(96))),
    "norms swapped": ("modern", swap_weights(f"{B}norm_1.weight", f"{B}norm_2.weight")),
    "q_norm and k_norm swapped": ("modern", swap_weights(f"{B}attn.q_norm.weight", f"{B}attn.k_norm.weight")),
    "output transposed": ("modern", weight(f"{B}attn.proj.weight", np.transpose)),
    "heads in another order": ("modern", weight(f"{B}attn.qkv.weight", lambda t: np.roll(t, 8, 0))),
    "one weight off by a hundredth": ("modern", weight("norm_f.weight", lambda t: t + 0.01 * (t == t.max()))),
    "head one token further": ("modern", weight("lm_head.weight", lambda t: np.roll(t, 1, 0))),
    "embedding doubled": ("modern", weight("wte.weight", lambda t: 2 * t)),
    "angles of another theta": ("modern", weight("rope.sin", lambda t: t * np.float32(1.001))),
    "cosine and sine swapped": ("modern", swap_weights("rope.cos", "rope.sin")),
    "rotation backwards": ("modern", nodes("Sub", kind("Add"))),
    "eps": ("modern", weight("float32(1e-06)", lambda t: t + np.float32(1e-3))),
    "no causality": ("modern", nodes("LessOrEqual", lambda node: node.input.__setitem__(1, node.input[0]))),
    "new tokens before the past": ("modern", nodes("Concat", swap_cache)),
    "keys and values swapped": ("modern", swap_outputs("present.0.key", "present.0.value")),
    "layers of the cache swapped": ("modern", swap_outputs("present.0.key", "present.1.key")),
    "positions forget the past": ("modern", edit("model.onnx", forget_the_past)),
    "ids swapped": ("modern", tokenizer(swap_ids)),
    "lowercase": ("modern", tokenizer(lambda spec: spec.update(normalizer={"type": "Lowercase"}))),
    "no byte fallback": ("modern", tokenizer(lambda spec: spec["model"].update(byte_fallback=False))),
    "file truncated": ("modern", truncate),
    "no tokenizer": ("modern", remove("tokenizer.json")),
    "window one wider": ("window", weight("int64(8)", lambda t: t + 1)),
    "gelu's constant": ("gpt2", weight("float32(0.044715)", lambda t: t + np.float32(0.01))),
    "positions shifted": ("gpt2", weight("wpe.weight", lambda t: np.roll(t, 1, 0))),
    "bias missing": ("gpt2", weight(f"{B}mlp.fc.bias", np.zeros_like)),
    "another hash": ("speedrun", nodes("BitwiseXor", kind("BitwiseOr"))),
    "past tokens forgotten": ("speedrun", weight("int64(-4)", lambda t: t + 1)),
    "sources not masked": (
        "seq2seq",
        nodes("Equal", lambda node: node.input.__setitem__(1, "int64(0)"), "encoder.onnx"),
    ),
    "keys and values of the source swapped": (
        "seq2seq",
        swap_outputs("memory.0.key", "memory.0.value", "encoder.onnx"),
    ),
    "no end": ("seq2seq", settings(end=0)),
    "no encoder": ("seq2seq", remove("encoder.onnx")),
    "pixels of another scale": ("captioner", weight("float32(127.5)", lambda t: 2 * t, "encoder.onnx")),
    "padding in the mean": ("classifier", nodes("Equal", lambda node: node.input.__setitem__(1, "int64(0)"))),
    "classes in another order": ("classifier", weight("class_head.bias", lambda t: np.roll(t, 1, 0))),
    "an encoder that sees nothing": ("masked", weight(f"{B}attn.qkv.weight", np.zeros_like)),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in WRONG]
)
def test_a_wrong_export_is_refused(tmp_path: Path, name: str) -> None:
    model, change = WRONG[name]
    source, folder = written(tmp_path, **{"block_size": 32, **MODELS[model]})
    change(folder)
    try:
        certificate = certify_folder(source, folder, ONNX, "float32")
    except UserError:
        return
    assert not certificate.is_confirmed
