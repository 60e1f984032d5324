"""Disk space of an install without extras, apart from torch and its dependencies.

    python benchmarks/install_size.py

Follows the requirements of the installed packages, so it may run in an environment that holds more.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from report import write_report


def closure(name: str, seen: set[str] | None = None) -> set[str]:
    """A package and all that it needs here, without extras."""
    seen = set() if seen is None else seen
    name = canonicalize_name(name)
    if name in seen:
        return seen
    try:
        requires = distribution(name).requires or []
    except PackageNotFoundError:  # an optional need that is not installed
        return seen
    seen.add(name)
    for requirement in map(Requirement, requires):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            closure(requirement.name, seen)
    return seen


def megabytes(name: str) -> float:
    """Size of a package's files, byte code included."""
    paths = {Path(str(file.locate())) for file in distribution(name).files or []}
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def main() -> None:
    sizes = {name: round(megabytes(name), 1) for name in closure("glassgpt") - closure("torch")}
    total = round(sum(sizes.values()), 1)
    largest = dict(sorted(sizes.items(), key=lambda item: -item[1])[:8])
    print(f"{total} MB in {len(sizes)} packages; the largest: {largest}")
    write_report("install_size", {"megabytes": total, "packages": sizes})


if __name__ == "__main__":
    main()
