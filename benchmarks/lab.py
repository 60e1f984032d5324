"""The bars of the lab: start, sizes, requests, and how quickly a page answers, in a headless Chromium.

    python benchmarks/lab.py                # about four minutes on two cores; needs '.[dev]'
    python benchmarks/lab.py warm small     # only these parts; the results file is written for all of them
    python benchmarks/lab.py --json FILE    # writes the figures there, too

Models: the three that come with the package, a GPT-2 of random weights (12 x 12 heads, 256 tokens), and one
of 10 M parameters. A key or a slider counts from the event to the frame that shows its result. Exits with 1
where a bar is missed. For Linux.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from random_gpt2 import make_gpt2
from report import machine, write_report

BARS = {
    "cold build, start and view, s": 180.0,
    "warm start and view, s": 2.0,
    "page, compressed, kB": 500.0,
    "offline file, largest, MB": 5.0,
    "offline file, requests": 0.0,
    "key step, p95, ms": 50.0,
    "slider, p95, ms": 50.0,
    "first view of GPT-2 after load, s": 2.0,
    "key step of GPT-2, p95, ms": 50.0,
    "cell of GPT-2, p95, ms": 50.0,
    "slider of GPT-2, p95, ms": 50.0,
    "two heads ablated at 10 M, ms": 300.0,
    "memory with 10 M open, MB": 600.0,
}
FAMILIES = ("text", "dates", "scenes")
TEXT = "the moon sees"
N_EVENTS = 60
TIMER = """
window.measured = [];
for (const type of ["keydown", "input"]) addEventListener(type, (event) => {
  requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => window.measured.push(performance.now() - event.timeStamp);
    channel.port2.postMessage(0);
  });
}, true);
"""
STEPS = "[role=group][aria-label^='Steps'] [aria-current]"
CELLS = "[data-heatmap$='-weights'] svg[tabindex='0']"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", default=list(PARTS), help="cold, warm, sizes, small, mini, gpt2")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--browser", default=shutil.which("chromium"))
    given = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, _browser(given.browser) as browser:
        runs = make_runs(Path(folder), given.part)
        for part in given.part:
            for name, value in PARTS[part](Path(folder), runs, browser).items():
                figures[name] = value
                met = "met" if value <= BARS[name] else "MISSED"
                print(f"  {value:9.2f}  {name} ({met}: {BARS[name]:g})", flush=True)
    if set(given.part) == set(PARTS):
        write_report("lab", {"figures": figures, "bars": BARS})
    if given.json:
        given.json.write_text(
            json.dumps({"machine": machine(), "figures": figures}, indent=1) + "\n", "utf-8"
        )
    sys.exit(any(value > BARS[name] for name, value in figures.items()))


def make_runs(folder: Path, parts: list[str]) -> Path:
    """Return a folder with the three runs of the package, and the models that parts need besides."""
    from glassgpt.explain import BUILTIN
    from glassgpt.train import import_pretrained

    runs = folder / "runs"
    for name in FAMILIES:
        shutil.copytree(BUILTIN / name, runs / name)
    shapes = {"gpt2": {}, "mini": {"n_layer": 8, "n_embd": 320, "n_head": 8, "vocab_size": 1024}}
    for name in shapes.keys() & set(parts):
        shape = shapes[name]
        make_gpt2(folder / f"hf-{name}", **shape)
        import_pretrained(folder / f"hf-{name}", runs / name, compare=False)
    return runs


@contextmanager
def _browser(program: str | None) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def lab(runs: Path, variables: dict[str, str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a lab; yield its address, once it is printed, and its process."""
    words = [sys.executable, "-m", "glassgpt", "lab", str(runs), "--no-open"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables})
    assert process.stdout
    try:
        address = next(word for line in process.stdout for word in line.split() if "token=" in word)
        yield address, process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stdout.close()


def open_view(tab: Any, address: str, run: str, view: str, text: str, ready: str) -> float:
    """Open a view; return the seconds until it is drawn. The runs' page must be open."""
    id = tab.evaluate(
        "async (name) => (await (await fetch('/api/runs')).json()).runs.find((run) => run.name === name).id",
        run,
    )
    query = tab.evaluate("(text) => new URLSearchParams({text}).toString()", text)
    began = time.perf_counter()
    tab.goto(f"{address.split('/?')[0]}/#/runs/{id}/{view}?{query}")
    tab.reload()
    tab.locator(ready).first.wait_for()
    return time.perf_counter() - began


def start(runs: Path, browser: Any, variables: dict[str, str]) -> float:
    """Return the seconds from the command to a drawn attention walk."""
    began = time.perf_counter()
    with lab(runs, variables) as (address, _):
        tab = browser.new_page()
        tab.goto(address)
        open_view(tab, address, "text", "walk", TEXT, "[data-audit]")
        seconds = time.perf_counter() - began
        tab.close()
    return seconds


def cold(folder: Path, runs: Path, browser: Any) -> dict[str, float]:
    """Measure a start that builds the page, with nothing in the cache."""
    return {"cold build, start and view, s": start(runs, browser, {"XDG_CACHE_HOME": str(folder / "cache")})}


def warm(folder: Path, runs: Path, browser: Any) -> dict[str, float]:
    """Measure a start with a page that is built."""
    start(runs, browser, {})
    return {"warm start and view, s": min(start(runs, browser, {}) for _ in range(3))}


