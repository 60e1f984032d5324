"""The lab's gate, on every route of the application."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from glassgpt.lab.app import make_app
from glassgpt.lab.security import HEADERS
from helpers.lab_runs import HOST, ORIGIN, PORT, TOKEN, client, empty_page

VALUES = {"row": "0", "trace": "0" * 16}
"""Parameters of a path that are no names."""
BODIES: dict[str, dict[str, Any]] = {
    "examine": {},
    "trace": {"text": "a"},
    "next": {"ids": [1]},
    "sample": {"ids": [1]},
    "labels": {"ids": [1]},
    "stop": {},
    "resume": {"minutes": 1},
}
"""A body that is right, for each route that takes a run's id and a body."""


def api_routes(tmp: Path) -> list[tuple[str, str]]:
    """Return method and path of each route of the application."""
    app = make_app(tmp, empty_page(tmp), token=TOKEN, port=PORT).app
    assert isinstance(app, FastAPI)
    found = [(method, r.path) for r in app.routes if isinstance(r, APIRoute) for method in r.methods or ()]
    assert len(found) >= 20
    return found


def filled(path: str, **values: str) -> str:
    """Put values into a path's parameters."""
    return re.sub(r"\{(\w+)\}", lambda found: {**VALUES, **values}.get(found[1], "0"), path)


def routes(tmp: Path) -> list[tuple[str, str]]:
    return [(method, filled(path)) for method, path in api_routes(tmp)]


@pytest.fixture
def stranger(tmp_path: Path) -> TestClient:
    return client(tmp_path, tmp_path / "page", signed_in=False)


@pytest.fixture
def owner(tmp_path: Path) -> TestClient:
    return client(tmp_path, tmp_path / "page")


def test_every_route_needs_the_token(stranger: TestClient, tmp_path: Path) -> None:
    for method, path in routes(tmp_path):
        for cookie in ("", "wrong", TOKEN[:-1]):
            headers = {**ORIGIN, "cookie": f"glassgpt-lab-{PORT}={cookie}"}
            answer = stranger.request(method, path, headers=headers, json={} if method == "POST" else None)
            assert answer.status_code == 403 and "token" in answer.json()["error"], path


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1:80", f"{HOST}.evil", ""])
def test_every_route_refuses_other_hosts(owner: TestClient, tmp_path: Path, host: str) -> None:
    for method, path in routes(tmp_path):
        assert owner.request(method, path, headers={"host": host}).status_code == 400, path


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", f"https://{HOST}", f"http://{HOST}.evil", ""]
)
def test_every_route_refuses_other_origins(owner: TestClient, tmp_path: Path, origin: str) -> None:
    for method, path in routes(tmp_path):
        answer = owner.request(
            method, path, headers={"origin": origin}, json={} if method == "POST" else None
        )
        assert answer.status_code == 403, path


def test_a_post_without_an_origin_is_refused(stranger: TestClient) -> None:
    cookie = {"cookie": f"glassgpt-lab-{PORT}={TOKEN}"}
    assert stranger.get("/api/runs", headers=cookie).status_code == 200
    assert stranger.post("/api/runs/0/trace", json={"text": "a"}, headers=cookie).status_code == 403


def test_the_token_moves_from_the_address_into_a_cookie(stranger: TestClient) -> None:
    assert stranger.get("/?token=wrong").status_code == 403
    assert stranger.get(f"/api/runs?token={TOKEN}").status_code == 403  # only the page's address
    answer = stranger.get(f"/?token={TOKEN}")
    assert answer.status_code == 303 and answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert stranger.get("/api/runs").status_code == 200


def test_every_answer_has_the_headers_of_security(owner: TestClient, stranger: TestClient) -> None:
    for answer in (
        owner.get("/"),
        owner.get("/api/runs/0"),
        stranger.get("/api/runs"),
        owner.get("/nothing"),
    ):
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy and "http" not in policy


def test_large_and_unmeasured_bodies_are_refused(owner: TestClient) -> None:
    assert owner.post("/api/runs/0/trace", content=b"x" * (16 << 20) + b"x").status_code == 413
    assert owner.post("/api/runs/0/trace", content=iter([b"{}"])).status_code == 413  # chunked


