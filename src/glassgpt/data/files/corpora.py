"""Corpora that have a name instead of a path: `python`, which is on every machine, and `shakespeare`."""

from __future__ import annotations

import ast
import gc
import hashlib
import inspect
import io
import logging
import os
import platform
import sysconfig
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from glassgpt.errors import UserError

SHAKESPEARE_URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
SHAKESPEARE_FILE = "tinyshakespeare.txt"
NOT_LIBRARY = frozenset(
    {"test", "tests", "idle_test", "site-packages", "dist-packages", "pydoc_data", "__pycache__"}
)
BYTES_PER_DOCSTRING = 1000
"""Sources with fewer docstrings than one per so many bytes aren't parsed: they cost more than they hold."""


def open_python() -> BinaryIO:
    """The prose inside every CPython, as UTF-8: the language reference's topics and the library's docstrings.

    About 1.8 million characters, read in 2 or 3 seconds from installed sources; nothing is cached, since a
    cache would have to be invalidated at each change of the interpreter. Topics and modules stand in the
    order of the SHA-256 of their names, so that any stretch is a mixture, the validation split as well.
    """
    from pydoc_data.topics import topics

    sections = {f"topic {name}": [text] for name, text in topics.items()} | _library_docstrings()
    order = sorted(sections, key=lambda name: hashlib.sha256(name.encode()).digest())
    seen: set[str] = set()
    documents = ["\n\n".join(_fresh_paragraphs(sections[name], seen)) for name in order]
    return io.BytesIO(("\n\n".join(filter(None, documents)) + "\n").encode("utf-8", "replace"))


def _fresh_paragraphs(texts: list[str], seen: set[str]) -> Iterator[str]:
    """Paragraphs that repeat nothing in `seen`, neither themselves nor a line long enough to be a copy.

    Without this, what modules copy from each other would stand in both splits. Headings may repeat.
    """
    for text in texts:
        for paragraph in inspect.cleandoc(text).split("\n\n"):
            lines = [line for line in map(str.strip, paragraph.split("\n")) if len(line) >= 60]
            keys = {*lines, paragraph} if len(paragraph) >= 40 else set(lines)
            if paragraph.strip() and not keys & seen:
                seen |= keys
                yield paragraph


def _library_docstrings() -> dict[str, list[str]]:
    """The docstrings of each module of the standard library that has many."""
    library = Path(sysconfig.get_path("stdlib"))
    found = {}
    collecting = gc.isenabled()
    gc.disable()  # millions of short-lived nodes, none in a cycle: collecting would take half as long again
    try:
        for root, folders, files in os.walk(library):
            folders[:] = [each for each in folders if each not in NOT_LIBRARY]
            for path in (Path(root, each) for each in files if each.endswith(".py")):
                source = path.read_bytes()
                if source.count(b'"""') * BYTES_PER_DOCSTRING > len(source):
                    found[path.relative_to(library).as_posix()] = list(_docstrings(source))
    finally:
        if collecting:
            gc.enable()
    return found


def _docstrings(source: bytes) -> Iterator[str]:
    """Docstrings of a module and of the classes and functions in it, in the order of the source.

    >>> list(_docstrings(b"'One.'\\nclass A:\\n  'Two.'\\n  if 1:\\n    def f(): 'Three.'"))
    ['One.', 'Two.', 'Three.']
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in old sources
        try:
            pending: list[ast.AST] = [ast.parse(source)]
        except (SyntaxError, ValueError):  # templates and deliberately broken files
            return
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if text := ast.get_docstring(node, clean=False):
                yield text
        for block in (
            "finalbody",
            "orelse",
            "handlers",
            "body",
        ):  # statements only: expressions hold no docstrings
            inner = getattr(node, block, None)
            if isinstance(inner, list):
                pending.extend(reversed(inner))


def open_shakespeare() -> BinaryIO:
    """Tiny Shakespeare, 1,115,394 characters, from $GLASSGPT_DATA or by download, its SHA-256 verified."""
    otherwise = "train on 'python', which needs no download"
    return io.BytesIO(known_file(SHAKESPEARE_FILE, SHAKESPEARE_URL, SHAKESPEARE_SHA256, otherwise))


def known_file(name: str, url: str, sha256: str, otherwise: str) -> bytes:
    """The bytes of a file that is known in advance: `name` below $GLASSGPT_DATA, or else what `url` holds.

    Downloads are kept in the user's cache. Raises UserError where the SHA-256 differs and, with what can be
    done `otherwise`, where nothing can be downloaded.
    """
    if folder := os.environ.get("GLASSGPT_DATA"):
        path = Path(folder) / name
        if path.is_file():
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != sha256:
                raise UserError(
                    f"{path} is not the known file of that name (its SHA-256 differs); remove or replace it"
                )
            return data
    return _download(name, url, sha256, otherwise).read_bytes()


def _download(name: str, url: str, sha256: str, otherwise: str) -> Path:
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    try:
        cache = Path(pooch.os_cache("glassgpt"), name)
        return Path(pooch.retrieve(url, f"sha256:{sha256}", cache.name, cache.parent))
    except (OSError, ValueError) as error:  # no network (requests' errors are OSErrors); a hash that differs
        raise UserError(
            f"{name} could not be downloaded ({type(error).__name__}). Put the file from {url} into a folder "
            f"as {name} and set GLASSGPT_DATA to that folder, or {otherwise}"
        ) from error


NAMED: dict[str, tuple[str, Callable[[], BinaryIO]]] = {
    "python": (f"python ({platform.python_version()})", open_python),
    "shakespeare": ("shakespeare", open_shakespeare),
}
"""What a name stands for: the document's name and how to open it."""
