"""The page's files at once; answers about models when torch is imported, which takes seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from starlette.responses import FileResponse

from glassgpt.lab.security import App, Receive, Scope, Send

PAGE_FILES = {
    "/": ("index.html", "text/html"),
    "/assets/lab.js": ("lab.js", "text/javascript"),
    "/assets/lab.css": ("lab.css", "text/css"),
}
"""Name and media type of the page's files by path."""


class Opening:
    """ASGI application that hands out the page, and leaves all else to one that is still being made.

    page: the folder of the built page. make: called once in a thread.
    """

    def __init__(self, page: Path, make: Callable[[], App]) -> None:
        self.page = page
        self._app = ThreadPoolExecutor(1, "glassgpt-lab").submit(make)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = PAGE_FILES.get(scope["path"]) if scope["method"] in ("GET", "HEAD") else None
        app = await asyncio.wrap_future(self._app) if file is None else page_file(self.page, *file)
        await app(scope, receive, send)


def page_file(page: Path, name: str, media_type: str) -> FileResponse:
    """Return the answer with one of the page's files."""
    return FileResponse(page / name, media_type=media_type)
