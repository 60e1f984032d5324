"""Write the table of packages in README.md: the layers of pyproject.toml and the packages' own first lines.

`python tools/floors.py` updates README.md between the markers; a test fails while they differ.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

from markers import replace_between

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- floors: written by tools/floors.py -->\n", "<!-- end of floors -->"


def layers(root: Path = ROOT) -> list[list[str]]:
    """Read the layers contract of import-linter, from the top floor to the bottom one."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    contract = next(each for each in contracts if each["type"] == "layers")
    return [[name.strip().removeprefix("glassgpt.") for name in row.split("|")] for row in contract["layers"]]


def purpose(package: str, root: Path = ROOT) -> str:
    """Read the first sentence of a package's or module's docstring."""
    path = root / "src" / "glassgpt" / package
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(source.read_text("utf-8"))) or ""
    return docstring.splitlines()[0].split(". ")[0].rstrip(".")


def table(root: Path = ROOT) -> str:
    """Build the Markdown table, one row per floor."""
    rows = ["| floor, top to bottom | purpose |", "|---|---|"]
    for names in layers(root):
        purposes = [purpose(name, root) for name in names]
        rows.append("| " + " · ".join(f"`{name}`" for name in names) + " | " + " · ".join(purposes) + " |")
    return "\n".join(rows) + "\n"


def replaced(text: str, root: Path = ROOT) -> str:
    """Replace the table between the markers of a page."""
    return replace_between(text, BEGIN, END, "\n" + table(root) + "\n")


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit("tools/floors.py takes no arguments: it rewrites the table in README.md")
    readme = ROOT / "README.md"
    readme.write_text(replaced(readme.read_text("utf-8")), "utf-8")
