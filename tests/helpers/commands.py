"""The command line inside the process of the test: torch is imported once."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

from glassgpt.cli.main import main


def run(folder: Path, *arguments: str, stdin: bytes = b"", code: int = 0) -> str:
    """Run a command and return its output, both streams together. `code` is its expected exit code."""
    out, before = io.StringIO(), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            main(arguments)
        status = 0
    except SystemExit as end:
        status = end.code
    finally:
        sys.stdin = before
    assert status == code, out.getvalue()
    return out.getvalue()
