"""The API pages: one a package, with the names that its `__all__` promises.

The source is read, not imported: no page needs torch. A new public name or package appears by itself.
"""

from __future__ import annotations

import re
from pathlib import Path

import griffe

ORDER = (
    *("config", "tokenizers", "nn", "models", "data", "checkpoint", "generate"),
    *("diagnose", "lens", "train", "explain"),
)
"""As the house stands, from the ground up; packages that are not named here follow."""
HIDDEN = ("cli",)
"""A command line has its own help."""


def api_pages(source: Path, name: str) -> dict[str, str]:
    """From a page's path to its Markdown, for the package `name` below `source`."""
    top = griffe.load(name, search_paths=[source])
    public = _exports(top)
    homes = {n: _home(top, n) for n in public}
    packages = [n for n, member in top.members.items() if not member.is_alias and member.is_module]
    shown = [p for p in packages if p not in HIDDEN and (p in homes.values() or _exports(top[p]))]
    shown.sort(key=lambda p: (ORDER.index(p) if p in ORDER else len(ORDER), p))
    pages = {"api/index.md": ""}
    index = [f"# API\n\nNames of `import {name}`, and the other public names of its packages."]
    for package in shown:
        daily = [n for n in public if homes[n] == package]
        more = [n for n in _exports(top[package]) if n not in daily]
        pages[f"api/{package}.md"] = _page(f"{name}.{package}", name, daily, more)
        index.append(f"## [{package}]({package}.md)\n\n{_first_sentence(top[package])}")
        index.append("\n".join(_line(n, name, package, _first_sentence(top[package][n])) for n in daily))
        rest = ", ".join(f"[`{n}`][{name}.{package}.{n}]" for n in more)
        index.append(f"In the package: {rest}." if rest else "")
    pages["api/index.md"] = "\n\n".join(index) + "\n"
    return pages


def _line(n: str, name: str, package: str, sentence: str) -> str:
    """Return the line of a public name. A function named as its package stands below the package."""
    place = f"{name}.{package}.{n}" if n == package else f"{name}.{n}"
    return f"- [`{n}`][{place}]: {sentence}"


def _page(path: str, name: str, daily: list[str], more: list[str]) -> str:
    parts = [f"# `{path}`", f"::: {path}\n    options:\n{_PROSE_ONLY}"]
    for heading, prefix, names in ((f"As `{name}.…`", name, daily), (f"As `{path}.…`", path, more)):
        if names:
            shown = (
                path if f"{prefix}.{n}" == path else prefix for n in names
            )  # a function named as its package
            parts += [f"## {heading}", *(f"::: {each}.{n}" for each, n in zip(shown, names, strict=True))]
    return "\n\n".join(parts) + "\n"


_PROSE_ONLY = "".join(
    f"      {option}: false\n" for option in ("show_root_heading", "show_root_toc_entry", "members")
)


def _exports(module: griffe.Object | griffe.Alias) -> list[str]:
    return sorted(str(n) for n in module.exports or () if not str(n).startswith("__"))


def _home(top: griffe.Object | griffe.Alias, name: str) -> str:
    """The package, directly below the top, that a public name comes from."""
    member = top.members[name]
    target = member.target_path if isinstance(member, griffe.Alias) else member.path
    return target.split(".")[1]


def _first_sentence(thing: griffe.Object | griffe.Alias) -> str:
    text = thing.docstring.value if thing.docstring else ""
    first = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=\.)\s(?=[A-Z`])", first)[0]
