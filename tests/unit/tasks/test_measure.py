"""The verdict's measurement against a plain loop over tokens, and what the verdict says about it."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest
import torch
from torch import Tensor

from glassgpt.checkpoint import Run, summarize
from glassgpt.config import DataConfig, RunConfig
from glassgpt.data import LEAK_NOTE, read_corpus
from glassgpt.diagnose import Score, Verdict
from glassgpt.errors import UserError
from glassgpt.models import Model
from glassgpt.safe_io import read_json
from glassgpt.tasks.language import LanguageData
from glassgpt.tasks.masked import MaskedData
from glassgpt.train import Evaluated, Session, start
from glassgpt.train.autopilot.facts import count_parts
from glassgpt.train.autopilot.forecast import whole_loss
from helpers import conversations

TEXT = "".join(f"{i} geese, {i * 7 % 31} swañs, {i * 5 % 13} ashore.\n" for i in range(1000))


def trained(source: Path, out: Path, steps: int = 3, **model: object) -> Session:
    tables = {
        "data": {"sources": [str(source)]},
        "tokenizer": {"kind": model.pop("tokenizer", "char"), "vocab_size": 300},
        "model": {"size": "nano", "n_layer": 1, "block_size": 32, **model},
        "train": {"steps": steps, "evals": 2, "sample_tokens": 0},
    }
    session = start(RunConfig.model_validate(tables), out)
    list(session.run())
    return session


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text(TEXT, "utf-8")
    return tmp_path / "text.txt"


def nats_of(model: Model, tokens: Tensor, targets: Tensor) -> Tensor:
    """−ln p of each target: (T,)."""
    with torch.no_grad():
        return -model.predict(tokens[None]).log_softmax(-1)[0, torch.arange(len(targets)), targets]


@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_each_token_is_predicted_from_half_a_block(text: Path, tmp_path: Path, tokenizer: str) -> None:
    session = trained(text, tmp_path / "run", tokenizer=tokenizer)
    data, model = session.data, session.folder.model()
    assert isinstance(data, LanguageData)
    ids = torch.tensor([*data.data.train.ids[-32:].tolist(), *data.data.val.ids.tolist()])
    nats = 0.0
    for first in range(32, len(ids), 16):
        targets = ids[first - 16 : first + 16]
        tokens = ids[first - 17 : first - 17 + len(targets)]
        nats += nats_of(model, tokens, targets)[16:].sum().item()
    score = session.verdict().model
    assert isinstance(score, Score)
    assert score.total_nats == pytest.approx(nats, rel=1e-5)
    assert sum(part or 0 for part in score.parts) == pytest.approx(nats, rel=1e-4)
    assert (score.n_chars, score.n_bytes) == (data.val.n_chars, data.val.n_bytes)
    assert any("17 or more tokens before it" in note for note in session.verdict().notes)
    assert any("best step of 2 evaluations" in note for note in session.verdict().notes)


def test_a_part_of_the_split_is_compared_on_that_part(text: Path, tmp_path: Path) -> None:
    session = trained(text, tmp_path / "run")
    data, model = session.data, session.folder.model()
    assert isinstance(data, LanguageData)
    whole = data.measure(model)
    data.verdict_stride = 3
    part = data.measure(model)
    assert [p for p in part.parts if p is not None] == pytest.approx(whole.parts[::3], rel=1e-3)
    assert part.n_chars == pytest.approx(data.val.n_chars / 3, rel=0.1) and part.n_bytes > part.n_chars
    found = data.verdict(lambda: model)
    assert {row.n_chars for row in found.rows} == {part.n_chars}  # pyright: ignore
    assert any(f"on {-(-len(whole.parts) // 3)} of {len(whole.parts)} equal parts" in n for n in found.notes)


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """Text with stretches of random digits, so that parts of it are harder or easier than all."""
    draw = random.Random(1)
    stretches = [
        "".join(draw.choices("0123456789", k=1600)) if draw.random() < 0.5 else TEXT[:1600]
        for _ in range(160)
    ]
    (tmp_path / "uneven.txt").write_text("".join(stretches), "utf-8")
    return tmp_path / "uneven.txt"


def test_a_part_tells_the_loss_of_the_whole(uneven: Path, tmp_path: Path) -> None:
    session = trained(uneven, tmp_path / "run", steps=60)
    data, model = session.data, session.folder.model()
    assert isinstance(data, LanguageData)
    whole = data.measure(model).nats_per_char
    read, told = [], []
    for data.verdict_stride in (3, 5, 6, 7):
        found = data.verdict(lambda: model)
        assert isinstance(found.model, Score) and found.whole is not None and found.loss == found.whole
        assert any(f"about {found.whole:.3f}" in note for note in found.notes)
        assert Verdict.from_dict(found.to_dict()).whole == found.whole
        read.append(math.log(found.model.nats_per_char / whole))
        told.append(math.log(found.whole / whole))
    assert math.hypot(*read) > 3 * math.hypot(*told)


def test_a_verdict_on_the_whole_needs_no_estimate(text: Path, tmp_path: Path) -> None:
    verdict = trained(text, tmp_path / "run").verdict()
    assert isinstance(verdict.model, Score)
    assert verdict.whole is None and verdict.loss == verdict.model.nats_per_char


def test_an_evaluation_tells_the_verdict(uneven: Path, tmp_path: Path) -> None:
    """With the context of the verdict and the profile of the text, a part of it tells the loss of all."""
    session = trained(uneven, tmp_path / "run", steps=60)
    data, learner = session.data, session.trainer.learner
    assert isinstance(data, LanguageData)
    _, profile = count_parts(read_corpus(DataConfig(sources=(str(uneven),))))
    assert profile is not None
    data.measures_context = True
    exact = data.measure(learner.model).nats_per_char
    read, told = [], []
    for stride in (5, 7, 9, 11, 13, 17):
        measured = learner.measure(data, stride)
        assert measured.n_saved > 100
        event = Evaluated.of(measured, data.val, step=60, best=math.inf, seconds=0.1)
        read.append(math.log(event.nats_per_char / exact))
        told.append(math.log(whole_loss(event, profile.scale(*data.eval_targets(stride))) / exact))
    assert math.hypot(*read) > 2 * math.hypot(*told)


def test_each_gap_is_filled_from_both_sides(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = trained(text, tmp_path / "run", family="encoder")
    data, model = session.data, session.folder.model()
    assert isinstance(data, MaskedData)
    ids, hidden = torch.tensor(data.data.val.ids.tolist()), torch.tensor(data.hidden)
    shown, nats = ids.masked_fill(hidden, data.mask_id), 0.0
    for first in range(0, len(ids), 16):
        begin = min(max(first - 8, 0), len(ids) - 32)
        losses = nats_of(model, shown[begin : begin + 32], ids[begin : begin + 32])
        counted = hidden[begin : begin + 32].clone()
        counted[: first - begin] = False
        counted[first - begin + 16 :] = False
        nats += losses[counted].sum().item()
    score = data.measure(model)
    assert score.total_nats == pytest.approx(nats, rel=1e-5)
    monkeypatch.setattr(MaskedData, "verdict_parts", lambda self: range(0, len(score.parts), 2))
    half = data.measure(model)
    assert half.total_nats == pytest.approx(sum((whole or 0) for whole in score.parts[::2]), rel=1e-3)


def test_a_conversation_is_one_sequence(tmp_path: Path) -> None:
    source = conversations.write(tmp_path / "chat.jsonl", 60)
    session = trained(source, tmp_path / "run", block_size=256)
    found = session.verdict()
    assert isinstance(found.model, Score)
    assert found.model.nats_per_char == pytest.approx(session.trainer.best, rel=1e-5)
    assert all(len(row.parts) == len(found.model.parts) for row in found.scores if row.kind == "ngram")


def test_no_verdict_without_a_step(text: Path, tmp_path: Path) -> None:
    session = trained(text, tmp_path / "run")
    session.trainer.step, session._verdict = 0, None
    with pytest.raises(UserError, match="no step was evaluated"):
        session.verdict()


def test_label_smoothing_does_not_change_the_loss_that_is_shown(text: Path, tmp_path: Path) -> None:
    tables = {
        "data": {"sources": [str(text)]},
        "model": {"size": "nano", "n_layer": 1},
        "train": {"steps": 1, "label_smoothing": 0.5, "sample_tokens": 0},
    }
    session = start(RunConfig.model_validate(tables), tmp_path / "run")
    losses = [event.loss for event in session.run() if event.kind == "step"]  # pyright: ignore
    assert losses == pytest.approx([math.log(session.data.tokenizer.n_vocab)], abs=0.05)


def test_a_leak_is_a_note_of_the_verdict_and_of_the_list_of_runs(text: Path, tmp_path: Path) -> None:
    whole = text.read_text()
    copied = tmp_path / "copied.txt"
    copied.write_text(
        whole + "".join(whole[i * 500 : i * 500 + 190] + "\n" for i in range(len(whole) // 1500))
    )
    session = trained(copied, tmp_path / "run")
    leak = next(note for note in session.verdict().notes if note.startswith(LEAK_NOTE))
    assert leak in read_json(tmp_path / "run/verdict.json")["notes"]
    assert leak in read_json(tmp_path / "run/baselines.json")["notes"]
    assert read_json(tmp_path / "run/data/manifest.json")["leakage"]["share"] > 0.5
    assert summarize(Run(tmp_path / "run")).leak == leak


def test_a_part_of_a_chat_whose_replies_the_context_cuts_is_compared(tmp_path: Path) -> None:
    """Replies without an end count one character less than those of the baselines."""
    chat = tmp_path / "chat.jsonl"
    rows = ({"prompt": f"{i}?", "completion": f"{i} geese and {i * 7 % 31} swans. " * 4} for i in range(900))
    chat.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    session = trained(chat, tmp_path / "run")
    session.data.verdict_stride = 2
    verdict = session.data.verdict(session.folder.model)
    assert verdict.rows and verdict.model is not None and None in verdict.model.parts
