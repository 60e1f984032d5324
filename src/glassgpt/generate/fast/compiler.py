"""The machine's C compiler, as a program that may be missing, fail, talk nonsense or hang."""

from __future__ import annotations

import hashlib
import os
import select
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT

from glassgpt.language import N_

TIMEOUT = 60.0
"""Seconds that a compiler may take; usually it takes one."""
TAIL = 4096
"""Bytes of its output to keep."""


class BuildError(Exception):
    """There is no library. The message says why, for users."""


class CompilerError(BuildError):
    """A compiler fails or hangs, and would do so again."""


@dataclass(frozen=True)
class Compiler:
    """A command with its options, and the file that it runs."""

    command: tuple[str, ...]
    file: str

    @classmethod
    def find(cls) -> Compiler:
        """Find the command in $CC, or `cc`. Raises BuildError if there is none."""
        command = compiler_command()
        if (file := shutil.which(command[0])) is None:
            raise BuildError(
                N_(
                    "no C compiler `{compiler}`. Install gcc, or name a compiler in $CC",
                    compiler=_text(command[0]),
                )
            )
        return cls(tuple(command), file)

    @property
    def key(self) -> str:
        """A name for this command and version of the file."""
        status = os.stat(self.file)
        facts = (*self.command, os.path.realpath(self.file), status.st_size, status.st_mtime_ns)
        return hashlib.sha256("\0".join(map(str, facts)).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def run(self, *arguments: str | Path, folder: Path, timeout: float = TIMEOUT) -> None:
        """Run the compiler, with its own temporary files in a folder.

        Raises CompilerError if it fails, or takes longer than `timeout` seconds.
        """
        name, end = _text(self.command[0]), time.monotonic() + timeout
        # A session of its own: what the compiler starts ends with it.
        process = subprocess.Popen(
            [*self.command, *arguments],
            env={**os.environ, "TMPDIR": str(folder)},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )
        try:
            lines = _tail(process, end).decode("utf-8", "replace").strip().splitlines()
        except TimeoutError as error:
            raise CompilerError(
                N_("`{name}` took longer than {timeout:.0f} seconds", name=name, timeout=timeout)
            ) from error
        finally:
            _end(process)
        if process.returncode:
            raise CompilerError(
                N_(
                    "`{name}` failed: {problem}",
                    name=name,
                    problem=lines[-1] if lines else N_("no error message"),
                )
            )


def compiler_command() -> list[str]:
    """Return the command in $CC with its options, or `cc`; it may not exist.

    Raises BuildError if $CC is not a command line.
    """
    given = os.environ.get("CC", "")
    try:
        return shlex.split(given) or ["cc"]
    except ValueError as error:  # a quotation mark without its pair
        raise BuildError(
            N_(
                "$CC is `{command}`, which is no command ({error}). Correct it",
                command=_text(given),
                error=error,
            )
        ) from error


def _tail(process: subprocess.Popen[bytes], end: float) -> bytes:
    """Return the end of a process's output after it has ended. Raises TimeoutError at the time `end`."""
    assert process.stdout is not None
    output, descriptor, done = b"", process.stdout.fileno(), False
    while not done:
        if time.monotonic() > end:
            raise TimeoutError
        # Not to the end of the output alone: a server that the compiler started may hold it open.
        done = process.poll() is not None
        while select.select([descriptor], [], [], 0 if done else 0.05)[0] and time.monotonic() <= end:
            if not (more := os.read(descriptor, 1 << 16)):
                process.wait(max(0.0, end - time.monotonic()))
                return output
            output = (output + more)[-TAIL:]
    return output


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it started, and collect it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _text(name: str) -> str:
    """Return a name that may not be UTF-8, for a message."""
    return name.encode("utf-8", "backslashreplace").decode()
