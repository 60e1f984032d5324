"""Numbers of the lab's answers, for every family, against the recorder and the engine."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

import glassgpt as gg
from glassgpt.explain import held_out_prompt
from glassgpt.hooks import logit_lens, patch
from glassgpt.lab import app, studio
from glassgpt.lab.traced import Traced, UnknownTensor
from glassgpt.lens import Trace
from helpers.lab_runs import client

FAMILIES = {
    "text": "gpt",
    "dates": "seq2seq",
    "scenes": "captioner",
    "encoder": "encoder",
    "bigram": "bigram",
}
PATCH = {"text": "b", "state": "blocks.0.resid_post", "source": 0, "position": 0}
TEXT = {"text": "the moon", "encoder": "the m[?]n", "bigram": "the moon"}


def prompt(runs: Path, name: str) -> dict[str, Any]:
    return {"text": TEXT[name]} if name in TEXT else held_out_prompt(runs / name)


def recorded(runs: Path, name: str, **more: Any) -> tuple[Trace, Any, Any]:
    model, tokenizer = gg.load_run(runs / name)
    return gg.trace(model, tokenizer, **prompt(runs, name), pattern="*", **more), model, tokenizer


def header_of(lab: TestClient, id: str, runs: Path, name: str, **more: Any) -> dict[str, Any]:
    answer = lab.post(f"/api/runs/{id}/trace", json={"text": prompt(runs, name)["text"], **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def tensor(lab: TestClient, header: dict[str, Any], name: str, head: int | None = None) -> torch.Tensor:
    info = next(each for each in header["tensors"] if each["name"] == name)
    answer = lab.get(f"/api/traces/{header['id']}/{name}", params={} if head is None else {"head": head})
    assert answer.status_code == 200, answer.text
    shape = info["shape"] if head is None else info["shape"][1:]
    return torch.from_numpy(np.frombuffer(answer.content, "<f4").reshape(shape).copy())


@pytest.mark.parametrize("name", FAMILIES)
def test_each_recorded_number_is_handed_out_exactly(
    lab: TestClient, ids: dict[str, str], lab_runs: Path, name: str
) -> None:
    header = header_of(lab, ids[name], lab_runs, name)
    expected, _, _ = recorded(lab_runs, name)
    assert header["family"] == FAMILIES[name]
    assert [token["text"] for token in header["tokens"]] == list(expected.tokens)
    assert {each["name"] for each in header["tensors"]} >= set(expected.tensors)
    for each, value in expected.tensors.items():
        assert torch.equal(tensor(lab, header, each), value.float()), each
    assert [each["path"] for each in header["attentions"]] == list(expected.attentions)


@pytest.mark.parametrize("name", ["text", "dates", "scenes", "encoder"])
def test_derived_tensors_fit_the_recorded_ones(
    lab: TestClient, ids: dict[str, str], lab_runs: Path, name: str
) -> None:
    header = header_of(lab, ids[name], lab_runs, name)
    expected, model, _ = recorded(lab_runs, name)
    last = max(
        each for each in expected.tensors if each.startswith("blocks.") and each.endswith("resid_post")
    )
    assert torch.equal(tensor(lab, header, f"lens.{last}"), tensor(lab, header, "logits"))
    state = {"blocks.0.resid_pre": expected.tensors["blocks.0.resid_pre"][None]}
    lens = logit_lens(model, state)["blocks.0.resid_pre"][0]
    assert torch.equal(tensor(lab, header, "lens.blocks.0.resid_pre"), lens)
    for attention in header["attentions"]:
        path = attention["path"]
        x, matrix = tensor(lab, header, f"{path}.x"), tensor(lab, header, f"weights.{path}.qkv")
        H, D = attention["heads"], attention["d_head"]
        seen: list[torch.Tensor] = []
        hook = model.get_submodule(path).register_forward_pre_hook(lambda _, given: seen.append(given[0]))  # noqa: B023
        recorded_again = gg.trace(model, gg.load_run(lab_runs / name)[1], **prompt(lab_runs, name))
        hook.remove()
        assert recorded_again.tokens and torch.equal(seen[-1][0], x), path
        assert matrix.shape[1] == x.shape[1] and matrix.shape[0] >= H * D


def test_one_head_is_a_slice_of_all(lab: TestClient, ids: dict[str, str], lab_runs: Path) -> None:
    header = header_of(lab, ids["text"], lab_runs, "text")
    whole = tensor(lab, header, "blocks.0.attn.weights")
    for head in range(len(whole)):
        assert torch.equal(tensor(lab, header, "blocks.0.attn.weights", head), whole[head])
    url = f"/api/traces/{header['id']}"
    for path in (f"{url}/blocks.0.attn.weights?head={len(whole)}", f"{url}/logits?head=0", f"{url}/nothing"):
        answer = lab.get(path)
        assert answer.status_code == 404 and answer.json()["error"].endswith(".")
    assert lab.get("/api/traces/0/logits").status_code == 404
    assert issubclass(UnknownTensor, gg.UserError)


def test_edits_are_those_of_the_library(lab: TestClient, ids: dict[str, str], lab_runs: Path) -> None:
    edits = {"ablate": [[0, 1]], "mlps": [1]}
    header = header_of(lab, ids["text"], lab_runs, "text", edits=edits)
    changes = {"blocks.0.attn.heads": gg.zero_heads(1), "blocks.1.mlp.out": torch.zeros_like}
    expected, _, _ = recorded(lab_runs, "text", edits=changes)
    plain, _, _ = recorded(lab_runs, "text")
    assert torch.equal(tensor(lab, header, "logits"), expected.tensors["logits"])
    assert not torch.equal(expected.tensors["logits"], plain.tensors["logits"])


def test_a_patch_is_the_librarys(lab: TestClient, ids: dict[str, str], lab_runs: Path) -> None:
    state, other = "blocks.0.resid_post", "the sun sees"
    patches = [{"text": other, "state": state, "source": 4 + at, "position": at} for at in (3, 5)]
    header = header_of(lab, ids["text"], lab_runs, "text", edits={"patches": patches})
    model, tokenizer = gg.load_run(lab_runs / "text")
    value = gg.trace(model, tokenizer, other).tensors[state][None]
    expected, _, _ = recorded(lab_runs, "text", edits={state: patch(value, {3: 7, 5: 9})})
    assert torch.equal(expected.tensors[state][3], value[0, 7])
    assert torch.equal(tensor(lab, header, "logits"), expected.tensors["logits"])


def test_a_patch_from_the_same_text_changes_nothing(
    lab: TestClient, ids: dict[str, str], lab_runs: Path
) -> None:
    for name, state in (("text", "blocks.1.resid_mid"), ("dates", "encoder.blocks.0.resid_post")):
        text = prompt(lab_runs, name)["text"]
        plain, _, tokenizer = recorded(lab_runs, name)
        patches = [{"text": text, "state": state, "source": 2, "position": 2}]
        target = {"target": tokenizer.decode(plain.ids[plain.n_prompt :])} if name == "dates" else {}
        header = header_of(lab, ids[name], lab_runs, name, edits={"patches": patches}, **target)
        assert torch.equal(tensor(lab, header, "logits"), plain.tensors["logits"])


def test_a_new_token_is_another_text(lab: TestClient, ids: dict[str, str], lab_runs: Path) -> None:
    tokenizer = gg.Run(lab_runs / "text").tokenizer()
    other = tokenizer.encode("the noon")
    header = header_of(lab, ids["text"], lab_runs, "text", edits={"tokens": [[4, other[4]]]})
    plain = gg.trace(*gg.load_run(lab_runs / "text"), "the noon", pattern="*")
    assert [token["id"] for token in header["tokens"]] == other
    assert [each["id"] for each in header["next_tokens"] if each] == other[1:]
    assert torch.equal(tensor(lab, header, "logits"), plain.tensors["logits"])


def test_traces_that_are_dropped_leave_the_memory(
    lab: TestClient, ids: dict[str, str], lab_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that changes one thing after the other makes a trace each time."""
    made: list[weakref.ref[Traced]] = []

    class Watched(Traced):
        def __init__(self, *trace: Any, **about: Any) -> None:
            super().__init__(*trace, **about)
            made.append(weakref.ref(self))

    monkeypatch.setattr(studio, "Traced", Watched)
    monkeypatch.setattr(studio, "MAX_TRACE_BYTES", 0)
    for name in ("lens.blocks.0.resid_post", "blocks.0.attn.x", "loss"):
        tensor(lab, header_of(lab, ids["text"], lab_runs, "text"), name)
    gc.disable()
    try:
        header_of(lab, ids["text"], lab_runs, "text")
        assert [each() is None for each in made] == [True, True, False, False]  # a text, and a change of it
    finally:
        gc.enable()


