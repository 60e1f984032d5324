"""The lab in a real browser: every run and view, without an error, and nothing asked beyond loopback."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

import glassgpt as gg
from glassgpt.explain import BUILTIN, held_out_prompt
from glassgpt.lab import open_lab, write_page
from glassgpt.lab.offline import widget_values
from glassgpt.lab.page import page_folder
from helpers.browser import assert_shown, shown_tables
from helpers.explain_runs import small_run

pytestmark = [pytest.mark.browser, pytest.mark.slow]
uvicorn = pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a lab over the runs of the package, and a damaged one."""
    from glassgpt.lab.app import make_app

    folder = tmp_path_factory.mktemp("runs")
    for name in ("text", "dates", "scenes"):
        shutil.copytree(BUILTIN / name, folder / name)
    (folder / "broken").mkdir()
    (folder / "broken" / "config.json").write_text("{", "utf-8")
    lab = open_lab(folder, None)
    app = make_app(lab.folder, lab.page, token=lab.token, port=lab.port)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [lab.socket]}, daemon=True)
    thread.start()
    yield lab.address
    server.should_exit = True
    thread.join(10)


class Watched:
    """A page that notes errors, and requests that leave an origin."""

    def __init__(self, browser: Any, origin: str, **options: Any) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(**options)
        self.page.on("console", lambda m: m.type in ("error", "warning") and self.problems.append(m.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self._note(request.url, origin))

    def _note(self, url: str, origin: str) -> None:
        self.requests.append(url)
        if not url.startswith((origin, "data:", "blob:")):
            self.problems.append(f"left {origin}: {url}")


LOOKS = [
    {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
    {"viewport": {"width": 1024, "height": 800}, "color_scheme": "dark", "reduced_motion": "reduce"},
    {"viewport": {"width": 1920, "height": 1080}, "color_scheme": "light", "locale": "zh-CN"},
]


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: str(look["viewport"]["width"]))
def test_every_run_and_view_is_drawn(browser: Any, address: str, look: dict[str, Any]) -> None:
    origin = address.split("/?")[0]
    watched = Watched(browser, origin, **look)
    page = watched.page
    page.goto(address)
    page.wait_for_selector("tbody tr")
    assert page.url == f"{origin}/" and page.locator("tbody tr").count() == 4
    assert page.locator("tbody a").count() == 3  # the damaged run is listed, and not opened
    for name in ("text", "dates", "scenes"):
        page.goto(f"{origin}/")
        page.click(f"tbody a:text-is('{name}')")
        page.wait_for_selector("h1")
        page.locator("[role=tab]").nth(1).wait_for()
        n = page.locator("[role=tab]").count()
        for i in range(n):
            page.locator("[role=tab]").nth(i).click()
            page.wait_for_timeout(400)
            assert page.locator("[role=alert]").count() == 0
        assert page.locator(".token").count() > 0
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 1, f"{name}: the page is {wide} px wider than the window"
    assert not watched.problems
    page.close()


def test_the_next_token_shown_is_the_recorders(browser: Any, address: str) -> None:
    watched = Watched(browser, address.split("/?")[0])
    page = watched.page
    page.goto(address)
    page.click("tbody a:text-is('text')")
    page.locator("[role=tab]").nth(1).wait_for()
    page.locator("[role=tab]").nth(1).click()
    page.fill("textarea", "the moon sees")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=T = ")
    seen = gg.trace(*gg.load_run(BUILTIN / "text"), "the moon sees")
    page.wait_for_selector(f"text=T = {len(seen.tokens)}")
    shown = page.locator("section p", has=page.locator(".next")).first.inner_text()
    for _, p in seen.predictions[-1]:
        assert f"{100 * p:.1f}%" in shown
    page.close()


def test_a_long_prompt_gets_a_sentence(browser: Any, address: str) -> None:
    page = Watched(browser, address.split("/?")[0]).page
    page.goto(address)
    page.click("tbody a:text-is('text')")
    page.locator("[role=tab]").nth(1).wait_for()
    page.locator("[role=tab]").nth(1).click()
    page.fill("textarea", "moon " * 3000)
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    assert "tokens" in page.locator("[role=alert]").inner_text()
    page.close()


PROMPTS: dict[str, dict[str, Any]] = {
    "text": {"text": "the moon"},
    "dates": {"text": "3 May 1999"},
    "encoder": {"text": "the m[?]n"},
    "bigram": {"text": "the moon"},
}


@pytest.mark.parametrize("name", ["text", "dates", "scenes", "encoder", "bigram"])
def test_the_offline_file_asks_for_nothing(browser: Any, tmp_path: Path, name: str) -> None:
    """Each family, opened from the disk: its tabs, its tokens, and its audit where it has heads."""
    run = BUILTIN / name if (BUILTIN / name).is_dir() else small_run(tmp_path, name)
    model, tokenizer = gg.load_run(run)
    prompt = PROMPTS.get(name) or held_out_prompt(run)
    file = write_page(gg.trace(model, tokenizer, **prompt), model, tokenizer, tmp_path / f"{name}.html")
    assert file.stat().st_size < 5_000_000
    watched = Watched(browser, file.as_uri())
    watched.page.goto(file.as_uri())
    watched.page.wait_for_selector(".token")
    tabs = watched.page.locator("[role=tab]").all()
    assert len(tabs) >= (1 if name == "bigram" else 2)
    for tab in tabs:
        tab.click()
        watched.page.wait_for_timeout(300)
        if tab.get_attribute("data-tab") == "walk":
            watched.page.wait_for_selector("[data-audit]")
    assert watched.requests == [file.as_uri()] and not watched.problems
    watched.page.close()


RENDER = """async ([script, values, bytes]) => {
    const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    const { default: widget } = await import(url);
    const numbers = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
    const all = { ...values, blob: new DataView(numbers.buffer) };
    widget.render({ model: { get: (name) => all[name] }, el: document.getElementById("here") });
}"""


def test_the_widget_draws_from_what_a_notebook_sends(browser: Any, tmp_path: Path) -> None:
    folder = page_folder()
    model, tokenizer = gg.load_run(BUILTIN / "text")
    header, blob, labels = widget_values(gg.trace(model, tokenizer, "the moon"), model, tokenizer)
    page = Watched(browser, "about:blank").page
    page.set_content("<body style='background: rgb(1, 2, 3)'><div id=here></div></body>")
    page.add_style_tag(content=(folder / "lab.css").read_text("utf-8"))
    values = {"header": header, "vocabulary": labels, "view": ""}
    script = (folder / "lab.js").read_text("utf-8")
    page.evaluate(RENDER, [script, values, base64.b64encode(blob).decode()])
    page.wait_for_selector("#here .token")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(1, 2, 3)"  # the notebook keeps its own colors
    accent = page.evaluate(
        "getComputedStyle(document.querySelector('[aria-selected=true]')).borderBottomColor"
    )
    assert accent == "rgb(10, 93, 145)"  # and the widget has ours
    page.close()


HOSTS = {
    "jpThemeLight": ("true", "false"),
    "vscodeThemeKind": ("vscode-light", "vscode-dark"),
    "theme": ("light", "dark"),
}
"""Data of the body by which a notebook tells its theme: JupyterLab, Visual Studio Code, marimo."""


@pytest.mark.parametrize("host", HOSTS)
def test_the_widget_has_the_colors_of_its_notebook(browser: Any, host: str) -> None:
    folder = page_folder()
    model, tokenizer = gg.load_run(BUILTIN / "text")
    header, blob, labels = widget_values(gg.trace(model, tokenizer, "moon"), model, tokenizer)
    page = Watched(browser, "about:blank").page
    page.emulate_media(color_scheme="dark")
    light, dark = HOSTS[host]
    page.evaluate(f"document.body.dataset.{host} = '{light}'")
    page.evaluate("document.body.append(Object.assign(document.createElement('div'), {id: 'here'}))")
    page.add_style_tag(content=(folder / "lab.css").read_text("utf-8"))
    values = {"header": header, "vocabulary": labels, "view": ""}
    script = (folder / "lab.js").read_text("utf-8")
    page.evaluate(RENDER, [script, values, base64.b64encode(blob).decode()])
    ground = "getComputedStyle(document.querySelector('#here .widget')).backgroundColor"
    page.wait_for_function(f"{ground} === 'rgb(253, 252, 249)'")
    page.evaluate(f"document.body.dataset.{host} = '{dark}'")
    page.wait_for_function(f"{ground} === 'rgb(21, 23, 27)'")
    page.close()


KERNEL = """
import sys, nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
source, out, sockets = sys.argv[1:]
book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel")  # not over TCP
NotebookClient(book, timeout=250, km=manager, store_widget_state=True).execute()
nbformat.write(book, out)
"""


def test_what_a_kernel_sends_is_drawn_with_its_numbers(browser: Any, tmp_path: Path) -> None:
    """`gg.show` in a real kernel; the state that a notebook saves, drawn by the module that it saves."""
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    code = f"import glassgpt as gg\ngg.show({str(BUILTIN / 'text')!r}, 'the moon', view='walk')"
    env = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    with TemporaryDirectory() as sockets:  # their path must be short
        command = [sys.executable, "-c", KERNEL, code, str(tmp_path / "out.ipynb"), sockets]
        ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr[-3000:]
    book = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    shown = next(output.data for output in book.cells[0].outputs if "data" in output)
    id = shown["application/vnd.jupyter.widget-view+json"]["model_id"]
    saved = book.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"][id]
    state, buffers = saved["state"], {"/".join(each["path"]): each["data"] for each in saved["buffers"]}
    watched = Watched(browser, "about:blank")
    watched.page.set_content("<div id=here></div>")
    values = {name: state[name] for name in ("header", "vocabulary", "view")}
    watched.page.evaluate(RENDER, [state["_esm"], values, buffers["blob"]])
    watched.page.locator("[data-audit]").wait_for()
    assert float(watched.page.locator("[data-audit]").get_attribute("data-audit")) <= 1e-5
    watched.page.locator("ol li button").filter(has_text="softmax").last.click()
    weights = shown_tables(watched.page)["walk-blocks.0.attn-0-weights"]
    trace = gg.trace(*gg.load_run(BUILTIN / "text"), "the moon")
    assert_shown(weights, trace.tensors["blocks.0.attn.weights"][0], 4)
    assert not watched.problems
    watched.page.close()
