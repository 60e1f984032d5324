"""Builds the documentation site: gathers the pages, writes the configuration, runs the generator strictly.

    python docs/site/build.py [--out FOLDER]

Needs the extra: pip install '.[docs]'. The pages lie in FOLDER/pages, the site in FOLDER/site; nothing is
read from elsewhere, while building or while reading. Not a plugin of the generator: what it is given is plain
Markdown and one configuration file, so that another could take its place (docs/decisions/0013-docs-site.md).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from pages import gather

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def configuration(nav: list[Any]) -> dict[str, Any]:
    """settings.yml with what depends on this checkout: the navigation and where the source code lies."""
    settings = yaml.safe_load((HERE / "settings.yml").read_text("utf-8"))
    python = settings["plugins"][-1]["mkdocstrings"]["handlers"]["python"]
    python["paths"] = [str(ROOT / "src")]
    python["options"]["extensions"] = [str(HERE / "doctests.py")]
    return {**settings, "docs_dir": "pages", "site_dir": "site", "nav": nav}


def build(out: Path) -> Path:
    """Build into `out`, which is emptied first. Returns the site's folder; exits where anything is amiss."""
    if out.exists():
        shutil.rmtree(out)
    nav = gather(ROOT, out / "pages")
    shutil.copy(HERE / "site.css", out / "pages")
    shutil.copy(HERE / "mark.svg", out / "pages")
    config = out / "mkdocs.yml"  # JSON is YAML
    config.write_text(json.dumps(configuration(nav), ensure_ascii=False, indent=1), "utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(config)]
    # mathml.py, named in settings.yml, is found through the path.
    environment = {**os.environ, "PYTHONPATH": str(HERE), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", env=environment, stdin=subprocess.DEVNULL
    )
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    if done.returncode or "warning" in said.lower() or not (out / "site" / "index.html").is_file():
        sys.exit(f"{said}\nThe site was not built: see above.")
    return out / "site"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the documentation site.")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "docs", help="an own folder; is emptied")
    site = build(parser.parse_args().out.resolve())
    print(f"{site}\nto read it: python -m http.server --bind 127.0.0.1 --directory {site}")


if __name__ == "__main__":
    main()