def test_without_scale_and_mask(lab: TestClient, ids: dict[str, str], lab_runs: Path) -> None:
    plain = header_of(lab, ids["text"], lab_runs, "text")
    D = plain["d_head"]
    unscaled = header_of(lab, ids["text"], lab_runs, "text", edits={"scale": False})
    scores = tensor(lab, plain, "blocks.0.attn.scores")
    torch.testing.assert_close(tensor(lab, unscaled, "blocks.0.attn.scores"), scores * D**0.5)
    open_ = header_of(lab, ids["text"], lab_runs, "text", edits={"mask": False})
    torch.testing.assert_close(tensor(lab, open_, "blocks.0.attn.weights"), scores.softmax(-1))
    assert tensor(lab, plain, "blocks.0.attn.weights")[0, 0, 1:].abs().max() == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"text": ""}, "empty"),
        ({"text": "a" * 5000}, "tokens"),
        ({"text": "a", "edits": {"ablate": [[9, 0]]}}, "blocks.9.attn"),
        ({"text": "a", "edits": {"ablate": [[0, 99]]}}, "99"),
        ({"text": "a", "edits": {"ablate": [0]}}, "pair"),
        ({"text": "a", "edits": {"zap": 1}}, "zap"),
        ({"text": "a", "edits": {"tokens": [[0, "x"]]}}, "pair"),
        ({"text": "a", "edits": {"tokens": [[1, 0]]}}, "position 1"),
        ({"text": "a", "edits": {"tokens": [[0, 10**6]]}}, "1000000"),
        ({"text": "a", "edits": {"patches": 1}}, "list"),
        ({"text": "a", "edits": {"patches": [{"text": "b"}]}}, "state"),
        ({"text": "a", "edits": {"patches": [PATCH | {"state": "logits"}]}}, "logits is no state"),
        ({"text": "a", "edits": {"patches": [PATCH | {"position": 9}]}}, "no position 9"),
        ({"text": "a", "edits": {"patches": [PATCH | {"source": 1}]}}, "no position 1"),
        ({"text": "a", "step": 7}, "saved step"),
        ({"text": "a", "image": "AAAA"}, "images"),
        ({"text": "a", "hide": "a"}, "hide"),
        ({"text": "a", "txt": "a"}, "txt"),
        ({}, "text"),
    ],
)
def test_unusable_prompts_get_a_sentence(
    lab: TestClient, ids: dict[str, str], body: dict[str, Any], words: str
) -> None:
    answer = lab.post(f"/api/runs/{ids['text']}/trace", json=body)
    assert answer.status_code == 400 and words in answer.json()["error"]