def sizes(folder: Path, runs: Path, browser: Any) -> dict[str, float]:
    """Measure the page, and the offline file of each family with its requests."""
    import glassgpt as gg
    from glassgpt.explain import held_out_prompt
    from glassgpt.lab import write_page
    from glassgpt.lab.page import page_folder

    page = sum(len(gzip.compress((page_folder() / name).read_bytes())) for name in ("lab.js", "lab.css"))
    largest, asked = 0, list[str]()
    for name in FAMILIES:
        model, tokenizer = gg.load_run(runs / name)
        trace = gg.trace(model, tokenizer, **held_out_prompt(runs / name), pattern="*")
        file = write_page(trace, model, tokenizer, folder / f"{name}.html")
        largest = max(largest, file.stat().st_size)
        tab = browser.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(file.as_uri())
        tab.locator("[data-audit]").wait_for()
        for each in tab.locator("[role=tab]").all():
            each.click()
            tab.wait_for_timeout(300)
        tab.close()
    outside = [url for url in asked if not url.startswith(("data:", "blob:", folder.as_uri()))]
    return {
        "page, compressed, kB": page / 1000,
        "offline file, largest, MB": largest / 1e6,
        "offline file, requests": float(len(outside)),
    }


def p95(tab: Any, keys: tuple[str, str]) -> float:
    """Press two keys in turn at what has the focus; return the 95th percentile of the times, in ms."""
    tab.evaluate("window.measured.length = 0")
    for n in range(N_EVENTS):
        tab.keyboard.press(keys[n // 3 % 2])
        tab.wait_for_timeout(60)
    times = sorted(tab.evaluate("window.measured"))
    return times[int(0.95 * len(times))]


def timed_page(browser: Any, address: str) -> Any:
    tab = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    tab.set_default_timeout(120_000)
    tab.add_init_script(TIMER)
    tab.goto(address)
    return tab


def small(folder: Path, runs: Path, browser: Any) -> dict[str, float]:
    """Measure the built-in run: keys through the steps of a head, and a slider of the bench."""
    with lab(runs, {}) as (address, _):
        tab = timed_page(browser, address)
        open_view(tab, address, "text", "walk", TEXT, "[data-audit]")
        tab.locator(STEPS).focus()
        key = p95(tab, ("ArrowRight", "ArrowLeft"))
        slider = bench(tab, address, "text", TEXT)
        tab.close()
        return {"key step, p95, ms": key, "slider, p95, ms": slider}


def bench(tab: Any, address: str, run: str, text: str) -> float:
    open_view(tab, address, run, "bench", text, "[data-curve]")
    worst = 0.0
    for name in ("temperature", "top-k", "top-p"):
        tab.get_by_role("slider", name=name).focus()
        worst = max(worst, p95(tab, ("ArrowLeft", "ArrowRight")))
    return worst


def mini(folder: Path, runs: Path, browser: Any) -> dict[str, float]:
    """Measure two heads switched off, and the memory of the lab's process after three views."""
    with lab(runs, {}) as (address, process):
        tab = timed_page(browser, address)
        text = "abcdefgh" * 16
        open_view(tab, address, "mini", "walk", text, "[data-audit]")
        open_view(tab, address, "mini", "bench", text, "[data-curve]")
        open_view(tab, address, "mini", "whatif", text, "[data-loss]")
        times = []
        for n in range(10):
            heads = tab.locator("[role=group][aria-label='blocks.3.attn'] button")
            heads.nth(0).click()
            tab.locator("[data-loss]").filter(has_text="→").wait_for()
            shown = tab.locator("[data-loss]").inner_text()
            began = time.perf_counter()
            heads.nth(1 + n % 7).click()
            tab.wait_for_function(
                "(before) => document.querySelector('[data-loss]')?.innerText !== before", arg=shown
            )
            times.append(time.perf_counter() - began)
            tab.get_by_role("button", name="Undo all").click()
            tab.locator("[data-loss]").filter(has_text="nothing changed").wait_for()
        status = Path(f"/proc/{process.pid}/status").read_text()
        memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        tab.close()
        return {
            "two heads ablated at 10 M, ms": 1000 * sorted(times)[len(times) // 2],
            "memory with 10 M open, MB": memory / 1000,
        }


def gpt2(folder: Path, runs: Path, browser: Any) -> dict[str, float]:
    """Measure GPT-2 at 256 tokens, once its weights are in memory."""
    with lab(runs, {}) as (address, _):
        text = "abcdefgh" * 64  # 256 tokens of two letters
        tab = timed_page(browser, address)
        open_view(tab, address, "gpt2", "walk", "abc", "[data-audit]")
        first = min(open_view(tab, address, "gpt2", "walk", text, "[data-audit]") for _ in range(3))
        tab.locator(STEPS).focus()
        key = p95(tab, ("ArrowRight", "ArrowLeft"))
        tab.get_by_role("button", name="softmax").last.click()
        tab.locator(CELLS).last.focus()
        cell = p95(tab, ("ArrowUp", "ArrowLeft"))
        slider = bench(tab, address, "gpt2", text)
        tab.close()
        return {
            "first view of GPT-2 after load, s": first,
            "key step of GPT-2, p95, ms": key,
            "cell of GPT-2, p95, ms": cell,
            "slider of GPT-2, p95, ms": slider,
        }


PARTS = {part.__name__: part for part in (cold, warm, sizes, small, mini, gpt2)}

if __name__ == "__main__":
    main()
