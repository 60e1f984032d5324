"""The page is there while torch is still being imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from glassgpt.lab.opening import PAGE_FILES, Opening
from helpers.lab_runs import empty_page


def test_the_page_does_not_wait_for_the_models(tmp_path: Path) -> None:
    ready = Event()

    def make() -> Any:
        ready.wait(60)
        return PlainTextResponse("answered")

    client = TestClient(Opening(empty_page(tmp_path / "page"), make))  # pyright: ignore
    for path, (_, media_type) in PAGE_FILES.items():
        answer = client.get(path)
        assert answer.status_code == 200 and answer.headers["content-type"].startswith(media_type)
    answers: list[str] = []
    asking = Thread(target=lambda: answers.append(client.get("/api/runs").text))
    asking.start()
    assert not answers
    ready.set()
    asking.join(60)
    assert answers == ["answered"]


def test_opening_a_lab_imports_no_torch() -> None:
    modules = "glassgpt.lab, glassgpt.cli.commands.lab, glassgpt.lab.opening"
    code = f"import sys, {modules}\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
