"""A folder with a small run of each family, and a client of a lab over it."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from glassgpt.lab.app import make_app

TOKEN, PORT = "secret", 8411
HOST = f"127.0.0.1:{PORT}"
ORIGIN = {"origin": f"http://{HOST}"}


def empty_page(folder: Path) -> Path:
    """Make a folder that stands for the built page."""
    folder.mkdir(exist_ok=True)
    for name in ("index.html", "lab.js", "lab.css"):
        (folder / name).write_text("", "utf-8")
    return folder


def client(folder: Path, page: Path, signed_in: bool = True) -> TestClient:
    """Return a client of a lab: with the cookie and the origin of its page, if signed in."""
    app = make_app(folder, empty_page(page), token=TOKEN, port=PORT)
    cookies = {f"glassgpt-lab-{PORT}": TOKEN} if signed_in else {}
    headers = ORIGIN if signed_in else {}
    return TestClient(
        app,  # pyright: ignore[reportArgumentType]
        base_url=f"http://{HOST}",
        cookies=cookies,
        headers=headers,
        follow_redirects=False,
    )
