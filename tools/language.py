"""Print the language figures of the package: first lines of docstrings, banned words, names, imports.

`python tools/language.py [PACKAGE ...]` prints them and lists offenders. tests/surface/test_language.py holds
their limits.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "glassgpt"
BEGINNINGS = re.compile(r"(What|Which|Whether|How|Of)\b")
RELATIVE = re.compile(r"\b(that|which|what|who|whom|whose|where|whoever|whatever)\b", re.IGNORECASE)
RESHAPE = re.compile(r"\.(view|reshape|transpose|permute|flatten|unflatten|mT)\b")
SHAPED = ("nn", "models", "generate", "hooks", "train")
"""Packages in which every reshape has a comment with the shape."""
BANNED = re.compile(
    r"\b(anew|gone on with|go on with|goes on with|likeliest|whoever|whatever|is said|are said|of which|"
    r"affair|beside)\b",
    re.IGNORECASE,
)
"""Words of the old style. Write: again, resume, most probable, anyone, any, printed, its, next to."""
BANNED_PAGES = ("README.md", "docs/guide/*.md", "docs/glossary.md")
TRANSLATED = ("explain",)
"""Packages whose texts are keys of a translation; `make texts` would lose it."""

Docstring = tuple[str, str]
"""(place, first line)"""


@dataclass
class Figures:
    """Language figures of some files."""

    first_lines: list[Docstring] = field(default_factory=list)
    undocumented: list[str] = field(default_factory=list)
    n_public: int = 0
    reshapes: list[str] = field(default_factory=list)

    @property
    def beginnings(self) -> list[Docstring]:
        """First lines that begin with What, Which, Whether, How or Of."""
        return [each for each in self.first_lines if BEGINNINGS.match(each[1])]

    @property
    def median_words(self) -> float:
        """Median number of words of a first line."""
        return statistics.median(len(line.split()) for _, line in self.first_lines)

    @property
    def relative_words(self) -> float:
        """Relative words (that, which, …) per first line."""
        return sum(len(RELATIVE.findall(line)) for _, line in self.first_lines) / len(self.first_lines)

    @property
    def documented(self) -> float:
        """Fraction of public functions with a docstring."""
        return 1 - len(self.undocumented) / max(1, self.n_public)


SCRIPTS = ("explain/lessons/", "explain/exercises/", "interop/onnx/programs/", "interop/gguf/server.py")
"""Code of the lecture, programs inside an export, and a process of its own."""


def python_files(packages: Sequence[str] = (), source: Path = SOURCE) -> list[Path]:
    """List the Python files of the package, or of some of its packages."""
    files = sorted(source.rglob("*.py"))
    return [p for p in files if not packages or _package(p, source) in packages]


def figures(files: Sequence[Path], source: Path = SOURCE) -> Figures:
    """Compute the figures of docstrings and reshapes."""
    found = Figures()
    for path in files:
        text = path.read_text("utf-8")
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                name = getattr(node, "name", path.name)
                place = f"{path.relative_to(source)}:{getattr(node, 'lineno', 1)} {name}"
                docstring = ast.get_docstring(node)
                if docstring:
                    found.first_lines.append((place, docstring.strip().splitlines()[0]))
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not name.startswith("_"):
                    found.n_public += 1
                    if not docstring:
                        found.undocumented.append(place)
        if _package(path, source) in SHAPED:
            found.reshapes += [f"{path.relative_to(source)}:{n}" for n in bare_reshapes(text)]
    return found


def bare_reshapes(text: str) -> list[int]:
    """Return the numbers of the lines that reshape a tensor without a comment with its shape.

    >>> bare_reshapes("x = x.view(B, T, C)  # (B, T, C)\\ny = y.flatten(1)")
    [2]
    """
    lines = enumerate(text.splitlines(), 1)
    return [
        n
        for n, line in lines
        if RESHAPE.search(line.split("#")[0])
        and not re.search(r"#.*\(", line)
        and not line.strip().startswith(('"', ">>>"))
    ]


def banned_words(root: Path = ROOT) -> Iterator[str]:
    """Find banned words in the comments, docstrings and texts of src, in the README and in the guide."""
    pages = [page for pattern in BANNED_PAGES for page in sorted(root.glob(pattern))]
    source = root / "src" / "glassgpt"
    files = [path for path in python_files(source=source) if _package(path, source) not in TRANSLATED]
    for path in [*pages, *files]:
        for n, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            for word in BANNED.findall(line):
                yield f"{path.relative_to(root)}:{n}: {word}"


def imports_past_a_face(files: Sequence[Path], source: Path = SOURCE) -> Iterator[str]:
    """Find imports of a module inside another top-level package, past the package's `__init__`."""
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("glassgpt."):
                continue
            package, *inside = (node.module or "").split(".")[1:]
            names = [alias.name for alias in node.names if _is_module(source / package, alias.name)]
            if package != _package(path, source) and (inside or names):
                yield f"past a face  {path.relative_to(source)}:{node.lineno}: {node.module}"


def names_in_two_packages(source: Path = SOURCE) -> dict[str, list[str]]:
    """Return public functions and classes defined in two top-level packages.

    A command has the name of the library function that it calls, and `SCRIPTS` are programs of their own.
    """
    homes: dict[str, set[str]] = defaultdict(set)
    for path in python_files(source=source):
        if path.parent.name == "commands" or path.relative_to(source).as_posix().startswith(SCRIPTS):
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                homes[node.name].add(_package(path, source))
    return {name: sorted(found) for name, found in sorted(homes.items()) if len(found) > 1}


def shadowed_modules(source: Path = SOURCE) -> list[str]:
    """Return modules with the name of a function or class that their package exports."""
    found = []
    for init in sorted(source.rglob("__init__.py")):
        if init.parent.name == "commands" or init.parent == source:
            continue
        for node in ast.walk(ast.parse(init.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = [alias.asname or alias.name for alias in node.names]
                found += [
                    f"{init.parent.relative_to(source)}/{name}"
                    for name in names
                    if _is_module(init.parent, name)
                ]
    return sorted(set(found))


def _is_module(package: Path, name: str) -> bool:
    return (package / f"{name}.py").is_file() or (package / name / "__init__.py").is_file()


def _package(path: Path, source: Path) -> str:
    return path.relative_to(source).parts[0].removesuffix(".py")


def main(packages: Sequence[str]) -> None:
    """Print offenders, then the figures."""
    files = python_files(packages)
    found = figures(files)
    for place, line in found.beginnings:
        print(f"beginning  {place}: {line[:90]}")
    for place, line in found.first_lines:
        if len(line.split()) > 14:
            print(f"long  {place}: {line[:120]}")
    for place in found.reshapes:
        print(f"reshape  {place}")
    past = list(imports_past_a_face(files))
    banned = list(banned_words())
    for line in (*past, *banned):
        print(line)
    for name, homes in names_in_two_packages().items():
        print(f"two homes  {name}: {', '.join(homes)}")
    for module in shadowed_modules():
        print(f"shadowed  {module}")
    print(
        f"{len(found.first_lines)} docstrings: What/Which/Whether/How/Of "
        f"{100 * len(found.beginnings) / len(found.first_lines):.1f} %, median {found.median_words:g} words, "
        f"relative words {found.relative_words:.2f}; public functions documented {found.documented:.0%}; "
        f"reshapes without shape {len(found.reshapes)}; imports past a face {len(past)}; "
        f"banned words {len(banned)}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