SETTINGS = [
    {"temperature": 1.0},
    {"temperature": 0.0},
    {"temperature": 0.7, "top_k": 5},
    {"temperature": 1.3, "top_p": 0.9},
    {"temperature": 1.0, "min_p": 0.1, "repetition_penalty": 1.2},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_next_tokens_are_those_of_the_engine(
    lab: TestClient, ids: dict[str, str], lab_runs: Path, settings: dict[str, Any]
) -> None:
    model, tokenizer = gg.load_run(lab_runs / "text")
    start = tokenizer.encode("the moon")
    n = model.config.block_size  # so that the context slides
    for seed in (0, 7):
        request = gg.Request(start, gg.SamplingParams(**settings), max_new_tokens=n, seed=seed)
        expected = [token.id for token in gg.Engine(model).stream(request)]
        text = list(start)
        for id in expected:
            body = {"ids": text, "n_prompt": len(start), "seed": seed, **settings}
            drawn = lab.post(f"/api/runs/{ids['text']}/next", json=body).json()
            assert drawn["token"] == id and drawn["k"] == len(text) - len(start)
            text.append(id)


def test_logits_and_number_give_the_token(lab: TestClient, ids: dict[str, str]) -> None:
    body = {"ids": [10, 11, 12], "seed": 5, "temperature": 0.8}
    drawn = lab.post(f"/api/runs/{ids['text']}/next", json=body).json()
    logits = torch.from_numpy(np.frombuffer(base64.b64decode(drawn["logits"]), "<f4").copy())
    p = (logits / 0.8).double().softmax(-1)
    assert int(torch.searchsorted(p.cumsum(-1), drawn["u"], right=True)) == drawn["token"]
    assert drawn["greedy"] == int(logits.argmax())
    assert abs(p[drawn["token"]].item() - drawn["probability"]) < 1e-5


@pytest.mark.parametrize("name", ["dates", "scenes"])
def test_next_tokens_write_the_traced_answer(
    lab: TestClient, ids: dict[str, str], lab_runs: Path, name: str
) -> None:
    header = header_of(lab, ids[name], lab_runs, name)
    text = [token["id"] for token in header["tokens"]]
    n = header["n_prompt"]
    body = {"seed": 0, "temperature": 0, "text": prompt(lab_runs, name)["text"], "n_prompt": n}
    for i in range(n, len(text)):
        drawn = lab.post(f"/api/runs/{ids[name]}/next", json={**body, "ids": text[:i]}).json()
        assert drawn["token"] == text[i]


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("encoder", {"ids": [1], "seed": 0}, "writes no text"),
        ("text", {"ids": [10**6], "seed": 0}, "ids"),
        ("text", {"ids": [], "seed": 0}, "ids"),
        ("text", {"ids": [1], "n_prompt": 2}, "n_prompt"),
        ("text", {"ids": [1], "temperature": -1}, "temperature"),
        ("text", {"ids": [1], "top_p": 2}, "top_p"),
    ],
)
def test_unusable_draws_get_a_sentence(
    lab: TestClient, ids: dict[str, str], name: str, body: dict[str, Any], words: str
) -> None:
    answer = lab.post(f"/api/runs/{ids[name]}/next", json=body)
    assert answer.status_code == 400 and words in answer.json()["error"]


