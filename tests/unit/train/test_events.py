"""The wire format: each event survives the trip through JSON, and the lines of older runs are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from glassgpt.train import Evaluated, Event, Forecasted, Sampled, Saved, Stage, StepDone, Warned

GOLDEN = Path(__file__).parents[2] / "golden"
EVENTS = [
    StepDone(3, 2.5, {"muon": 0.03, "adamw": 0.02}, 1.25, 256, 1e4, 0.5, 1.5),
    Evaluated(3, 2.0, 1.0, 1.5, 1.4, best=True, seconds=0.1),
    Evaluated(4, 2.0, 1.0, 1.5, 1.4, best=False, seconds=0.1, exact=0.25, n_tokens=900),
    Forecasted(3, 1.31, 1.28, 1.35, progress=0.08),
    Sampled(3, "geese «cross»\n"),
    Saved(3, Path("run/checkpoints/step-0000000003")),
    Stage("evaluating"),
    Warned("the disk is almost full"),
]


@pytest.fixture
def own_event() -> Iterator[type[Event]]:
    @dataclass(frozen=True)
    class LayerNorms(Event):
        """An event of an observer."""

        kind = "layer_norms"
        step: int
        norms: dict[str, float]

    yield LayerNorms


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_each_event_survives_json(event: Event) -> None:
    row = json.loads(json.dumps(event.to_dict()))
    assert row["event"] == event.kind
    assert list(row) == ["event", *(field.name for field in fields(event))]
    assert Event.from_dict(row) == event


def test_each_kind_is_tried_above() -> None:
    ours = {cls.kind for cls in Event.__subclasses__() if cls.__module__ == "glassgpt.train.events"}
    assert ours == {event.kind for event in EVENTS}
    assert ours == {"step", "eval", "forecast", "stage", "sample", "saved", "warning"}


def test_an_event_of_an_observer_survives_json(own_event: type[Event]) -> None:
    event = own_event(step=2, norms={"blocks.0": 0.5})
    assert Event.from_dict(json.loads(json.dumps(event.to_dict()))) == event


@pytest.mark.parametrize("name", ["format-1", "format-2"])
def test_the_lines_of_older_runs_are_read(name: str) -> None:
    """Those of format 1 have one rate, that of AdamW."""
    lines = (GOLDEN / name / "run/metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    events = [Event.from_dict(row) for row in rows]
    assert {type(event) for event in events} == {StepDone, Evaluated}
    for row, event in zip(rows, events, strict=True):
        if isinstance(event, StepDone):
            assert event.lrs == (row["lrs"] if name == "format-2" else {"adamw": row["lr"]})
            assert event.loss == row["loss"]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'nonsense' is not a known kind of event"):
        Event.from_dict({"event": "nonsense"})
