"""Start the lab: a socket on loopback, a token, a browser."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import secrets
import socket
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from glassgpt.errors import UserError, missing_extra
from glassgpt.lab.page import page_folder

if TYPE_CHECKING:
    from glassgpt.lab.security import App

HOST = "127.0.0.1"
PORTS = range(8411, 8431)
"""Ports that are tried in turn without `--port`."""


@dataclass(frozen=True)
class Lab:
    """A lab that listens; `serve` answers requests until a signal."""

    folder: Path
    page: Path
    socket: socket.socket
    token: str

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.socket.getsockname()[1]

    @property
    def address(self) -> str:
        """The page's address, with the token."""
        return f"http://{HOST}:{self.port}/?token={self.token}"

    def open_browser(self) -> None:
        """Open the page in the user's browser, if there is one."""
        webbrowser.open(self.address)

    def _models(self) -> App:
        """Return the application that answers about runs; importing it takes seconds."""
        with _objects_that_stay():
            from glassgpt.lab.app import make_api

            return make_api(self.folder, self.page)

    def serve(self) -> None:
        """Answer requests until a signal ends it."""
        import uvicorn

        from glassgpt.lab.opening import Opening
        from glassgpt.lab.security import Gate

        app = Gate(Opening(self.page, self._models), token=self.token, port=self.port)
        logger = logging.getLogger("uvicorn.error")
        logger.setLevel(logging.WARNING)
        logger.addFilter(is_no_cut_answer)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        uvicorn.Server(config).run(sockets=[self.socket])


def is_no_cut_answer(record: logging.LogRecord) -> bool:
    """False for the report of an answer that the end of the lab cut off: Ctrl-C is no error."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError) and "graceful shutdown" not in record.getMessage()


@contextmanager
def _objects_that_stay() -> Iterator[None]:
    """Keep the garbage collector away from objects that are made here: it would search them again and again.

    Of 2.1 s of imports it took 0.3, and 0.1 in each full collection afterwards.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def open_lab(folder: Path, port: int | None, tell: Callable[[str], None] = lambda message: None) -> Lab:
    """Return a lab for a folder of runs, which listens on loopback. port: None for the first free one.

    tell: called before work that takes seconds. Raises UserError for a missing folder or extra, a port that
    is taken, and a page that cannot be built.
    """
    _check_extra()
    if not folder.is_dir():
        raise UserError(
            "{folder}: no such folder. Train a model first, such as glassgpt train notes.txt --minutes 5, or "
            "name the folder of your runs.",
            folder=folder,
        )
    listening = _listen(port)
    return Lab(folder, page_folder(tell), listening, secrets.token_urlsafe(24))


def _check_extra() -> None:
    for module in ("fastapi", "uvicorn"):
        if find_spec(module) is None:
            raise missing_extra("lab", module)


def _listen(port: int | None) -> socket.socket:
    """Return a socket that listens on a port, or on the first free one. Raises UserError."""
    for each in PORTS if port is None else [port]:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, each))
            listening.listen(128)
            return listening
        except OSError as error:
            listening.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    raise UserError(
        "port {port} is taken by another program, or not allowed. Give another one with `port`.",
        port=f"{PORTS[0]} … {PORTS[-1]}" if port is None else port,
    )
