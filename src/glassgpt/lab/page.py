"""The built page: `lab.js`, `lab.css` and `index.html`.

A wheel may carry it. Else it is built once from the sources in `web/`, with Vite, into the user's cache. The
folder's name is a hash of the sources, so an old page is never served. npm downloads the build tools the
first time; the page itself loads nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock
from platformdirs import user_cache_path

from glassgpt.errors import UserError
from glassgpt.lab.node import NodeJs
from glassgpt.language import N_

FILES = ("index.html", "lab.js", "lab.css")
SOURCES = ("index.html", "package.json", "package-lock.json", ".npmrc", "svelte.config.js", "vite.config.ts")
"""Files of `web/` that a build needs, besides `src/`."""
BUILT = Path(__file__).parent / "built"
"""The page that a wheel carries."""
TIMEOUT = 600
"""Seconds for npm, and for Vite."""


def page_folder(tell: Callable[[str], None] = lambda message: None) -> Path:
    """Return the folder of the built page; build it if it is missing.

    tell: called before work that takes seconds. Raises UserError without Node, and if the build fails.
    """
    if _is_whole(BUILT):
        return BUILT
    web = _web()
    target = _cache() / f"page-{_hash(web, _sources(web))}"
    if _is_whole(target):
        return target
    node = NodeJs.find()
    with FileLock(_cache() / "lock"):
        if not _is_whole(target):  # another process may have built it meanwhile
            _build(node, web, target, tell)
    return target


def _is_whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)


def _web() -> Path:
    """Return the folder with the sources: of the package, or of a clone."""
    here = Path(__file__).resolve().parent
    for folder in (here / "web", here.parents[2] / "web"):
        if (folder / "package.json").is_file():
            return folder
    raise UserError(
        "the lab's page is missing in this installation. Install GlassGPT again: pip install 'glassgpt[lab]'"
    )


def _cache() -> Path:
    """Return the folder of the user's cache, which others may not write to."""
    folder = user_cache_path("glassgpt") / "lab"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix" and (folder.stat().st_mode & 0o022 or folder.stat().st_uid != os.getuid()):
            raise PermissionError(13, "others can change it")
    except OSError as error:
        raise UserError(
            "{folder}: the built page cannot be kept there ({reason}). Name a folder of your own in "
            "XDG_CACHE_HOME.",
            folder=folder,
            reason=error.strerror,
        ) from error
    return folder


def _sources(web: Path) -> list[Path]:
    """Return the files that a build reads, in a fixed order."""
    return [web / name for name in SOURCES] + sorted(
        path for path in (web / "src").rglob("*") if path.is_file()
    )


def _hash(web: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(web).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _build(node: NodeJs, web: Path, target: Path, tell: Callable[[str], None]) -> None:
    """Build the page in a temporary folder next to the tools, and rename the result."""
    tools = _tools(node, web, tell)
    tell(N_("building the lab's page"))
    with TemporaryDirectory(dir=tools, prefix="building-") as temporary:
        folder, out = Path(temporary) / "web", Path(temporary) / "out"
        for path in _sources(web):
            copy = folder / path.relative_to(web)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        vite = tools / "node_modules" / "vite" / "bin" / "vite.js"
        _run([*node.node, str(vite), "build", "--logLevel", "warn"], folder, {"GLASSGPT_LAB_OUT": str(out)})
        shutil.copyfile(folder / "index.html", out / "index.html")
        shutil.rmtree(target, ignore_errors=True)  # a damaged one
        out.rename(target)


def _tools(node: NodeJs, web: Path, tell: Callable[[str], None]) -> Path:
    """Return a folder with Vite and Svelte in node_modules, installed once for each lock file."""
    lock = [web / "package.json", web / "package-lock.json", web / ".npmrc"]
    folder = _cache() / f"tools-{_hash(web, lock)}"
    if (folder / "node_modules").is_dir():
        return folder
    tell(N_("installing the tools that build the lab's page (npm, once, about 70 MB)"))
    with TemporaryDirectory(dir=_cache(), prefix="installing-") as temporary:
        made = Path(temporary) / "tools"
        made.mkdir()
        for path in lock:
            shutil.copyfile(path, made / path.name)
        _run([*node.npm, "ci", "--omit=dev", "--no-audit", "--no-fund"], made, {})
        made.rename(folder)
    return folder


def _run(command: list[str], folder: Path, variables: dict[str, str]) -> None:
    """Run a build tool. Raises UserError with the last lines of its output if it fails."""
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "NO_COLOR": "1", "CI": "1", "PATH": path, **variables}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT
        )
        reason = "" if done.returncode == 0 else (done.stderr or done.stdout).strip()[-600:]
    except (OSError, subprocess.SubprocessError) as error:
        reason = str(error)
    if reason:
        raise UserError(
            "the lab's page could not be built:\n{reason}\nCheck the connection to the npm registry, and "
            "try again.",
            reason=reason,
        )
