"""Every view, in the looks that people have: width, light and dark, reduced motion, Chinese; axe-core; keys.

The fast tests go once over all views, each in another look; the slow ones over all of them in all looks.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from helpers.browser import TOKEN, Lab

pytestmark = pytest.mark.browser
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
KEYS = (
    r"(?<![.\w])(app|runs|train|run|look|walk|heads|head|bench|cross|whatif|rewind|view|chapters|chapter)"
    r"\.[a-z_]+(\.[a-z_]+)*\b"
)
"""Keys of texts, which no reader should see."""


@dataclass(frozen=True)
class Place:
    """A view, and what shows that it is drawn."""

    name: str
    ready: str
    run: str = ""
    text: str = ""

    def open(self, lab: Lab, page: Any) -> None:
        """Open it; wait until it is drawn."""
        if self.run:
            lab.open(page, self.run, self.name, self.text)
        else:
            page.goto(f"http://127.0.0.1:{lab.port}/?token={TOKEN}")
            page.goto(f"http://127.0.0.1:{lab.port}/#/{self.name}")
        page.locator(self.ready).first.wait_for()


PLACES = [
    Place("", "tbody tr"),
    Place("", "svg", "learned"),
    Place("walk", "[data-audit]", "text", "the moon"),
    Place("bench", "[data-curve]", "text", "the moon"),
    Place("whatif", "[data-loss]", "text", "the moon"),
    Place("cross", "[data-head]", "dates", "de: 14. März 2024"),
    Place("cross", "[data-head]", "scenes"),
    Place("rewind", "[data-map]", "learned", "the moon"),
    Place("chapters", "[data-step]"),
    Place("heads", "[data-row]", "text", "the moon sees the moon"),
    Place("heads", "[data-row]", "dates", "de: 14. März 2024"),
    Place("chapters/loss", "[data-chapter]"),
]


@dataclass(frozen=True)
class Look:
    """How a page is looked at."""

    width: int
    scheme: str = "light"
    motion: str = "reduce"
    language: str = "en"

    def put_on(self, page: Any) -> None:
        """Set up a page before it opens."""
        page.set_viewport_size({"width": self.width, "height": 900})
        page.emulate_media(color_scheme=self.scheme, reduced_motion=self.motion)
        page.add_init_script(f"localStorage.setItem('glassgpt-language', '{self.language}')")


FAST = [
    Look(390),
    Look(1024, "dark"),
    Look(1920, motion="no-preference", language="zh"),
    Look(390, "dark", language="zh"),
]
MATRIX = [
    Look(width, scheme, "no-preference" if n % 2 else "reduce", language)
    for n, (width, scheme, language) in enumerate(
        itertools.product((390, 1024, 1920), ("light", "dark"), ("en", "zh"))
    )
]
PAIRS = [pytest.param(place, FAST[n % len(FAST)]) for n, place in enumerate(PLACES)]


def check_view(lab: Lab, page: Any, place: Place, look: Look) -> None:
    """Look at one view in one look. Its console and its requests are watched by the fixture."""
    look.put_on(page)
    place.open(lab, page)
    page.wait_for_load_state("networkidle")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 1, f"the page is {wide} px wider than the window"
    text = page.locator("body").inner_text()
    assert not page.evaluate("([text, keys]) => text.match(new RegExp(keys))?.[0]", [text, KEYS])
    assert page.locator("[role=alert]").count() == 0
    assert any("\u4e00" <= letter <= "\u9fff" for letter in text.replace("中文", "")) == (
        look.language == "zh"
    )
    assert serious(page) == []


def serious(page: Any) -> list[str]:
    """Return what axe-core finds serious or critical: the rule and the place."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm ci in web/")
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("async () => (await axe.run({ resultTypes: ['violations'] })).violations")
    return [
        f"{each['id']}: {node['target']} {node['failureSummary'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize(("place", "look"), PAIRS)
def test_each_view_in_a_look(lab: Lab, page: Any, place: Place, look: Look) -> None:
    check_view(lab, page, place, look)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place.name}-{place.run}")
def test_each_view_in_all_looks(lab: Lab, page: Any, place: Place) -> None:
    problems = []
    for look in MATRIX:
        try:
            check_view(lab, page, place, look)
        except AssertionError as error:
            problems.append(f"{look}: {str(error)[:300]}")
    assert not problems, "\n".join(problems)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place.name}-{place.run}")
def test_everything_is_reached_by_the_tab_key(lab: Lab, page: Any, place: Place) -> None:
    """Each control that can be clicked takes the focus, can be seen then, and lets go of it again."""
    Look(1024).put_on(page)
    place.open(lab, page)
    page.wait_for_load_state("networkidle")
    page.evaluate("document.body.focus()")
    n = page.evaluate(
        """() => [...document.querySelectorAll("a[href], button, select, input, textarea, [tabindex='0']")]
            .filter((each) => !each.disabled && each.tabIndex >= 0 && each.checkVisibility()).length"""
    )
    reached = set()
    for _ in range(n + 3):
        page.keyboard.press("Tab")
        focus = page.evaluate(
            """() => { const each = document.activeElement, style = getComputedStyle(each);
                window.order ??= new Map();
                if (!order.has(each)) order.set(each, order.size);
                return [order.get(each), style.outlineStyle !== "none" && style.outlineWidth !== "0px",
                    each.outerHTML.slice(0, 120), each === document.body]; }"""
        )
        if focus[3]:
            break
        reached.add(focus[0])
        assert focus[1], f"the focus cannot be seen: {focus[2]}"
    assert len(reached) >= n - 3, f"{len(reached)} of {n} controls were reached"


def test_a_walk_through_the_page_by_keys_alone(lab: Lab, page: Any) -> None:
    replace(PLACES[2], ready="[data-audit]").open(lab, page)
    tabs = page.get_by_role("tab")
    tabs.filter(has_text="Attention walk").focus()
    seen = []
    for _ in range(tabs.count()):
        focused = page.evaluate("document.activeElement.dataset.tab")
        page.keyboard.press("ArrowRight")
        page.locator(f"[role=tab][aria-selected=true]:not([data-tab='{focused}'])").wait_for()
        seen.append(page.locator("[role=tab][aria-selected=true]").inner_text())
        assert page.evaluate("document.activeElement.getAttribute('role')") == "tab"
    assert len(set(seen)) == tabs.count()
    page.locator("textarea").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("the noon")
    page.keyboard.press("Enter")
    page.locator("text=T = 8").wait_for()
    page.get_by_role("tab", name="What if").focus()
    page.keyboard.press("Enter")
    page.locator("[data-loss]").wait_for()  # the view has its numbers, so a button keeps the focus
    page.get_by_role("button", name="blocks.0.attn, head 1").focus()
    page.keyboard.press("Space")
    page.locator("[data-loss]").filter(has_text="→").wait_for()


def test_texts_of_a_model_are_shown_as_text(lab: Lab, page: Any) -> None:
    """Markup in a prompt and in a run's own files is never part of the page."""
    attack = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    Place("walk", "[data-audit]", "text", attack).open(lab, page)
    shown = page.locator(".tokens .token").all_text_contents()
    assert "".join(shown).replace("␣", " ") == attack
    run = next(folder for folder in lab.runs.iterdir() if folder.name == "learned")
    sample = run / "samples" / "step-00000001.txt"
    sample.parent.mkdir(exist_ok=True)
    sample.write_text(attack, "utf-8")
    try:
        Place("", "h1", "learned").open(lab, page)
        page.get_by_text(attack).first.wait_for()
    finally:
        sample.unlink()
    assert page.locator("img[src=x]").count() == 0
