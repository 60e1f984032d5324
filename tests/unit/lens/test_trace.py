"""Traces: what is kept of a run through a model, on disk, on the wire, and by head."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from glassgpt.checkpoint import Run
from glassgpt.config import ModelConfig
from glassgpt.data import open_examples
from glassgpt.errors import UserError
from glassgpt.explain.context import BUILTIN
from glassgpt.hooks import record
from glassgpt.lens import Trace, clearest_head, describe_heads, trace
from glassgpt.models import build
from glassgpt.tokenizers import train_tokenizer

MARCH = "de: 14. März 2024"


@pytest.fixture(scope="module")
def dates() -> Trace:
    run = Run.open(BUILTIN / "dates")
    return trace(run.model(), run.tokenizer(), MARCH)


@pytest.fixture(scope="module")
def text() -> Trace:
    run = Run.open(BUILTIN / "text")
    return trace(run.model(), run.tokenizer(), "To be, or not to be")


def test_a_translation_is_written_and_labeled(dates: Trace) -> None:
    assert "".join(dates.source) == MARCH
    assert "".join(dates.next_tokens) == "2024-03-14<eos>" and dates.tokens[0] == "<bos>"
    assert dates.labels("blocks.0.cross_attn") == (dates.next_tokens, dates.source)
    assert dates.labels("encoder.blocks.0.attn") == (dates.source, dates.source)
    assert dates.weights(0, kind="cross").shape == (4, 11, 17)
    torch.testing.assert_close(dates.weights(1, 2, "cross").sum(-1), torch.ones(11))


def test_what_is_kept_is_what_the_model_computed(text: Trace) -> None:
    run = Run.open(BUILTIN / "text")
    model, ids = run.model(), run.tokenizer().encode("To be, or not to be")
    with torch.inference_mode(), record(model) as seen:
        logits = model(torch.tensor([ids]))
    assert torch.equal(text.tensors["logits"], logits[0])
    assert torch.equal(text.tensors["blocks.1.attn.weights"], seen["blocks.1.attn.weights"][0])
    assert text.logit_lens is not None
    likeliest = [run.tokenizer().decode([id]) for id in logits[0].argmax(-1).tolist()]
    assert list(text.logit_lens.tokens[-1]) == likeliest
    assert text.next_tokens == (*text.tokens[1:], "")


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_a_trace_survives_disk_and_wire(dates: Trace, tmp_path: Path, precision: str) -> None:
    path = dates.save(tmp_path / "deep" / "march.safetensors", precision)
    read, sent = Trace.load(path), Trace.from_bytes(dates.to_bytes(precision))
    assert read.header() == dates.header() == sent.header()
    assert list(read.tensors) == list(dates.tensors)
    for name, tensor in dates.tensors.items():
        expected = tensor if precision == "float32" else tensor.half()
        assert torch.equal(read.tensors[name], expected) and torch.equal(sent.tensors[name], expected), name
    assert list(tmp_path.rglob("*")) == [path.parent, path]


def test_anyone_can_read_the_file(dates: Trace, tmp_path: Path) -> None:
    """With nothing but the layout of safetensors: a length, JSON, numbers."""
    data = dates.save(tmp_path / "march.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    about = json.loads(header["__metadata__"]["trace"])
    assert about["tokens"][0] == "<bos>" and about["config"]["family"] == "seq2seq"
    entry = header["blocks.0.cross_attn.weights"]
    assert entry["dtype"] == "F16" and entry["shape"] == about["shapes"]["blocks.0.cross_attn.weights"]
    start, end = entry["data_offsets"]
    weights = np.frombuffer(data[8 + size + start : 8 + size + end], np.float16).reshape(entry["shape"])
    np.testing.assert_allclose(weights.sum(-1), 1, atol=2e-3)


def test_a_layer_or_a_head_can_be_read_alone(dates: Trace, tmp_path: Path) -> None:
    path = dates.save(tmp_path / "march.safetensors", "float32")
    alone = Trace.load(path, "blocks.1.cross_attn.*", head=2)
    assert alone.tensors["blocks.1.cross_attn.weights"].shape == (1, 11, 17)
    assert alone.tensors["blocks.1.cross_attn.out"].shape == (11, 64)
    assert torch.equal(alone.tensors["blocks.1.cross_attn.weights"][0], dates.weights(1, 2, "cross"))
    assert all(name.startswith("blocks.1.cross_attn.") for name in alone.tensors)
    with pytest.raises(UserError, match="no head 9"):
        Trace.load(path, head=9)
    with pytest.raises(UserError, match=r"nothing in .* fits"):
        Trace.load(path, "blocks.7.*")
    assert len(repr(dates).splitlines()) == len(dates.tensors) + 1
    assert list(dates.select("blocks.1.cross_attn.*", 2).tensors) == list(alone.tensors)


def test_what_half_precision_cannot_hold_stays_whole(dates: Trace) -> None:
    large = Trace({"blocks.0.resid_post": torch.full((1, 2), 1e5)}, ("a",))
    assert Trace.from_bytes(large.to_bytes()).tensors["blocks.0.resid_post"].tolist() == [[1e5, 1e5]]
    masked = Trace.from_bytes(dates.to_bytes()).tensors["blocks.0.attn.masked_scores"]
    assert masked.dtype == torch.float16 and masked[0, 0, 1] == -torch.inf


@pytest.mark.parametrize("damage", ["cut", "text", "missing", "no header"])
def test_what_is_no_trace_is_refused(dates: Trace, tmp_path: Path, damage: str) -> None:
    path = dates.save(tmp_path / "march.safetensors")
    match damage:
        case "cut":
            path.write_bytes(path.read_bytes()[:1000])
        case "text":
            path.write_text("a trace", "utf-8")
        case "missing":
            path.unlink()
        case "no header":
            from safetensors.torch import save_file

            save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="no trace"):
        Trace.load(path)
    if damage in ("cut", "text"):
        with pytest.raises(UserError, match="no trace"):
            Trace.from_bytes(path.read_bytes())


def test_a_trace_of_six_layers_is_small_and_quick(tmp_path: Path) -> None:
    """The bar: 6 layers × 6 heads × 384 at T = 64 in at most 4 MB and 0.2 s (the best of five here)."""
    tokenizer = train_tokenizer("char", ["abcdefghij"])
    model = build(ModelConfig(n_layer=6, n_head=6, n_embd=384, block_size=64), tokenizer.n_vocab)
    seen = trace(model, tokenizer, "abcdefghij" * 6 + "abcd")
    seconds = []
    for _ in range(5):
        start = time.process_time()
        path = seen.save(tmp_path / "six.safetensors")
        seconds.append(time.process_time() - start)
    assert len(seen.tokens) == 64 and len(seen.attentions) == 6
    assert path.stat().st_size <= 4e6
    assert min(seconds) <= 0.2


def test_an_answer_that_never_ends_is_cut_where_the_context_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.open(BUILTIN / "dates")
    model, tokenizer = run.model(), run.tokenizer()
    endless = "1" * model.config.block_size
    monkeypatch.setattr("glassgpt.tasks.translation.translate", lambda *_, **__: iter([endless]))
    assert trace(model, tokenizer, MARCH).next_tokens == tuple(endless)
    with pytest.raises(UserError, match="the answer with its prompt has"):
        trace(model, tokenizer, MARCH, target=endless)


def test_hiding_a_part_of_the_source_changes_what_is_written(dates: Trace) -> None:
    run = Run.open(BUILTIN / "dates")
    hidden = trace(run.model(), run.tokenizer(), MARCH, hide="März")
    written = "".join(hidden.next_tokens)
    assert written[:4] == "2024" and written[8:10] == "14" and written[5:7] != "03"
    columns = slice(MARCH.index("März"), MARCH.index("März") + 4)
    for layer in range(2):
        assert not hidden.weights(layer, kind="cross")[:, :, columns].any()
    assert dates.weights(1, kind="cross")[:, 5, columns].sum() > 3  # unhidden, all four heads look there
    with pytest.raises(UserError, match="does not occur"):
        trace(run.model(), run.tokenizer(), MARCH, hide="April")
    with pytest.raises(UserError, match="the whole text"):
        trace(run.model(), run.tokenizer(), MARCH, hide=MARCH)


def test_an_image_and_its_patches_are_kept() -> None:
    run = Run.open(BUILTIN / "scenes")
    pixels = open_examples(run.data).val.images[0]
    seen = trace(run.model(), run.tokenizer(), "what is at the top left?", image=pixels)
    assert seen.image is not None and np.array_equal(seen.image.numpy(), pixels)
    assert seen.source[:5] == ("1,1", "1,2", "1,3", "1,4", "2,1") and len(seen.source) == 16
    assert seen.tokens[seen.n_prompt - 1] == "<sep>" and len(seen.answer[0]) == 1
    assert Trace.from_bytes(seen.to_bytes()).tensors["image"].dtype == torch.uint8


def test_a_classifier_a_masked_encoder_and_a_bigram_can_be_looked_into() -> None:
    tokenizer = train_tokenizer("char", ["abc def"], specials=("<mask>",))
    V = tokenizer.n_vocab
    masked = trace(build(ModelConfig(family="encoder", size="nano"), V), tokenizer, "ab[?] d")
    assert masked.tokens == ("a", "b", "<mask>", " ", "d") and masked.kinds.keys() == {"attn"}
    labeled = build(ModelConfig(family="encoder", size="nano", labels=("x", "y")), V)
    assert trace(labeled, tokenizer, "abc").tensors["logits"].shape == (1, 2)
    bigram = trace(build(ModelConfig(family="bigram"), V), tokenizer, "abc")
    assert list(bigram.tensors) == ["logits"] and bigram.attentions == ()
    with pytest.raises(UserError, match="no attention"):
        bigram.weights(0)


@pytest.mark.parametrize(
    ("words", "message"),
    [({"text": ""}, "nothing to look at"), ({"text": "a" * 65}, "sees 64"), ({"hide": "a"}, "no source")],
)
def test_what_cannot_be_looked_at_is_said(words: dict[str, str], message: str) -> None:
    run = Run.open(BUILTIN / "text")
    with pytest.raises(UserError, match=message):
        trace(run.model(), run.tokenizer(), **{"text": "abc", **words})


def test_layers_and_heads_that_are_not_there_are_named(dates: Trace) -> None:
    with pytest.raises(UserError, match="cross with layers 0 to 1"):
        dates.weights(2, 0)
    with pytest.raises(UserError, match="numbered from 0 to 3"):
        dates.weights(0, 4)


def test_heads_are_described_by_where_they_look() -> None:
    """A head of each kind, drawn by hand: the place before, itself, the first, and everywhere."""
    T = 5
    before = torch.eye(T).roll(1, 0)
    before[0] = torch.eye(T)[0]
    first = torch.zeros(T, T)
    first[:, 0] = 1
    even = torch.ones(T, T).tril() / torch.arange(1, T + 1)[:, None]
    weights = torch.stack([before, torch.eye(T), first, even])
    found = describe_heads(Trace({"blocks.0.attn.weights": weights}, tuple("abcde")))
    assert [round(each.previous or 0, 2) for each in found] == [1.0, 0.0, 0.25, 0.32]
    assert [round(each.itself or 0, 2) for each in found] == [0.0, 1.0, 0.0, 0.32]
    assert [round(each.first or 0, 2) for each in found] == [0.25, 0.0, 1.0, 0.32]
    assert [round(each.spread, 2) for each in found] == [1.0, 1.0, 1.0, 3.5]


def test_the_clearest_head_looks_at_one_place(dates: Trace) -> None:
    layer, head = clearest_head(dates, "cross")
    strongest = [dates.weights(i, kind="cross").amax(-1).mean(-1).max() for i in range(2)]
    assert dates.weights(layer, head, "cross").amax(-1).mean() == max(strongest)


GOLDEN = Path(__file__).parents[2] / "golden"
"""Traces of version 1, by the commands of their time."""


def test_a_trace_of_version_1_of_a_translation_loads(dates: Trace) -> None:
    old = Trace.load(GOLDEN / "trace_1_dates.safetensors")
    assert (old.tokens, old.next_tokens, old.source) == (dates.tokens, dates.next_tokens, dates.source)
    assert old.n_prompt == dates.n_prompt == 1 and old.answer == dates.answer
    assert old.attentions == ("encoder.blocks.0.attn", "blocks.1.cross_attn") and old.logit_lens is not None
    assert dates.logit_lens is not None and old.logit_lens.tokens[-1] == dates.logit_lens.tokens[-1]
    torch.testing.assert_close(
        old.weights(0, kind="cross"), dates.weights(1, kind="cross"), atol=1e-3, rtol=0
    )
    sent = Trace.from_bytes((GOLDEN / "trace_1_dates.safetensors").read_bytes())
    assert sent.header() == old.header() and sent.header()["version"] == 2
    assert sent.header()["shapes"] == {name: list(t.shape) for name, t in old.tensors.items()}


def test_a_trace_of_version_1_of_an_image_loads() -> None:
    path = GOLDEN / "trace_1_scenes.safetensors"
    old = Trace.load(path)
    assert old.image is not None and "vision_encoder.blocks.0.attn.weights" in old.tensors
    assert old.tokens[old.n_prompt - 1] == "<sep>" and len(old.answer) == 2
    alone = Trace.load(path, "vision_encoder.*", head=1)
    assert list(alone.tensors) == ["vision_encoder.blocks.0.attn.weights"]
    assert len(alone.tensors["vision_encoder.blocks.0.attn.weights"]) == 1


def test_a_trace_of_a_newer_version_is_refused(dates: Trace) -> None:
    data = dates.to_bytes()
    newer = data.replace(b'\\"version\\": 2', b'\\"version\\": 3', 1)
    assert newer != data
    with pytest.raises(UserError, match="update glassgpt"):
        Trace.from_bytes(newer)


def test_the_answer_comes_after_the_prompt(dates: Trace, text: Trace) -> None:
    assert dates.n_prompt == 1 and "".join(dates.answer) == "2024-03-14<eos>"
    assert text.n_prompt == len(text.tokens) and text.answer == ()
    assert Trace({}, ("a", "b")).n_prompt == 2
