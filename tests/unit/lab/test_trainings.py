"""Trainings that the page starts: names, settings, plan, stop and resume, and a lab that ends meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from starlette.testclient import TestClient

import glassgpt as gg
from glassgpt.checkpoint import OWNER, is_locked
from glassgpt.lab import trainings
from helpers.explain_runs import WORDS
from helpers.lab_runs import TOKEN, client, empty_page

TEXT = "\n".join(" ".join(WORDS[i % 7 :] + WORDS[: i % 5]) for i in range(300))
BODY = {"name": "moon", "text": TEXT, "minutes": 1, "size": "nano"}


@pytest.fixture
def lab(tmp_path: Path) -> TestClient:
    (tmp_path / "runs").mkdir()
    return client(tmp_path / "runs", tmp_path / "page")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Keep the commands instead of running them."""
    kept: list[list[str]] = []

    def keep(words: list[str]) -> list[str]:
        kept.append(words)
        return ["true"]

    monkeypatch.setattr(trainings, "_command", keep)
    return kept


def test_the_command_is_the_ordinary_one(lab: TestClient, tmp_path: Path, commands: list[list[str]]) -> None:
    body = {**BODY, "settings": {"n_layer": "3", "preset": "gpt2"}}
    answer = lab.post("/api/trainings", json=body)
    assert answer.status_code == 200, answer.text
    runs = tmp_path / "runs"
    text = runs / ".lab" / "moon.txt"
    assert text.read_text("utf-8") == TEXT
    options = ["--size=nano", "--n-layer=3", "--preset=gpt2"]
    assert commands == [["train", str(text), "--minutes", "1", "--out", str(runs / "moon"), *options]]
    assert lab.get(f"/api/trainings/{answer.json()['id']}").status_code == 200
    assert not lab.get("/api/runs").json()["runs"]  # the folder of texts is no run


@pytest.mark.parametrize("name", ["", "..", "../x", "/tmp/x", "a/b", ".hidden", "-v", "a\nb", "x" * 61, "a "])
def test_a_name_stays_below_the_folder(
    lab: TestClient, tmp_path: Path, commands: list[list[str]], name: str
) -> None:
    for path in ("/api/trainings", "/api/plan"):
        answer = lab.post(path, json={**BODY, "name": name})
        assert answer.status_code == 400 and "name" in answer.json()["error"]
    assert not commands and [file.name for file in tmp_path.iterdir()] in (["runs", "page"], ["page", "runs"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text": ""}, "text"),
        ({"minutes": 0}, "minutes"),
        ({"size": "giant"}, "size"),
        ({"settings": {"sources": "/etc/passwd"}}, "sources"),
        ({"settings": {"from": "x"}}, "from"),
        ({"settings": {"out": "x"}}, "out"),
        ({"settings": {"no_such": "x"}}, "no_such"),
    ],
)
def test_unusable_requests_start_nothing(
    lab: TestClient, commands: list[list[str]], change: dict[str, Any], words: str
) -> None:
    answer = lab.post("/api/trainings", json={**BODY, **change})
    assert answer.status_code == 400 and words in answer.json()["error"] and not commands


def test_an_existing_run_is_not_replaced(lab: TestClient, tmp_path: Path, commands: list[list[str]]) -> None:
    (tmp_path / "runs" / "moon").mkdir()
    assert lab.post("/api/trainings", json=BODY).status_code == 400 and not commands


def test_a_single_run_has_no_place_for_others(lab_runs: Path, tmp_path: Path) -> None:
    answer = client(lab_runs / "text", tmp_path / "page").post("/api/trainings", json=BODY)
    assert answer.status_code == 400 and "single run" in answer.json()["error"]
    assert not (lab_runs / "text" / ".lab").exists()


def test_stop_believes_no_folder(lab: TestClient, tmp_path: Path, lab_runs: Path) -> None:
    """A run of a stranger may name any process as its owner."""
    import shutil

    shutil.copytree(lab_runs / "bigram", tmp_path / "runs" / "evil")
    (tmp_path / "runs" / "evil" / OWNER).write_text(json.dumps({"process": os.getpid()}), "utf-8")
    id = lab.get("/api/runs").json()["runs"][0]["id"]
    answer = lab.post(f"/api/runs/{id}/stop", json={})
    assert answer.status_code == 400 and "Ctrl-C" in answer.json()["error"]


