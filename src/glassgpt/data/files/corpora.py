"""Named corpora: `python`, present on every machine, and `shakespeare`."""

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
from glassgpt.language import N_

SHAKESPEARE_URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
SHAKESPEARE_FILE = "tinyshakespeare.txt"
NOT_LIBRARY = frozenset(
    {"test", "tests", "idle_test", "site-packages", "dist-packages", "pydoc_data", "__pycache__"}
)
BYTES_PER_DOCSTRING = 1000
"""Sources with fewer docstrings per byte are not parsed: they cost more time than they yield text."""
STATEMENT_BLOCKS = ("finalbody", "orelse", "handlers", "body")
"""Fields of an AST node with statements. Expressions contain no docstrings."""


def open_python() -> BinaryIO:
    """Open the prose in CPython, as UTF-8: language reference topics and library docstrings.

    It has about 1.8 million characters and takes 2 or 3 seconds to read from the installed sources. There is
    no cache, as each change of the interpreter would invalidate it. Topics and modules are ordered by the
    SHA-256 of their names, so any stretch is a mixture, and the validation split too.
    """
    from pydoc_data.topics import topics

    sections = {f"topic {name}": [text] for name, text in topics.items()} | _library_docstrings()
    order = sorted(sections, key=lambda name: hashlib.sha256(name.encode()).digest())
    seen: set[str] = set()
    documents = ["\n\n".join(_fresh_paragraphs(sections[name], seen)) for name in order]
    return io.BytesIO(("\n\n".join(filter(None, documents)) + "\n").encode("utf-8", "replace"))


def _fresh_paragraphs(texts: list[str], seen: set[str]) -> Iterator[str]:
    """Yield paragraphs that repeat no paragraph and no long line in `seen`.

    Otherwise text copied between modules would occur in both splits. Headings may repeat.
    """
    for text in texts:
        for paragraph in inspect.cleandoc(text).split("\n\n"):
            lines = [line for line in map(str.strip, paragraph.split("\n")) if len(line) >= 60]
            keys = {*lines, paragraph} if len(paragraph) >= 40 else set(lines)
            if paragraph.strip() and not keys & seen:
                seen |= keys
                yield paragraph


def _library_docstrings() -> dict[str, list[str]]:
    """Return the docstrings of the standard library by module, for modules with many."""
    library = Path(sysconfig.get_path("stdlib"))
    found = {}
    collecting = gc.isenabled()
    gc.disable()  # millions of short-lived nodes without cycles: garbage collection would add half the time
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
    """Yield the docstrings of a module, its classes and its functions, in source order.

    >>> list(_docstrings(b"'One.'\\nclass A:\\n  'Two.'\\n  if 1:\\n    def f(): 'Three.'"))
    ['One.', 'Two.', 'Three.']
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in old sources
        try:
            pending: list[ast.AST] = [ast.parse(source)]
        except (SyntaxError, ValueError):  # templates and intentionally invalid files
            return
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if text := ast.get_docstring(node, clean=False):
                yield text
        for block in STATEMENT_BLOCKS:
            inner = getattr(node, block, None)
            if isinstance(inner, list):
                pending.extend(reversed(inner))


def open_shakespeare() -> BinaryIO:
    """Open Tiny Shakespeare, 1,115,394 characters, from $GLASSGPT_DATA or by download.

    Its SHA-256 is verified.
    """
    otherwise = N_("train on 'python', which needs no download")
    return io.BytesIO(known_file(SHAKESPEARE_FILE, SHAKESPEARE_URL, SHAKESPEARE_SHA256, otherwise))


def known_file(name: str, url: str, sha256: str, otherwise: str) -> bytes:
    """Read a file with a known SHA-256: `name` in $GLASSGPT_DATA, or a download from `url`.

    Downloads are cached in the user's cache folder. Raises UserError if the SHA-256 differs or the download
    fails. otherwise: the alternative that the message offers.
    """
    if folder := os.environ.get("GLASSGPT_DATA"):
        path = Path(folder) / name
        if path.is_file():
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != sha256:
                raise UserError(
                    "{path}: its SHA-256 differs from that of the original. Remove or replace it.", path=path
                )
            return data
    return _download(name, url, sha256, otherwise).read_bytes()


def _download(name: str, url: str, sha256: str, otherwise: str) -> Path:
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    try:
        cache = Path(pooch.os_cache("glassgpt"), name)
        return Path(pooch.retrieve(url, f"sha256:{sha256}", cache.name, cache.parent))
    except (OSError, ValueError) as error:  # no network (requests raises OSErrors), or another hash
        raise UserError(
            "{name}: the download failed ({kind}). Put the file from {url} into a folder as {name} and "
            "set GLASSGPT_DATA to that folder, or {otherwise}.",
            name=name,
            kind=type(error).__name__,
            url=url,
            otherwise=otherwise,
        ) from error


NAMED: dict[str, tuple[str, Callable[[], BinaryIO]]] = {
    "python": (f"python ({platform.python_version()})", open_python),
    "shakespeare": ("shakespeare", open_shakespeare),
}
"""By name of the corpus: the document's name and the function that opens it."""
