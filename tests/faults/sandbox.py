"""A command in a forked process with limits of time and memory, and how it ended.

The parent has everything imported and one thread, so that a fork is cheap and safe.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

from glassgpt.cli.main import main

CPU_S, WALL_S = 5, 120
"""Limits of one command in seconds. The wall's is longer, because the machine may be busy."""
BLOCKED_S = 6
"""A command that computes nothing between two looks, so far apart, waits for ever."""
RSS_BYTES = 1_000_000_000
"""Limit of the RAM of one command."""
ADDRESS_BYTES = 3_000_000_000
"""Limit of the address space that it adds: more than it may use, so that it is measured before it fails."""
FILE_BYTES = 500_000_000
UNCAUGHT = 70
"""Exit code of a command that ended with a traceback."""
CODES = {0, 1, 2}
"""Exit codes of commands: done, damaged but usable (verify), unusable."""


@dataclass(frozen=True)
class Ended:
    """The end of a command: its kind of fault ("" for none), output, exit code, seconds and bytes."""

    fault: str
    output: str
    code: int
    cpu_s: float
    rss_bytes: int

    @property
    def place(self) -> str:
        """Last line of the package in the traceback, and the error."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        ours = [line for line in lines if line.startswith('  File "') and "/glassgpt/" in line]
        where = ours[-1].split("/glassgpt/")[-1].replace('", line ', ":").split(",")[0] if ours else ""
        return f"{where} {lines[-1][:120] if lines else ''}".strip()


def run(arguments: list[str], folder: Path, stdin: bytes = b"") -> Ended:
    """Run `glassgpt ARGUMENTS` in a folder."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        if (pid := os.fork()) == 0:
            _child(arguments, folder, given.fileno(), output.fileno())
        in_time = _wait(pid)
        _, status, used = os.wait4(pid, 0)
        output.seek(0)
        text = output.read(1_000_000).decode("utf-8", "replace")
    code, cpu_s = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
    rss = used.ru_maxrss * 1024
    return Ended(_fault(code, text, in_time, rss), text, code, cpu_s, rss)


def _fault(code: int, text: str, in_time: bool, rss_bytes: int) -> str:
    """Return the kind of fault, or nothing."""
    if not in_time or code == -signal.SIGXCPU:
        return "hang"
    if rss_bytes > RSS_BYTES or "MemoryError" in text:
        return "memory"
    if code == UNCAUGHT or "Traceback (most recent call last)" in text:
        return "traceback"
    return "" if code in CODES else "signal" if code < 0 else "exit code"


def _wait(pid: int) -> bool:
    """Wait for a process; kill it with its own children, and return False, if it takes too long."""
    ended, used = os.pidfd_open(pid), -1.0
    try:
        for _ in range(WALL_S // BLOCKED_S):
            if select.select([ended], [], [], BLOCKED_S)[0]:
                return True
            before, used = used, _cpu_s(pid)
            if used == before:
                break
        os.killpg(pid, signal.SIGKILL)
        return False
    finally:
        os.close(ended)


def _child(arguments: list[str], folder: Path, given: int, output: int) -> None:
    """Run the command in this process, and end it."""
    code = UNCAUGHT
    try:
        os.setsid()
        for target, source in ((0, given), (1, output), (2, output)):
            os.dup2(source, target)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")
        os.chdir(folder)
        _limit()
        main(arguments)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    address = pages * resource.getpagesize() + ADDRESS_BYTES
    for kind, limit in (
        (resource.RLIMIT_AS, address),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