def test_a_run_is_resumed_while_its_process_still_ends(
    lab: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is free before the process has ended; the page may be that quick."""
    (tmp_path / "runs").mkdir(exist_ok=True)
    kept = trainings.Trainings(tmp_path / "runs")
    slow = [sys.executable, "-c", "import time; time.sleep(0.3)"]
    monkeypatch.setattr(trainings, "_command", lambda words: slow)
    kept.start(trainings.TrainRequest(**BODY))
    id = kept.resume(gg.Run(tmp_path / "runs" / "moon"), trainings.ResumeRequest(minutes=2))
    assert kept.state(id)["running"]
    kept._of[id].process.wait(60)


def test_a_run_that_trains_is_not_resumed(
    lab: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = trainings.Trainings(tmp_path / "runs")
    monkeypatch.setattr(trainings, "_command", lambda words: [sys.executable, "-c", "input()"])
    monkeypatch.setattr(trainings, "is_locked", lambda path: True)
    monkeypatch.setattr(trainings.subprocess, "DEVNULL", subprocess.PIPE)
    id = kept.start(trainings.TrainRequest(**BODY))
    with pytest.raises(gg.UserError, match="training already"):
        kept.resume(gg.Run(tmp_path / "runs" / "moon"), trainings.ResumeRequest(minutes=2))
    kept._of[id].process.communicate(timeout=60)


def test_settings_are_those_of_the_schema(lab: TestClient) -> None:
    found = {each["name"]: each for each in lab.get("/api/settings").json()["settings"]}
    assert found["preset"]["choices"] == ["modern", "gpt2", "speedrun"] and "seed" in found
    assert not {"sources", "from", "out", "column"} & found.keys()


def _wait(condition: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.2)


@pytest.mark.slow
def test_start_stop_and_resume(lab: TestClient, tmp_path: Path) -> None:
    plan = lab.post("/api/plan", json={**BODY, "minutes": 3})
    assert plan.status_code == 200 and "minutes" in plan.json()["plan"]
    id = lab.post("/api/trainings", json={**BODY, "minutes": 5, "settings": {"evals": "50"}}).json()["id"]
    run = gg.Run(tmp_path / "runs" / "moon")
    _wait(lambda: run.config_file.is_file() and run.summary().n_steps > 20)
    assert lab.get(f"/api/trainings/{id}").json()["running"] and is_locked(run.path)
    assert lab.get("/api/runs").json()["runs"][0]["state"] == "training"
    assert lab.post(f"/api/runs/{id}/stop", json={}).status_code == 200
    _wait(lambda: not lab.get(f"/api/trainings/{id}").json()["running"])
    stopped = run.summary()
    assert stopped.resumable and stopped.n_steps > 20
    minutes = (stopped.minutes or 0) + 0.7  # the start of the process counts, too
    assert lab.post(f"/api/runs/{id}/resume", json={"minutes": minutes}).json() == {"id": id}
    _wait(lambda: run.summary().n_steps > stopped.n_steps and not is_locked(run.path))
    assert run.verdict() is not None


SERVER = """
import socket, sys
from pathlib import Path
from glassgpt.lab.serve import Lab
folder, page, token = sys.argv[1:]
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
Lab(Path(folder), Path(page), listening, token).serve()
"""


@pytest.mark.slow
def test_a_training_goes_on_when_the_lab_is_killed(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    words = [sys.executable, "-c", SERVER, tmp_path / "runs", empty_page(tmp_path / "page"), TOKEN]
    lab = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert lab.stdout
    origin = f"http://127.0.0.1:{int(lab.stdout.readline())}"
    run = gg.Run(tmp_path / "runs" / "moon")
    owner = 0
    try:
        headers = {
            "origin": origin,
            "cookie": f"glassgpt-lab-{origin.rsplit(':')[-1]}={TOKEN}",
            "content-type": "application/json",
        }
        body = json.dumps({**BODY, "minutes": 5, "settings": {"evals": "50"}}).encode()
        urlopen(Request(f"{origin}/api/trainings", body, headers), timeout=60).read()
        _wait(lambda: run.config_file.is_file() and run.summary().n_steps > 5)
        owner = json.loads((run.path / OWNER).read_text("utf-8"))["process"]
        os.killpg(lab.pid, signal.SIGKILL)
        lab.wait()
        n = run.summary().n_steps
        _wait(lambda: run.summary().n_steps > n + 50)
        assert is_locked(run.path)
        os.kill(owner, signal.SIGINT)  # saves and stops, as Ctrl-C does
        _wait(lambda: not is_locked(run.path))
        assert run.summary().resumable and run.summary().n_steps > n + 50
    finally:
        for process in filter(None, (owner, lab.pid if lab.poll() is None else 0)):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        lab.stdout.close()
