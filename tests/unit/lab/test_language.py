"""The server's sentences in the page's language: none in English on a Chinese page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from glassgpt.lab import trainings
from glassgpt.language import answering_in

CHINESE = {"Accept-Language": "zh"}
SENTENCE = re.compile(r"[A-Za-z]{2,}(?:[ ,;:]+[A-Za-z]{2,}){3,}")
"""Four words of English in a row."""
OF_THE_RUN = {"samples", "prompt", "questions", "settings", "name", "folder", "text", "model"}
"""Fields with texts of the user or the model, and names."""


def sentences(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text of an answer with its field, except what is the user's."""
    if field in OF_THE_RUN:
        return
    if isinstance(value, dict):
        for name, each in value.items():
            yield from sentences(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from sentences(each, field)
    elif isinstance(value, str):
        yield field, value


def english(value: Any) -> list[tuple[str, str]]:
    return [(field, text) for field, text in sentences(value) if SENTENCE.search(text)]


@pytest.mark.parametrize("name", ["text", "dates", "scenes", "encoder", "bigram"])
def test_what_a_runs_page_says_is_chinese(lab: TestClient, ids: dict[str, str], name: str) -> None:
    details = lab.get(f"/api/runs/{ids[name]}", headers=CHINESE).json()
    assert not english(details)
    assert re.search(r"[一-鿿]", details["verdict"]["sentence"])
    examined = lab.post(f"/api/runs/{ids[name]}/examine", json={}, headers=CHINESE).json()
    assert not english(examined) and re.search(r"[一-鿿]", examined["sentence"])


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("/api/plan", {"name": "a", "text": "a", "minutes": 0}),
    ("/api/plan", {"name": "a", "text": "", "minutes": 1}),
    ("/api/plan", {"name": "a" * 201, "text": "a", "minutes": 1}),
    ("/api/plan", {"name": "a", "text": "a", "minutes": "soon"}),
    ("/api/plan", {"name": "a", "text": "a"}),
    ("/api/plan", {"name": "a", "text": "a", "minutes": 1, "size": "vast"}),
    ("/api/plan", {"name": "a", "text": "a", "minutes": 1, "more": 1}),
    ("/api/trainings", {"name": "../a", "text": "a", "minutes": 1}),
    ("/api/runs/{text}/trace", {"text": ""}),
    ("/api/runs/{text}/trace", {"text": "a", "edits": {"patches": [{"text": 1}]}}),
    ("/api/runs/{text}/next", {"ids": [10**6]}),
    ("/api/runs/{text}/stop", {}),
    ("/api/runs/none/examine", {}),
]


@pytest.mark.parametrize(("path", "body"), WRONG, ids=lambda each: str(each)[:40])
def test_an_error_is_said_in_chinese(
    lab: TestClient, ids: dict[str, str], path: str, body: dict[str, Any]
) -> None:
    answer = lab.post(path.format(**ids), json=body, headers=CHINESE)
    said = answer.json()["error"]
    assert answer.status_code >= 400 and re.search(r"[一-鿿]", said) and not SENTENCE.search(said), said


def test_a_command_speaks_the_language_of_the_page() -> None:
    with answering_in("zh"):
        assert trainings._command(["plan", "a.txt"])[1:] == [
            "-m",
            "glassgpt",
            "--lang",
            "zh",
            "plan",
            "a.txt",
        ]
