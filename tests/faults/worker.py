"""A process that has torch loaded and forks a child for each command: hundreds of kills need one slow start.

Reads requests as JSON lines and answers each with one. It is a script for `crash.py`, and no test. A child
runs a command of GlassGPT (`arguments`), or the library with each saved step marked in the log (`logged`).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import torch

from glassgpt.cli.main import main
from glassgpt.config import RunConfig
from glassgpt.train import Saved, start


def serve(shim: str, config: str) -> None:
    """Answer until the requests end."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        # What is imported or built at first use is so before the first fork.
        _command(["train", "--config", config, "--steps", "2", "--out", f"{folder}/run"])
        _command(["train", "--resume", f"{folder}/run", "--steps", "3"])
    print("{}", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)
            continue
        if (pid := os.fork()) == 0:
            os._exit(_child(request, shim))
        print(json.dumps({"pid": pid}), flush=True)


def _child(request: dict[str, Any], shim: str) -> int:
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        if "logged" in request:
            _logged(request, shim)
            return 0
        _arm(request, shim)
        return _command(request["arguments"])
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _arm(request: dict[str, Any], shim: str) -> Any:
    library = ctypes.CDLL(shim)
    fault = request["fault"]
    refused = library.arm(
        os.fsencode(fault["folder"]),
        fault["mode"],
        ctypes.c_long(fault["number"]),
        fault["error"],
        os.fsencode(fault["log"]),
    )
    if refused:
        raise OSError(refused, "the kernel refuses a seccomp filter: " + os.strerror(refused))
    return library


def _logged(request: dict[str, Any], shim: str) -> None:
    """Train with the steps that have been announced as saved marked in the log.

    With `before`, a copy of the new run goes there first, and the watch starts only then.
    """
    config = RunConfig.model_validate(request["logged"])
    folder, before = Path(request["fault"]["folder"]), request["before"]
    library = None if before else _arm(request, shim)
    session = start(config, folder)
    if library is None:
        shutil.copytree(folder, before)
        library = _arm(request, shim)
    for event in session.run():
        if isinstance(event, Saved):
            library.mark(os.fsencode(event.path.name))


def _command(arguments: list[str]) -> int:
    try:
        main(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
