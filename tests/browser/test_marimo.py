"""`gg.show` in a marimo app; skipped where marimo is not installed."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from glassgpt.explain.context import BUILTIN

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BOOK = """
import marimo

app = marimo.App()


@app.cell
def _():
    import glassgpt as gg

    gg.show({run!r}, "the moon")
    return
"""


@contextmanager
def running(book: Path) -> Iterator[str]:
    """Run a marimo notebook as an app on a free port; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--headless", "--no-token", "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "marimo", "-q", "run", book.name, *options]
    with subprocess.Popen(command, cwd=book.parent, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(300):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_the_widget_is_drawn_in_the_colors_of_the_app(browser: Any, tmp_path: Path) -> None:
    pytest.importorskip("marimo")
    book = tmp_path / "book.py"
    book.write_text(BOOK.format(run=str(BUILTIN / "text")), "utf-8")
    with running(book) as address:
        page = browser.new_page(color_scheme="dark")  # the app is light
        page.goto(address)
        audit = page.locator("[data-audit]")
        audit.wait_for(timeout=120_000)
        assert float(audit.get_attribute("data-audit")) <= 1e-5
        ground = page.locator(".widget").evaluate("(widget) => getComputedStyle(widget).backgroundColor")
        assert ground == "rgb(253, 252, 249)"
        page.close()
