"""The documentation site: a strict build, no external resources, complete links and names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import glassgpt

for module in ("zensical", "mkdocstrings_handlers.python", "latex2mathml"):
    pytest.importorskip(module, reason="the site needs its extra: pip install '.[docs]'")

ROOT = Path(__file__).parents[2]
LOADS = {
    *(
        ("script", "src"),
        ("img", "src"),
        ("iframe", "src"),
        ("source", "src"),
        ("video", "src"),
        ("audio", "src"),
    ),
    *(("object", "data"), ("embed", "src"), ("use", "href"), ("image", "href"), ("img", "srcset")),
}
"""Attributes that a browser fetches by itself. It also fetches a <link>, unless that only names a page."""
NAMES = {"canonical", "next", "prev", "alternate", "license"}


class Page(HTMLParser):
    """Links, anchors, resources and text of one page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.styles = " ".join(re.findall(r"<style[^>]*>(.*?)</style>", html, re.DOTALL))
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors.update(given[name] for name in ("id", "name") if name in given)
        self.styles += " " + given.get("style", "")
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        self.loads += [value for name, value in given.items() if (tag, name) in LOADS]
        if tag == "link" and given.get("rel") not in NAMES:
            self.loads.append(given["href"])


def build(root: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "docs" / "site" / "build.py"), "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def read(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this checkout."""
    out = tmp_path_factory.mktemp("docs") / "out"
    done = build(ROOT, out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    return out / "site"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small repository with one file of each kind, built by the same script."""
    root = tmp_path / "checkout"
    shutil.copytree(
        ROOT / "docs" / "site", root / "docs" / "site", ignore=shutil.ignore_patterns("__pycache__")
    )
    cells = [
        {"cell_type": "markdown", "source": ["# 缩放\n\n", "$\\sqrt{d}$ for $5, [home](../../README.md)"]},
        {
            "cell_type": "code",
            "source": "print('a'); b",
            "outputs": [
                {"output_type": "stream", "text": ["\x1b[31mprin", "ted\x1b[0m\n"]},
                {"output_type": "stream", "text": ["on\n"]},
                {
                    "output_type": "display_data",
                    "data": {"image/svg+xml": "<svg/>", "text/plain": ["a [curve]"]},
                },
                {"output_type": "execute_result", "data": {"text/html": "<table>\n\n<tr></tr></table>"}},
            ],
        },
    ]
    files = {
        "README.md": "# Home\n\n[notes](docs/guide/notes.md#two), [law](LICENSE), [code](src/)\n\n"
        "```\n[x](no.md)\n```\n",
        "README.zh.md": "# 首页\n",
        "CHANGELOG.md": "# Changelog\n",
        "LICENSE": "free\n",
        "docs/guide/notes.md": "# Notes\n\n## Two\n\n[home](../../README.md), [one](../decisions/1.md)\n",
        "docs/decisions/README.md": "# Why\n",
        "docs/decisions/1.md": "# First\n",
        "docs/chapters/scale.ipynb": json.dumps({"cells": cells}),
        "src/glassgpt/__init__.py": "from glassgpt.small import new\n__all__ = ['new']\n",
        "src/glassgpt/small/__init__.py": "from glassgpt.small.a import Box, new\n__all__ = ['Box', 'new']\n",
        "src/glassgpt/small/a.py": 'class Box:\n    """Holds."""\n    size: int = 3\n    """How much."""\n\n'
        'def new(x: int) -> Box:\n    """Makes a box. So it does.\n\n    >>> new(2).size\n    3\n    """\n',
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


@pytest.mark.parametrize("name", glassgpt.__all__)
def test_every_public_name_is_documented(site: Path, name: str) -> None:
    home = glassgpt._HOME_OF[name]
    place = f"glassgpt.{home}.{name}" if name == home else f"glassgpt.{name}"
    pages = [path for path in (site / "api").rglob("*.html") if f'id="{place}"' in path.read_text("utf-8")]
    assert len(pages) == 1 and pages[0].parent.name == home


def test_the_examples_of_its_own_code_hold() -> None:
    folder = ROOT / "docs" / "site"
    command = [sys.executable, "-B", "-m", "doctest", *map(str, folder.glob("*.py"))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def broken(site: Path) -> list[str]:
    """Broken internal links and resources, with their page."""
    pages = read(site)
    found: list[str] = []
    for path, page in pages.items():
        if path.name == "404.html":  # is served at any address, so its links start at the root
            continue
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and target in pages and anchor not in pages[target].anchors):
                found.append(f"{path.relative_to(site)}: {link}")
    return found


def test_internal_links_resolve(site: Path) -> None:
    assert len(read(site)) > 20
    assert broken(site) == []


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    outside = re.compile(r"^\s*(https?:)?//")
    for path, page in read(site).items():
        assert page.loads and not [load for load in page.loads if outside.match(load)], path
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", page.styles), path
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", path.read_text("utf-8")), path


def test_every_file_appears(checkout: Path, tmp_path: Path) -> None:
    done = build(checkout, tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "out" / "site"
    assert broken(site) == []
    home, api, chapter = (
        (site / name / "index.html").read_text("utf-8") for name in (".", "api/small", "chapters/scale")
    )
    assert "Notes" in (site / "guide" / "index.html").read_text("utf-8")
    assert 'href="guide/notes/#two"' in home and "[x](no.md)" in home and ">code</a>" not in home
    assert (site / "files" / "LICENSE").read_text() == "free\n"
    assert 'id="glassgpt.new"' in api and 'id="glassgpt.small.Box.size"' in api and "How much." in api
    assert "<blockquote>" not in api and "pycon" in api
    assert "<msqrt>" in chapter and "$5" in chapter and "\x1b" not in chapter
    assert re.search(r"printed\non\n", re.sub(r"<[^>]+>", "", chapter))
    assert (site / "chapters" / "scale" / "2-2.svg").is_file() and "<table>" in chapter
    index = json.loads((site / "search.json").read_text("utf-8"))
    assert any("缩放" in item["title"] for item in index["items"])
    words = [word for word in re.split(index["config"]["separator"], "缩放 1.5") if word]
    assert words == ["缩", "放", "1.5"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[gone](gone.md)", "links to gone.md"),
        ("[gone](../../README.md#gone)", "#gone"),
        ("[gone][glassgpt.gone]", "glassgpt.gone"),
        ("::: glassgpt.gone", "glassgpt.gone"),
    ],
)
def test_a_broken_link_stops_the_build(checkout: Path, tmp_path: Path, text: str, says: str) -> None:
    (checkout / "docs" / "guide" / "notes.md").write_text(f"# Notes\n\n## Two\n\n{text}\n", "utf-8")
    done = build(checkout, tmp_path / "out")
    assert done.returncode and says in done.stdout + done.stderr
