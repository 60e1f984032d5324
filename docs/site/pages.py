"""Gather the site's pages from the repository, and lay out the navigation.

README.md is the home page. docs/ lies below it, notebooks become Markdown, and API pages come from the
source code. Every file in docs/guide, docs/chapters and docs/decisions appears without an entry here.
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
    *("mask", "graph", "positions", "qkv", "buffers", "block", "cross", "ladder"),
)
"""Reading order of the chapters; others follow."""
GUIDE = (
    *("start-here", "data", "planning", "tasks", "chat", "options", "writing", "runs", "notebook"),
    *("seeing-inside", "evaluation", "copying", "report", "comparing", "sharing", "speed", "extending"),
)
"""Reading order of the guide; others follow."""
ABOUT = {
    "guide": ("Guide", "One page per subject, in reading order."),
    "guide/zh": ("指南", "每个主题一页，按阅读次序排列。"),
    "chapters": (
        "Chapters",
        "One fact a chapter, each as code that ran. They are notebooks: take one and change it.",
    ),
    "chapters/zh": ("章节", "每章讲一件事，都有运行过的代码。它们是笔记本：拿一本来改，再运行一遍。"),
    "decisions": ("Decisions", ""),
}
FOLDERS = ("guide", "guide/zh", "chapters", "chapters/zh")
"""Folders in the navigation, in order."""
Nav = list[Any]


def gather(root: Path, out: Path) -> Nav:
    """Write all pages below `out`. Returns the navigation: titles and paths, nested."""
    sources = {
        root / "README.md": "index.md",
        root / "README.zh.md": "zh.md",
        root / "CHANGELOG.md": "changelog.md",
    }
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
    home: Nav = [{"Home": "index.md"}, {"中文": "zh.md"}]
    folders = [_folder(out, folder, titles) for folder in FOLDERS]
    api = api_pages(root / "src", "glassgpt")
    for name, text in api.items():
        write(out / name, text)
    names = [name for name in api if name != "api/index.md"]
    reference = ["api/index.md", *({title(api[name], name): name} for name in names)]
    decisions = _folder(out, "decisions", titles)
    others = sorted(n for n in titles if "/" not in n and n not in ("index.md", "zh.md", "changelog.md"))
    rest = [{titles[n]: n} for n in [*others, "changelog.md"]]
    return [*home, *(f for f in folders if f), {"API": reference}, *([decisions] if decisions else []), *rest]


def _folder(out: Path, folder: str, titles: dict[str, str]) -> dict[str, Nav] | None:
    """The navigation of one folder, and its index with a list of its pages; None where it has none."""
    inside = [n for n in titles if Path(n).parent.as_posix() == folder]
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
    """Sort key of a page: its place in the reading order of its folder, then its name."""
    order = {"chapters": CHAPTERS, "guide": GUIDE}.get(name.split("/")[0], ())
    stem = Path(name).stem
    return (order.index(stem) if stem in order else len(order), name)


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
