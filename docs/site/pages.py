"""Gathers the site's pages from where they live in the repository, and lays out the navigation.

README.md is the home page, docs/ lies below it, notebooks become Markdown, and the API pages are made
from the source code. Whatever lies in docs/guide, docs/chapters and docs/decisions appears by itself.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from links import Links
from notebooks import as_markdown
from reference import api_pages

CHAPTERS = (
    *("loss", "sampling", "temperature", "weighted-sum", "query-key", "scale"),
    *("graph", "mask", "cross", "qkv", "buffers", "ladder"),
)
"""The order in which the chapters are read; others follow."""
ABOUT = {
    "guide": ("Guide", "Pages that stand on their own, for what README.md has no room for."),
    "chapters": (
        "Chapters",
        "One fact a chapter, each as code that ran. They are notebooks: take one and change it.",
    ),
    "decisions": ("Decisions", ""),
}
Nav = list[Any]


def gather(root: Path, out: Path) -> Nav:
    """Write all pages below `out`. Returns the navigation: titles and paths, nested."""
    sources = {root / "README.md": "index.md", root / "CHANGELOG.md": "changelog.md"}
    for path in sorted((root / "docs").rglob("*")):
        if path.suffix in (".md", ".ipynb") and "site" not in path.relative_to(root / "docs").parts:
            name = path.relative_to(root / "docs").with_suffix(".md").as_posix()
            sources[path] = re.sub(r"(^|/)README\.md$", r"\1index.md", name)
    links = Links(root, out, sources)
    titles: dict[str, str] = {}
    for source, name in sources.items():
        text = source.read_text("utf-8")
        moved = partial(links.moved, source=source)
        if source.suffix == ".ipynb":
            text = as_markdown(text, source.stem, out / Path(name).with_suffix(""), moved)
        else:
            text = moved(text)
        titles[name] = title(text, source.stem)
        write(out / name, text)
    home: Nav = [{"Home": "index.md"}]
    folders = [_folder(out, folder, titles) for folder in ("guide", "chapters")]
    api = api_pages(root / "src", "glassgpt")
    for name, text in api.items():
        write(out / name, text)
    names = [name for name in api if name != "api/index.md"]
    reference = ["api/index.md", *({title(api[name], name): name} for name in names)]
    decisions = _folder(out, "decisions", titles)
    others = sorted(n for n in titles if "/" not in n and n not in ("index.md", "changelog.md"))
    rest = [{titles[n]: n} for n in [*others, "changelog.md"]]
    return [*home, *(f for f in folders if f), {"API": reference}, *([decisions] if decisions else []), *rest]


def _folder(out: Path, folder: str, titles: dict[str, str]) -> dict[str, Nav] | None:
    """The navigation of one folder, and its index with a list of its pages; None where it has none."""
    inside = [n for n in titles if n.startswith(f"{folder}/")]
    names = sorted((n for n in inside if n != f"{folder}/index.md"), key=_rank)
    if not names:
        return None
    heading, about = ABOUT[folder]
    index = out / folder / "index.md"
    text = index.read_text("utf-8").rstrip() if index.is_file() else f"# {heading}\n\n{about}"
    listed = "\n".join(f"- [{titles[n]}]({n.removeprefix(f'{folder}/')})" for n in names)
    write(index, f"{text}\n\n{listed}\n")
    return {heading: [f"{folder}/index.md", *({titles[n]: n} for n in names)]}


def _rank(name: str) -> tuple[int, str]:
    stem = Path(name).stem
    known = name.startswith("chapters/") and stem in CHAPTERS
    return (CHAPTERS.index(stem) if known else len(CHAPTERS), name)


def title(text: str, otherwise: str) -> str:
    """The first heading of a page, as plain text.

    >>> title("# `glassgpt.nn`", "nn")
    'glassgpt.nn'
    """
    found = re.search(r"^# +(.+?)\s*#*$", text, re.MULTILINE)
    return re.sub(r"[`*]", "", found[1]) if found else otherwise.replace("-", " ").capitalize()


def write(path: Path, text: str) -> None:
    """Write a page, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
