"""The lab's gate, on every route of the application."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from glassgpt.lab.app import make_app
from glassgpt.lab.security import HEADERS
from helpers.lab_runs import HOST, ORIGIN, PORT, TOKEN, client, empty_page


def routes(tmp: Path) -> list[tuple[str, str]]:
    app = make_app(tmp, empty_page(tmp), token=TOKEN, port=PORT).app
    assert isinstance(app, FastAPI)
    found = [(method, r.path) for r in app.routes if isinstance(r, APIRoute) for method in r.methods or ()]
    assert len(found) >= 10
    return [(method, path.format(id="0", trace="0", name="x")) for method, path in found]


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


@pytest.mark.parametrize("id", ["..", "%2e%2e", "..%2f..%2fetc", "%2fetc%2fpasswd", "text", "0" * 12])
def test_a_run_is_named_by_its_id_alone(lab: TestClient, id: str) -> None:
    for path in (f"/api/runs/{id}", f"/api/runs/{id}/events", f"/api/runs/{id}/vocabulary"):
        assert lab.get(path).status_code == 404
    assert lab.post(f"/api/runs/{id}/trace", json={"text": "a"}).status_code in (404, 405)


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
