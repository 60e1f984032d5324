"""Snapshots in the lab: traces, draws and samples of earlier steps, against recorder and engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

import glassgpt as gg
from glassgpt.generate import generate
from glassgpt.lab import studio

Rewound = tuple[TestClient, str, Path]
TEXT = "the moon"


def trace(rewound: Rewound, **body: Any) -> dict[str, Any]:
    lab, id, _ = rewound
    answer = lab.post(f"/api/runs/{id}/trace", json={"text": TEXT, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def logits(rewound: Rewound, header: dict[str, Any]) -> torch.Tensor:
    content = rewound[0].get(f"/api/traces/{header['id']}/logits").content
    return torch.from_numpy(np.frombuffer(content, "<f4").reshape(-1, header["vocab"]).copy())


def test_steps_have_the_loss_that_was_measured_there(rewound: Rewound) -> None:
    lab, id, folder = rewound
    run = gg.Run(folder)
    found = lab.get(f"/api/runs/{id}/snapshots").json()
    assert [each["step"] for each in found["snapshots"]] == gg.snapshot_steps(run)
    measured = {row["step"]: row["nats_per_char"] for row in run.metrics() if row["event"] == "eval"}
    losses = {each["step"]: each["loss"] for each in found["snapshots"]}
    assert losses[0] is None and losses[6] == pytest.approx(measured[6])
    assert len(found["curve"]["held_out"]) == len(measured)


def test_a_trace_of_a_snapshot_is_the_recorders(rewound: Rewound) -> None:
    run = gg.Run(rewound[2])
    for step in gg.snapshot_steps(run):
        expected = gg.trace(run.model(snapshot=step), run.tokenizer(), TEXT, pattern="*")
        header = trace(rewound, snapshot=step)
        assert torch.equal(logits(rewound, header), expected.tensors["logits"])
        assert expected.logit_lens is not None
        lens = [list(row) for row in expected.logit_lens.probabilities]
        assert header["logit_lens"]["probabilities"] == lens
        assert header["n_snapshots"] == len(gg.snapshot_steps(run))
    first, last = (logits(rewound, trace(rewound, snapshot=step)) for step in (0, 6))
    assert not torch.equal(first, last)


def test_a_sample_and_a_draw_are_the_engines(rewound: Rewound) -> None:
    lab, id, folder = rewound
    run = gg.Run(folder)
    ids = run.tokenizer().encode(TEXT)
    for step in (0, 6):
        body = {"ids": ids, "seed": 3, "snapshot": step, "temperature": 0.8}
        sampled = lab.post(f"/api/runs/{id}/sample", json={**body, "n": 90}).json()
        expected = list(
            generate(run.model(snapshot=step), ids, gg.SamplingParams(0.8), max_new_tokens=90, seed=3)
        )
        assert sampled["ids"] == expected and sampled["text"] == run.tokenizer().decode(expected)
        assert lab.post(f"/api/runs/{id}/next", json=body).json()["token"] == expected[0]


def test_the_map_is_the_pca_of_all_steps(rewound: Rewound) -> None:
    lab, id, folder = rewound
    run = gg.Run(folder)
    found = lab.get(f"/api/runs/{id}/embeddings").json()
    assert found["steps"] == gg.snapshot_steps(run) and found["n_vocab"] == run.tokenizer().n_vocab
    assert "".join(found["tokens"][:3]) and set(found["ids"]) == set(run.tokenizer().encode(text_of(run)))
    models = [run.model(snapshot=step) for step in found["steps"]]
    rows = np.stack(
        [dict(model.named_parameters())["wte.weight"].detach().numpy()[found["ids"]] for model in models]
    )
    centered = rows.astype("f8") - rows.astype("f8").mean((0, 1))
    _, sizes, axes = np.linalg.svd(centered.reshape(-1, centered.shape[-1]), full_matrices=False)
    expected, shown = centered @ axes[:2].T, np.array(found["points"])
    signs = np.sign((expected * shown).sum((0, 1)))  # an axis has no direction
    np.testing.assert_allclose(shown, expected * signs, atol=2e-6)
    np.testing.assert_allclose(found["shares"], sizes[:2] ** 2 / (sizes**2).sum(), rtol=1e-6)


def text_of(run: gg.Run) -> str:
    return Path(run.config().data.sources[0]).read_text("utf-8")


def test_a_run_without_snapshots_has_no_map(lab: TestClient, ids: dict[str, str]) -> None:
    assert lab.get(f"/api/runs/{ids['text']}/embeddings").json()["points"] == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"snapshot": 7777}, "Snapshots: 0, "),
        ({"snapshot": 0, "step": 6}, "one of them"),
        ({"snapshot": "x"}, "snapshot"),
    ],
)
def test_an_unknown_step_gets_a_sentence(rewound: Rewound, body: dict[str, Any], words: str) -> None:
    lab, id, _ = rewound
    for call, given in (("trace", {"text": TEXT}), ("sample", {"ids": [1]}), ("next", {"ids": [1]})):
        answer = lab.post(f"/api/runs/{id}/{call}", json={**given, **body})
        assert answer.status_code == 400 and words in answer.json()["error"]


def test_a_run_without_snapshots(lab: TestClient, ids: dict[str, str]) -> None:
    assert lab.get(f"/api/runs/{ids['text']}/snapshots").json()["snapshots"] == []
    answer = lab.post(f"/api/runs/{ids['text']}/trace", json={"text": "the moon", "snapshot": 0})
    assert answer.status_code == 400 and "has no snapshot of step 0" in answer.json()["error"]


def test_models_that_only_traces_keep_count_as_memory(
    rewound: Rewound, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, _, folder = rewound
    model = gg.Run(folder).model(snapshot=0)
    n_bytes = sum(p.nbytes for p in model.parameters())
    first = trace(rewound, snapshot=0)
    monkeypatch.setattr(studio, "MAX_TRACE_BYTES", n_bytes)
    for step in gg.snapshot_steps(gg.Run(folder)):
        last = trace(rewound, snapshot=step)
    assert lab.get(f"/api/traces/{first['id']}/logits").status_code == 404
    assert lab.get(f"/api/traces/{last['id']}/logits").status_code == 200
