"""Build blocks.c once per machine, and keep the library in the user's cache.

The library's name has the SHA-256 of its bytes, so a damaged file is found and built again. It is loaded from
a private folder alone. Without one it is built in a temporary folder, each time. A compiler that failed is
not asked again for a day.
"""

from __future__ import annotations

import ctypes
import hashlib
import platform
import shutil
import time
import warnings
from contextlib import suppress
from functools import partial
from itertools import takewhile
from pathlib import Path
from subprocess import TimeoutExpired
from tempfile import TemporaryDirectory

from platformdirs import user_cache_path

from glassgpt.atomic_write import replacing, sync
from glassgpt.generate.fast.compiler import TIMEOUT, BuildError, Compiler, CompilerError
from glassgpt.generate.fast.private import private_folder, read_private
from glassgpt.language import N_

SOURCE = Path(__file__).with_name("blocks.c")
FLAGS = ("-O3", "-march=native", "-fopenmp", "-fPIC", "-fno-math-errno", "-fno-trapping-math")
FUNCTIONS = ("multiply", "run_blocks")
LIMIT = 1 << 24
"""Largest library in bytes; usually it has 60,000."""
DAY = 86_400
"""Seconds for which the failure of a compiler is remembered."""
TEMPORARY = "building-"
REMEDY = N_("Close the folder to others (chmod go-w), or name one of your own in $XDG_CACHE_HOME.")


def load_or_build() -> ctypes.CDLL:
    """Load the library from the cache, or build it. Raises BuildError."""
    try:
        return _load_or_build()
    except (OSError, TimeoutExpired) as error:
        raise BuildError(
            N_("native code cannot be built, saved or loaded here: {error}", error=error)
        ) from error


def _load_or_build() -> ctypes.CDLL:
    name = _name()
    try:
        folder = private_folder(user_cache_path("glassgpt") / "native")
    except OSError as error:
        library = _build_for_now(name)
        warnings.warn(
            N_(
                "{error}, so native code is built for each command again. {remedy}",
                error=error,
                remedy=REMEDY,
            ),
            stacklevel=2,
        )
        return library
    for path in sorted(folder.glob(f"{name}-*.so")):
        if (library := _load(path)) is not None:
            return library
        path.unlink()  # damaged, or opened to others
    compiler = Compiler.find()
    failure = folder / f"{name}-{compiler.key}.failed"
    if (reason := _remembered(failure)) is not None:
        raise BuildError(
            N_(
                "{reason} (remembered for a day; to try again, delete {failure})",
                reason=reason,
                failure=failure,
            )
        )
    try:
        return _build(name, folder, compiler)
    except CompilerError as error:
        with suppress(OSError), replacing(failure) as temporary:
            temporary.write_text(str(error), "utf-8")
        raise


def _build_for_now(name: str) -> ctypes.CDLL:
    """Build in a temporary folder that ends with the build; the loaded library stays."""
    compiler = Compiler.find()
    with TemporaryDirectory(prefix="glassgpt-") as temporary:
        return _build(name, private_folder(Path(temporary, "native")), compiler, timeout=TIMEOUT / 4)


def _build(name: str, folder: Path, compiler: Compiler, timeout: float = TIMEOUT) -> ctypes.CDLL:
    """Build the library, load it, and keep it in a private folder."""
    for old in folder.glob(f"{TEMPORARY}*"):  # of a build that was killed
        if time.time() - old.lstat().st_mtime > DAY:
            shutil.rmtree(old, ignore_errors=True)
    with TemporaryDirectory(dir=folder, prefix=TEMPORARY) as temporary:
        compiled, linked = Path(temporary, "blocks.o"), Path(temporary, "blocks.so")
        run = partial(compiler.run, folder=Path(temporary), timeout=timeout)
        run(*FLAGS, "-c", SOURCE, "-o", compiled)
        # Without -fopenmp: torch has loaded its OpenMP already, and a second one would compete with it.
        run("-shared", compiled, "-o", linked)
        try:
            linked.chmod(0o700)
            library, content = _functions(linked), linked.read_bytes()
        except (OSError, AttributeError) as error:
            raise CompilerError(
                N_(
                    "the output of `{compiler}` cannot be loaded: {error}",
                    compiler=compiler.command[0],
                    error=error,
                )
            ) from error
        sync(linked)
        # Atomic, since several processes may build at the same time.
        linked.replace(folder / f"{name}-{hashlib.sha256(content).hexdigest()}.so")
    sync(folder)
    return library


def _load(path: Path) -> ctypes.CDLL | None:
    """Load a library from a private folder; None if it is not as it was written."""
    content = read_private(path, LIMIT)
    if content is None or hashlib.sha256(content).hexdigest() != path.stem.rpartition("-")[2]:
        return None
    try:
        return _functions(path)
    except (OSError, AttributeError):  # built for another version of the C library
        return None


def _functions(path: Path) -> ctypes.CDLL:
    """Load a library and find its functions. Raises OSError or AttributeError."""
    library = ctypes.CDLL(str(path))
    for function in FUNCTIONS:
        getattr(library, function).restype = None
    return library


def _remembered(failure: Path) -> str | None:
    """Return the reason of an earlier failure, for a day."""
    content = read_private(failure, LIMIT)
    if content is None or abs(time.time() - failure.stat().st_mtime) > DAY:
        return None
    return content.decode("utf-8", "replace")


def _name() -> str:
    """Return a name for the source, the flags and the processor."""
    inputs = [SOURCE.read_text("utf-8"), *FLAGS, platform.machine(), _processor()]
    return "blocks-" + hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]


def _processor() -> str:
    """Return model and features of the first CPU.

    Machines with the same home folder may differ in them.
    """
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        about = list(takewhile(str.strip, lines))
    return "".join(line for line in about if line.startswith(("model name", "flags", "Features")))