HOSTILE = [
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "%2fetc%2fpasswd",
    "text",
    "~",
    "0" * 12,
    "%00",
    "x" * 3000,
]


@pytest.mark.parametrize("id", HOSTILE, ids=lambda id: id[:30])
def test_every_route_names_a_run_by_its_id_alone(lab: TestClient, tmp_path: Path, id: str) -> None:
    of_runs = [(method, path) for method, path in api_routes(tmp_path) if "{id}" in path]
    assert len(of_runs) >= 10
    for method, path in of_runs:
        kind = path.rsplit("/", 1)[-1]
        answer = lab.request(method, filled(path, id=id), json=BODIES[kind] if method == "POST" else None)
        assert answer.status_code in (400, 404, 405), path
        assert "root:" not in answer.text
        if not re.search(r"\.|%2", id) and kind != "stop" and "trainings" not in path:
            assert "no run has this id" in answer.json()["error"], path


@pytest.mark.parametrize("name", ["..", "..%2f..%2fetc%2fpasswd", "nothing", "%00"])
def test_every_route_of_a_trace_knows_its_names_alone(
    lab: TestClient, ids: dict[str, str], tmp_path: Path, name: str
) -> None:
    trace = lab.post(f"/api/runs/{ids['bigram']}/trace", json={"text": "the"}).json()["id"]
    of_traces = [path for _, path in api_routes(tmp_path) if "{trace}" in path]
    assert len(of_traces) == 4
    for path in of_traces:
        assert lab.get(filled(path, trace=name), params={"name": "logits"}).status_code == 404, path
        if "{name}" in path:
            assert lab.get(filled(path, trace=trace, name=name)).status_code == 404
    answer = lab.get(f"/api/rows/{trace}/0", params={"name": [name, "logits"]})
    assert answer.status_code == 404 and answer.json()["error"].endswith(".")
    assert lab.get(f"/api/rows/{trace}/-1", params={"name": "logits"}).status_code == 404
    assert lab.get(f"/api/rows/{trace}/99", params={"name": "logits"}).status_code == 404


def test_the_policy_of_content_is_strict() -> None:
    directives = dict(each.strip().split(" ", 1) for each in HEADERS["Content-Security-Policy"].split(";"))
    assert directives["default-src"] == "'none'" and directives["script-src"] == "'self'"
    assert directives["connect-src"] == "'self'" and directives["frame-ancestors"] == "'none'"
    assert directives["base-uri"] == directives["form-action"] == "'none'"
    sources = " ".join(directives.values()).split()
    assert set(sources) <= {"'none'", "'self'", "'unsafe-inline'", "data:", "blob:"}
    assert [name for name, value in directives.items() if "unsafe" in value] == ["style-src-attr"]


def test_a_hostile_run_is_listed_as_damaged_and_not_opened(tmp_path: Path, lab_runs: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("private", "utf-8")
    run = tmp_path / "runs" / "evil"
    run.mkdir(parents=True)
    (run / "config.json").write_bytes((lab_runs / "text" / "config.json").read_bytes())
    os.symlink(secret, run / "tokenizer.json")
    here = client(tmp_path / "runs", tmp_path / "page")
    row = here.get("/api/runs").json()["runs"][0]
    assert row["state"] == "unreadable" and not row["can_trace"]
    for answer in (
        here.get(f"/api/runs/{row['id']}"),
        here.get(f"/api/runs/{row['id']}/vocabulary"),
        here.post(f"/api/runs/{row['id']}/trace", json={"text": "a"}),
    ):
        assert answer.status_code == 400 and "link" in answer.json()["error"]
        assert "private" not in answer.text


def test_each_request_is_answered_in_its_own_language(owner: TestClient) -> None:
    said = {
        code: owner.get("/api/runs/0", headers={"accept-language": code}).json()["error"]
        for code in ("en", "zh", "zh-CN,en;q=0.5", "fr")
    }
    assert said["en"] == said["fr"] and said["en"].startswith("no run has this id")
    assert said["zh"] == said["zh-CN,en;q=0.5"] != said["en"]
