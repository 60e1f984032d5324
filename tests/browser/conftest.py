"""A lab on loopback with its real page, and a headless Chromium; skipped where one of them is missing."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from glassgpt.errors import UserError
from glassgpt.explain.context import BUILTIN
from glassgpt.lab.app import make_app
from glassgpt.lab.page import page_folder
from helpers.browser import TOKEN, Lab, chromium
from helpers.explain_runs import small_run


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of each family, and a GPT-2 with biases and grouped queries."""
    folder = tmp_path_factory.mktemp("browser") / "runs"
    small = small_run(tmp_path_factory.mktemp("gpt2"), "gpt", preset="gpt2", n_kv_head=2)
    shutil.copytree(small, folder / "grouped")
    kept = {"steps": 12, "evals": 2, "snapshots": 5}
    learned = small_run(tmp_path_factory.mktemp("learned"), "gpt", train=kept)
    shutil.copytree(learned, folder / "learned")
    for name in ("text", "dates", "scenes"):
        shutil.copytree(BUILTIN / name, folder / name)
    return folder


@contextmanager
def serving(runs: Path) -> Iterator[Lab]:
    """Serve a folder of runs on a free port."""
    try:
        page = page_folder()
    except UserError as error:
        pytest.skip(str(error))
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    app = make_app(runs, page, token=TOKEN, port=port)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield Lab(runs, port)
    server.should_exit = True
    thread.join(10)
    listening.close()


@pytest.fixture(scope="session")
def lab(runs: Path) -> Iterator[Lab]:
    """A lab that listens on a free port."""
    with serving(runs) as lab:
        yield lab


@pytest.fixture
def new_lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab over an empty folder."""
    folder = tmp_path / "runs"
    folder.mkdir()
    with serving(folder) as lab:
        yield lab


@pytest.fixture(scope="module")  # its event loop would disturb other tests
def browser() -> Iterator[Any]:
    """The Chromium of this machine."""
    api = pytest.importorskip("playwright.sync_api")
    if (program := chromium()) is None:
        pytest.skip("there is no Chromium")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page. The test fails on an error in its console, or a request that leaves loopback."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("http://127.0.0.1:", "data:", "blob:"))
            else problems.append(request.url)
        ),
    )
    yield opened
    context.close()
    assert not problems, problems
