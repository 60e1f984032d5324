"""Reports of a run: time to write, size, requests of a browser, and mutated numbers that the check names.

`python benchmarks/run_report.py RUN`. Prints JSON. Requests are counted if playwright and a Chromium at
--browser are there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import tempfile
import time
from pathlib import Path
from statistics import median
from unittest.mock import patch

from glassgpt.reports import check, check_report, report


def caught(page: Path, run: Path, n: int) -> int:
    """Return how many of n changed digits the check names."""
    html, rng, found = page.read_text("utf-8"), random.Random(0), 0
    again = report(run, shown=[str(run)])
    digits = [at for at in range(html.index("</head>"), len(html)) if html[at].isdigit()]
    with patch.object(check, "report", lambda *runs, **options: again):
        for at in rng.sample(digits, n):
            other = rng.choice([digit for digit in "0123456789" if digit != html[at]])
            page.write_text(f"{html[:at]}{other}{html[at + 1 :]}", "utf-8")
            found += bool(check_report(page))
    page.write_text(html, "utf-8")
    return found


def requests(page: Path, browser: str) -> int | None:
    """Return the requests of the page besides its own file; None without a browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if not Path(browser).exists():
        return None
    asked: list[str] = []
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = opened.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(page.resolve().as_uri())
        opened.close()
    return sum(not url.startswith(("data:", page.resolve().as_uri())) for url in asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page, times = Path(folder) / "report.html", list[float]()
        for _ in range(6):
            began = time.perf_counter()
            report(given.run, out=page)
            times.append(time.perf_counter() - began)
        found = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "first time, s": round(times[0], 2),
            "then, s": round(median(times[1:]), 2),
            "bytes": page.stat().st_size,
            "requests": requests(page, given.browser),
            "differences of a fresh report": len(check_report(page)),
            "mutated numbers caught": [caught(page, given.run, 200), 200],
        }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
