"""Exports to Hugging Face: transformers computes what we do, and a wrong export is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch
from safetensors.torch import load_file, save_file

from glassgpt.errors import UserError
from glassgpt.interop.certify import Tolerance, compare_greedy, compare_ids, strange_strings
from glassgpt.interop.exporter import certify_folder, export
from glassgpt.interop.format import MODULES, find_format
from glassgpt.interop.huggingface.runtime import Transformers
from glassgpt.interop.source import ExportSource
from helpers.exports import TEXT, edit_tokenizer, random_source, swap_ids

pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("fewer_comparisons")
HF = find_format("hf")
GPT2: dict[str, Any] = {"preset": "gpt2"}
QWEN3: dict[str, Any] = {"preset": "modern"}
SHAPES = [
    GPT2,
    {**GPT2, "bias": False, "mlp": "gelu_erf", "tie_embeddings": False},
    {**QWEN3, "qk_norm": False, "norm_eps": 1e-5, "n_kv_head": 2},
    {**QWEN3, "head_size": 16},
    QWEN3,
    {**QWEN3, "n_kv_head": 2},
    {**QWEN3, "tie_embeddings": True, "n_kv_head": 1},
]


def written(
    tmp_path: Path, kind: str = "char", dtype: str = "float32", **model: Any
) -> tuple[ExportSource, Path]:
    source, folder = random_source(tmp_path / "run", kind, **model), tmp_path / "out"
    folder.mkdir()
    HF.write(source, folder, dtype)
    return source, folder


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        *(("char", shape) for shape in SHAPES),
        *((kind, QWEN3) for kind in ("byte", "bpe", "chat")),
        ("bpe", GPT2),
    ],
    ids=str,
)
def test_transformers_computes_the_same(tmp_path: Path, kind: str, shape: Any) -> None:
    source, folder = written(tmp_path, kind, **shape)
    certificate = certify_folder(source, folder, HF, "float32")
    assert certificate.is_confirmed, certificate.failures
    theirs, row = Transformers(folder), source.windows[0]
    ours = source.model(row[None])[0]
    torch.testing.assert_close(theirs.logits(row.tolist(), range(len(row))), ours, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [GPT2, QWEN3], ids=str)
def test_256_generated_tokens_are_equal(tmp_path: Path, shape: Any) -> None:
    source, folder = written(tmp_path, block_size=320, **shape)
    (finding,) = compare_greedy(source, Transformers(folder), HF.limits["float32"], difference=1e-5)
    assert finding.observed == 256


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("shape", [GPT2, QWEN3], ids=str)
def test_rounded_weights_stay_near(tmp_path: Path, dtype: str, shape: Any) -> None:
    source, folder = written(tmp_path, dtype=dtype, **shape)
    assert {str(t.dtype) for t in load_file(folder / "model.safetensors").values()} == {f"torch.{dtype}"}
    # These random weights are ten times those of a trained model, and so is their rounding.
    limits = Tolerance(logit=2.0, kl=0.05, same_tokens=False)
    strict = certify_folder(source, folder, HF, "float32")
    assert not strict.is_confirmed, "float32's limits must see the rounding"
    kl = next(each for each in strict.findings if each.name.startswith("KL"))
    assert float(kl.observed) < limits.kl


@pytest.mark.parametrize("kind", ["char", "byte", "bpe"])
def test_ids_of_strange_strings_and_of_much_text(tmp_path: Path, kind: str) -> None:
    source, folder = written(tmp_path, kind)
    theirs = Transformers(folder)
    long_text = "".join(strange_strings(8_000, seed=1)) + TEXT * 100
    for finding in compare_ids(source.tokenizer, theirs, long_text):
        assert finding.observed == 0, finding.name


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["char", "byte", "bpe", "chat"])
def test_ids_of_ten_thousand_strings_and_a_megabyte(tmp_path: Path, kind: str) -> None:
    source, folder = written(tmp_path, kind)
    theirs = Transformers(folder)
    for text in strange_strings(10_000, seed=2):
        assert theirs.encode(text) == source.tokenizer.encode(text), repr(text)
    text = (TEXT * (1_000_000 // len(TEXT.encode()) + 1)) + "".join(strange_strings(20_000, seed=3))
    for finding in compare_ids(source.tokenizer, theirs, text):
        assert finding.observed == 0, finding.name


def edit_json(name: str, **changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / name
        file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | changes), "utf-8")

    return change


def edit_tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(
            {k: v.contiguous() for k, v in tensors.items()}, folder / "model.safetensors", {"format": "pt"}
        )

    return edit


def swap(one: str, other: str) -> Callable[[Path], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[one], tensors[other] = tensors[other], tensors[one]

    return edit_tensors(change)


def replace_tensor(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    return edit_tensors(lambda tensors: tensors.__setitem__(name, change(tensors[name])))


def truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def remove_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


LAYER = "model.layers.1."
H = "transformer.h.1."
OF_QWEN3 = {
    "q and k swapped": swap(f"{LAYER}self_attn.q_proj.weight", f"{LAYER}self_attn.k_proj.weight"),
    "gate and up swapped": swap(f"{LAYER}mlp.gate_proj.weight", f"{LAYER}mlp.up_proj.weight"),
    "norms swapped": swap(f"{LAYER}input_layernorm.weight", f"{LAYER}post_attention_layernorm.weight"),
    "q_norm and k_norm swapped": swap(f"{LAYER}self_attn.q_norm.weight", f"{LAYER}self_attn.k_norm.weight"),
    "output transposed": replace_tensor(f"{LAYER}self_attn.o_proj.weight", lambda t: t.T),
    "heads in another order": replace_tensor(f"{LAYER}self_attn.v_proj.weight", lambda t: t.roll(8, 0)),
    "pairs of RoPE interleaved": replace_tensor(
        f"{LAYER}self_attn.q_proj.weight", lambda t: t.unflatten(0, (4, 2, 4)).transpose(1, 2).flatten(0, 2)
    ),
    "one weight off by a hundredth": replace_tensor("model.norm.weight", lambda t: t + 0.01 * (t == t.max())),
    "head one token further": replace_tensor("lm_head.weight", lambda t: t.roll(1, 0)),
    "embedding doubled": replace_tensor("model.embed_tokens.weight", lambda t: 2 * t),
    "theta": edit_json(
        "config.json", rope_theta=9_000.0, rope_parameters={"rope_type": "default", "rope_theta": 9e3}
    ),
    "eps": edit_json("config.json", rms_norm_eps=1e-3),
    "activation": edit_json("config.json", hidden_act="gelu"),
    "layers": edit_json("config.json", num_hidden_layers=1),
    "heads": edit_json("config.json", num_attention_heads=2, head_dim=16, num_key_value_heads=2),
    "window": edit_json(
        "config.json",
        use_sliding_window=True,
        sliding_window=8,
        max_window_layers=0,
        layer_types=["sliding_attention"] * 2,
    ),
    "class": edit_json("config.json", architectures=["LlamaForCausalLM"], model_type="llama"),
    "ids swapped": edit_tokenizer(swap_ids),
    "lowercase": edit_tokenizer(lambda spec: spec.update(normalizer={"type": "Lowercase"})),
    "no byte fallback": edit_tokenizer(lambda spec: spec["model"].update(byte_fallback=False)),
    "a weight missing": edit_tensors(lambda tensors: tensors.pop(f"{LAYER}mlp.down_proj.weight")),
    "weights truncated": truncate,
    "no tokenizer": remove_tokenizer,
}
OF_GPT2 = {
    "matrix not transposed": replace_tensor(f"{H}attn.c_proj.weight", lambda t: t.T),
    "bias missing": replace_tensor(f"{H}mlp.c_fc.bias", torch.zeros_like),
    "positions shifted": replace_tensor("transformer.wpe.weight", lambda t: t.roll(1, 0)),
    "exact gelu": edit_json("config.json", activation_function="gelu"),
    "eps": edit_json("config.json", layer_norm_epsilon=1e-3),
    "heads": edit_json("config.json", n_head=2),
    "context too short": edit_json("config.json", n_positions=32),
}


@pytest.mark.parametrize(
    ("preset", "change"),
    [*(("modern", name) for name in OF_QWEN3), *(("gpt2", name) for name in OF_GPT2)],
)
def test_a_wrong_export_is_refused(tmp_path: Path, preset: str, change: str) -> None:
    source, folder = written(tmp_path, preset=preset)
    (OF_QWEN3 if preset == "modern" else OF_GPT2)[change](folder)
    try:
        certificate = certify_folder(source, folder, HF, "float32")
    except UserError:
        return
    assert not certificate.is_confirmed


@pytest.mark.parametrize(
    "template", ["{{ messages[0]['content'] }}", "{% for m in messages %}{{ m.content }}<end>{% endfor %}"]
)
def test_a_wrong_chat_template_is_refused(tmp_path: Path, template: str) -> None:
    source, folder = written(tmp_path, "chat")
    assert certify_folder(source, folder, HF, "float32").is_confirmed
    edit_json("tokenizer_config.json", chat_template=template)(folder)
    assert not certify_folder(source, folder, HF, "float32").is_confirmed


def test_speedrun_and_other_families_are_refused_by_name(tmp_path: Path) -> None:
    assert "n-gram" in HF.obstacle(random_source(tmp_path, preset="speedrun"))
    assert "window" in HF.obstacle(random_source(tmp_path, window=8))
    assert "bigram" in HF.obstacle(random_source(tmp_path, family="bigram"))


def test_each_format_that_the_command_offers_is_there() -> None:
    from glassgpt.cli.commands.export import export as command

    assert get_args(get_type_hints(command)["to"]) == tuple(MODULES)
    assert [find_format(name).name for name in MODULES] == [*MODULES]


def test_plain_weights_are_compared_too(tmp_path: Path, run: Path) -> None:
    folder, certificate = export(run, "safetensors", tmp_path / "out")
    assert certificate.is_confirmed and (folder / "model.safetensors").is_file()


def test_a_failed_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Path) -> None:
    monkeypatch.setattr(Transformers, "encode", lambda self, text: [0])
    with pytest.raises(UserError, match="does not compute what the run does"):
        export(run, "hf", tmp_path / "out")
    assert [*tmp_path.iterdir()] == []


def test_an_export_has_every_file(tmp_path: Path, run: Path) -> None:
    folder, certificate = export(run, "hf", tmp_path / "out", license="mit")
    names = {"README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    assert {path.name for path in folder.iterdir()} == names | {"tokenizer_config.json", "certificate.json"}
    stored = json.loads((folder / "certificate.json").read_text("utf-8"))
    assert stored["runtime"] == certificate.runtime
    assert stored["files"].keys() == {path.name for path in folder.iterdir()} - {"certificate.json"}
    card = (folder / "README.md").read_text("utf-8")
    assert (
        "license: mit" in card
        and "## Limits" in card
        and "this model" in card
        and certificate.runtime in card
    )
    with pytest.raises(UserError, match="exists already"):
        export(run, "hf", tmp_path / "out")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from helpers.explain_runs import small_run

    return small_run(tmp_path_factory.mktemp("run"), "gpt")