def test_runs_and_their_details(lab: TestClient, ids: dict[str, str], lab_runs: Path) -> None:
    assert set(ids) == set(FAMILIES)
    details = lab.get(f"/api/runs/{ids['encoder']}").json()
    run = gg.Run(lab_runs / "encoder")
    assert details["loss"] == run.summary().nats_per_char and details["steps"] == 3
    assert [point[0] for point in details["curve"]["training"]] == [1, 2, 3]
    assert details["steps_saved"] == run.saved_steps()
    assert {row["name"] for row in details["ladder"]} >= {"uniform", "unigram"}
    verdict = run.verdict()
    assert verdict is not None and details["verdict"]["sentence"] == verdict.sentence
    assert details["verdict"]["rows"] == [list(row) for row in verdict.table().rows]
    labels = lab.get(f"/api/runs/{ids['encoder']}/vocabulary").json()["labels"]
    assert len(labels) == run.tokenizer().n_vocab
    assert any(name == "n_layer" and value == "2" for name, value, _ in details["settings"])


def test_an_earlier_step_has_other_weights(lab: TestClient, ids: dict[str, str], lab_runs: Path) -> None:
    run = gg.Run(lab_runs / "bigram")
    for step in run.saved_steps():
        header = header_of(lab, ids["bigram"], lab_runs, "bigram", step=step)
        model = run.model(step=step)
        expected = model(torch.tensor([[token["id"] for token in header["tokens"]]]))[0]
        torch.testing.assert_close(tensor(lab, header, "logits"), expected)


def test_events_of_a_run_that_trains(lab_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(lab_runs / "bigram", tmp_path / "live")
    run = gg.Run(tmp_path / "live")
    monkeypatch.setattr(app, "POLL_S", 0.01)
    monkeypatch.setattr(app, "STATUS_S", 0)
    locked = [True, True, False]
    monkeypatch.setattr(app, "is_locked", lambda path: locked.pop(0))

    async def read() -> list[list[dict[str, Any]]]:
        found = []
        async for message in app._events(run):
            assert message.startswith("data: ") and message.endswith("\n\n")
            found.append(json.loads(message[6:]))
            if len(found) == 1:
                with run.metrics_file.open("a", encoding="utf-8") as file:
                    file.write('{"event": "step", "step": 4}\nnonsense\n{"event": "st')  # half a line
        return found

    first, *others = asyncio.run(read())
    assert first == [{"event": "status", "status": "training"}]
    assert [row for rows in others for row in rows] == [
        {"event": "step", "step": 4},
        {"event": "status", "status": "stopped"},
    ]


def test_a_training_without_a_saved_step_has_a_page(
    lab_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(lab_runs / "bigram", tmp_path / "runs" / "young")
    shutil.rmtree(tmp_path / "runs" / "young" / "checkpoints")
    monkeypatch.setattr("glassgpt.checkpoint.summary.is_locked", lambda path: True)
    here = client(tmp_path / "runs", tmp_path / "page")
    row = here.get("/api/runs").json()["runs"][0]
    assert row["state"] == "training" and not row["can_trace"]
    details = here.get(f"/api/runs/{row['id']}")
    assert details.status_code == 200 and details.json()["curve"]["training"]
