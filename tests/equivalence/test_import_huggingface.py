"""Imports of Hugging Face folders: transformers computes the same, and a wrong import leaves nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from glassgpt.checkpoint import Run
from glassgpt.config import exportable_as
from glassgpt.errors import UserError
from glassgpt.interop import open_foreign, read_certificate
from glassgpt.interop.certify import strange_strings
from glassgpt.interop.format import find_format
from glassgpt.interop.huggingface.runtime import Transformers
from glassgpt.train import import_pretrained
from helpers.exports import edit_tokenizer, random_source

pytest.importorskip("transformers")
from helpers import foreign

HF = find_format("hf")
GPT2: dict[str, Any] = {"family": "GPT2"}
LLAMA: dict[str, Any] = {"family": "Llama"}
QWEN3: dict[str, Any] = {"family": "Qwen3"}
FOLDERS: list[dict[str, Any]] = [
    GPT2,
    {**GPT2, "kind": "char", "activation_function": "gelu", "n_inner": 80},
    {**GPT2, "tie_word_embeddings": False, "layer_norm_epsilon": 1e-3},
    {**GPT2, "dtype": torch.bfloat16, "n_padding": 7},
    {**GPT2, "shard": "20KB"},
    LLAMA,
    {**LLAMA, "num_key_value_heads": 2, "tie_word_embeddings": True, "kind": "byte"},
    {**LLAMA, "head_dim": 16, "rms_norm_eps": 1e-3, "shard": "20KB"},
    {**LLAMA, "rope_parameters": {"rope_type": "default", "rope_theta": 50_000.0}, "kind": "chat"},
    QWEN3,
    {**QWEN3, "tie_word_embeddings": True, "num_key_value_heads": 1, "dtype": torch.float16},
    {**QWEN3, "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0},
]


@pytest.mark.parametrize("fields", FOLDERS, ids=str)
@pytest.mark.filterwarnings("ignore:7 ids of the vocabulary are padding")
def test_transformers_computes_the_same(tmp_path: Path, fields: dict[str, Any]) -> None:
    foreign.save(tmp_path / "model", **fields)
    theirs = Transformers(tmp_path / "model").model
    run = import_pretrained(tmp_path / "model", tmp_path / "run", compare=False)
    ours, n_vocab = run.model(), run.tokenizer().n_vocab
    tokens = torch.randint(n_vocab, (3, foreign.N_POSITIONS))
    with torch.no_grad():
        expected = theirs(tokens).logits[..., :n_vocab]
        torch.testing.assert_close(ours(tokens), expected, atol=1e-5, rtol=1e-5)
    assert expected.std() > 0.5


@pytest.mark.parametrize("family", ["GPT2", "Llama", "Qwen3"])
def test_an_import_is_compared_before_it_counts(tmp_path: Path, family: str) -> None:
    foreign.save(tmp_path / "model", family, "chat", n_padding=5)
    with pytest.warns(UserWarning, match="5 ids of the vocabulary are padding"):
        run = import_pretrained(tmp_path / "model", tmp_path / "run")
    certificate = read_certificate(run.path)
    assert certificate is not None and certificate.is_confirmed
    assert {each.name for each in certificate.findings} >= {
        "different token ids: random strings, of 2,000",
        "KL divergence, nats per token",
    }
    assert Run.open(run.path).best_checkpoint().name == "step-0000000000"


@pytest.mark.parametrize("kind", ["char", "byte", "bpe", "chat"])
@pytest.mark.parametrize(
    "shape",
    [
        {"preset": "gpt2"},
        {"preset": "gpt2", "tie_embeddings": False, "mlp": "gelu_erf"},
        {"preset": "modern", "n_kv_head": 2},
        {"preset": "modern", "tie_embeddings": True, "head_size": 16, "rope_theta": 20_000.0},
        {"preset": "modern", "qk_norm": False, "n_kv_head": 1, "norm_eps": 1e-5},
    ],
    ids=str,
)
def test_import_of_an_export_is_the_same_to_the_bit(tmp_path: Path, kind: str, shape: dict[str, Any]) -> None:
    source, folder = random_source(tmp_path / "run", kind, **shape), tmp_path / "out"
    folder.mkdir()
    HF.write(source, folder, "float32")
    run = import_pretrained(folder, tmp_path / "again", compare=False)
    again = dict(run.model().named_parameters())
    assert again.keys() == source.tensors.keys()
    for name, tensor in source.tensors.items():
        assert torch.equal(again[name], tensor), name
    assert run.tokenizer().spec() == source.tokenizer.spec()  # pyright: ignore[reportAttributeAccessIssue]
    assert exportable_as(run.config().model) == exportable_as(source.shape)


def test_a_bpe_without_merges(tmp_path: Path) -> None:
    foreign.save(tmp_path / "model", kind="byte")
    edit_tokenizer(lambda spec: spec.update(decoder=None))(tmp_path / "model")  # not as ours is
    run = import_pretrained(tmp_path / "model", tmp_path / "run", compare=False)
    assert run.tokenizer().kind == "bpe" and run.tokenizer().n_vocab == 256


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_rounded_weights_stay_as_they_are(tmp_path: Path, dtype: str) -> None:
    source, folder = random_source(tmp_path / "run", preset="gpt2"), tmp_path / "out"
    folder.mkdir()
    HF.write(source, folder, dtype)
    run = import_pretrained(folder, tmp_path / "again", compare=False)
    stored = load_file(run.best_checkpoint() / "model.safetensors")
    assert {str(tensor.dtype) for tensor in stored.values()} == {f"torch.{dtype}"}
    for name, tensor in source.tensors.items():
        assert torch.equal(stored[name], tensor.to(getattr(torch, dtype))), name


@pytest.mark.parametrize("kind", ["char", "byte", "bpe", "chat"])
def test_ids_of_ten_thousand_strings(tmp_path: Path, kind: str) -> None:
    foreign.save(tmp_path / "model", kind=kind)
    ours, theirs = open_foreign(tmp_path / "model").tokenizer, Transformers(tmp_path / "model")
    for text in strange_strings(10_000, seed=2):
        assert ours.encode(text) == theirs.encode(text), repr(text)


def test_names_without_a_prefix_and_with_masks(tmp_path: Path) -> None:
    """The files of GPT-2 on the hub: the model without its head, next to its causal masks."""
    theirs = foreign.save(tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in load_file(file).items()}
    masks = {f"h.{i}.attn.bias": torch.ones(1, 1, 64, 64).tril() for i in range(2)}
    save_file(tensors | masks, file, {"format": "pt"})
    ours, tokens = open_foreign(tmp_path / "model"), torch.randint(300, (2, 64))
    run = import_pretrained(tmp_path / "model", tmp_path / "run", compare=False)
    assert ours.n_padding == 0
    with torch.no_grad():
        torch.testing.assert_close(run.model()(tokens), theirs(tokens).logits, atol=1e-5, rtol=1e-5)


def test_defaults_are_those_of_transformers() -> None:
    import transformers

    from glassgpt.interop.huggingface.foreign_config import ARCHITECTURES

    for name, known in ARCHITECTURES.items():
        config = getattr(transformers, name).config_class()
        assert config.vocab_size == known.n_vocab
        for field, (_, default) in known.fields.items():
            if default is not None:
                assert getattr(config, field) == default, field
        for field, choices in known.choices.items():
            assert getattr(config, field, None) == next(iter(choices)), field


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "architectures": ("MistralForCausalLM", {"architectures": ["MistralForCausalLM"]}),
    "rope_type": ("yarn", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0}}),
    "rope_type ": ("linear", {"rope_scaling": {"type": "linear", "factor": 2.0}}),
    "hidden_act": ("gelu", {"hidden_act": "gelu"}),
    "attention_bias": ("True", {"attention_bias": True}),
    "mlp_bias": ("True", {"mlp_bias": True}),
    "quantization_config": ("bits", {"quantization_config": {"bits": 4}}),
    "auto_map": ("model.py", {"auto_map": {"AutoModel": "model.py"}}),
    "model_type": ("mistral", {"model_type": "mistral"}),
    "partial_rotary_factor": ("0.5", {"partial_rotary_factor": 0.5}),
    "num_hidden_layers": ("201", {"num_hidden_layers": 201}),
    "num_attention_heads": ("'4'", {"num_attention_heads": "4"}),
}


@pytest.mark.parametrize("field", REFUSED)
def test_a_setting_that_we_lack_is_refused_by_name(tmp_path: Path, field: str) -> None:
    foreign.save(tmp_path / "model", "Llama")
    value, changes = REFUSED[field]
    foreign.edit_json(tmp_path / "model" / "config.json", **changes)
    with pytest.raises(UserError, match=f"{field.strip()}.*{value}"):
        import_pretrained(tmp_path / "model", tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_mixed_windows_are_refused(tmp_path: Path) -> None:
    window = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}
    foreign.save(tmp_path / "model", "Qwen3", **window)
    with pytest.raises(UserError, match="layer_types"):
        open_foreign(tmp_path / "model")


def untie(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    save_file(tensors | {"lm_head.weight": tensors["transformer.wte.weight"] + 1}, file, {"format": "pt"})


def only_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def link_out(folder: Path) -> None:
    outside = folder.parent / "secret.json"
    (folder / "config.json").rename(outside)
    (folder / "config.json").symlink_to(outside)


HOSTILE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "lowercase": ("Lowercase", edit_tokenizer(lambda spec: spec.update(normalizer={"type": "Lowercase"}))),
    "space before": (
        "add_prefix_space",
        lambda folder: foreign.edit_json(folder / "tokenizer_config.json", add_prefix_space=True),
    ),
    "fewer tokens": ("vocabulary", lambda folder: foreign.edit_json(folder / "config.json", vocab_size=299)),
    "class of the tokenizer": (
        "tokenizer_class",
        lambda folder: foreign.edit_json(folder / "tokenizer_config.json", tokenizer_class=None),
    ),
    "pickle": ("could hold a program", only_a_pickle),
    "untied": ("differs from the embedding", untie),
    "link": ("is a link", link_out),
    "no tokenizer": ("has no tokenizer.json", lambda folder: (folder / "tokenizer.json").unlink()),
    "pointer": (
        "Git LFS",
        lambda folder: (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec"),
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_wrong_folder_is_refused_and_nothing_is_left(tmp_path: Path, name: str) -> None:
    says, change = HOSTILE[name]
    foreign.save(tmp_path / "model", kind="char" if name == "class of the tokenizer" else "bpe")
    change(tmp_path / "model")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=says):
        import_pretrained(tmp_path / "model", tmp_path / "run")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_failed_comparison_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign.save(tmp_path / "model")
    monkeypatch.setattr(Transformers, "encode", lambda self, text: [0])
    with pytest.raises(UserError, match="Nothing was imported"):
        import_pretrained(tmp_path / "model", tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_without_transformers_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign.save(tmp_path / "model")
    monkeypatch.setattr("glassgpt.interop.huggingface.compare.find_spec", lambda name: None)
    with pytest.warns(UserWarning, match="not compared: transformers is not installed"):
        run = import_pretrained(tmp_path / "model", tmp_path / "run")
    assert read_certificate(run.path) is None


def test_the_cache_of_the_hub_is_made_of_links(tmp_path: Path) -> None:
    foreign.save(tmp_path / "model", shard="20KB")
    cache = tmp_path / "models--owner--name"
    (cache / "blobs").mkdir(parents=True)
    (cache / "snapshots" / "1").mkdir(parents=True)
    for i, path in enumerate(sorted((tmp_path / "model").iterdir())):
        path.rename(cache / "blobs" / str(i))
        (cache / "snapshots" / "1" / path.name).symlink_to(f"../../blobs/{i}")
    found = open_foreign(cache / "snapshots" / "1")
    assert "model.safetensors.index.json" in found.source()["files"]
    assert len(found.tensors["wte.weight"]) == found.tokenizer.n_vocab


def test_a_text_gives_a_verdict(tmp_path: Path) -> None:
    foreign.save(tmp_path / "model")
    words = random.Random(0).choices("moon boat bird sings sees green seven".split(), k=2_000)
    (tmp_path / "text.txt").write_text(" ".join(words))
    run = import_pretrained(
        tmp_path / "model", tmp_path / "run", text=tmp_path / "text.txt", compare=False, device="cpu"
    )
    verdict = json.loads(run.verdict_file.read_text("utf-8"))
    assert verdict["model"]["name"] == "this model" and len(verdict["baselines"]) >= 3
