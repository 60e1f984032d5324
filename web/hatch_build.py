"""What a wheel carries of the lab's page: the built page if there is one, and the sources to build it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = (
    "index.html",
    "package.json",
    "package-lock.json",
    ".npmrc",
    "svelte.config.js",
    "vite.config.ts",
    "src",
)
BUILT = ("index.html", "lab.js", "lab.css")


class LabPage(BuildHookInterface):
    """Adds `web/` to a wheel, as `glassgpt/lab/web` and `glassgpt/lab/built`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":  # the clone has them
            return
        web = Path(self.root, "web")
        files = {web / name: f"glassgpt/lab/web/{name}" for name in SOURCES}
        if _is_fresh(web):
            files |= {web / "dist" / name: f"glassgpt/lab/built/{name}" for name in BUILT}
        build_data["force_include"].update({str(path): inside for path, inside in files.items()})


def _is_fresh(web: Path) -> bool:
    """True if `make page` has built the page, and no source has changed since."""
    built = [web / "dist" / name for name in BUILT]
    if not all(path.is_file() for path in built):
        return False
    changed = max(path.stat().st_mtime for path in (web / "src").rglob("*"))
    return changed <= (web / "dist" / "lab.js").stat().st_mtime
