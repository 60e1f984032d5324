"""Help pages: groups, width, topics, and the guide that shows the same."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest

from glassgpt.cli.help import MANY, help_page
from glassgpt.cli.main import COMMANDS, app
from glassgpt.cli.parse import help_topic, parse
from glassgpt.cli.view.terminal import Terminal
from glassgpt.errors import UserError
from glassgpt.option_groups import GROUPS, MODEL, OUTPUT

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tools"))
import options  # noqa: E402

GROUPED = ("train", "plan", "sample", "compare", "sweep")
"""Commands with many options."""


def page(*words: str) -> str:
    """The help page that a command line shows, 80 columns wide."""
    shown = StringIO()
    parse(app, words, Terminal(shown, width=80))()
    return shown.getvalue()


@pytest.mark.parametrize("command", GROUPED)
def test_every_option_is_in_one_group(command: str) -> None:
    groups = help_page(app, [command], Terminal()).options()
    assert {group.title for group in groups} <= {group.name for group in GROUPS}
    names = [name for group in groups for entry in group.entries for name in entry.names]
    assert len(names) == len(set(names)) > MANY


@pytest.mark.parametrize("command", [*COMMANDS, "bench generate", ""])
def test_pages_fit_a_terminal(command: str) -> None:
    for topic in ("--help", "--help-all"):
        assert max(map(len, page(*command.split(), topic).splitlines())) <= 80


def test_the_page_of_train_is_short_and_begins_with_the_basics() -> None:
    lines = page("train", "--help").splitlines()
    assert len(lines) <= 48  # two screens of 24
    text = "\n".join(lines)
    for flag in ("--minutes", "--size", "--preset", "--out", "--seed", "--tokenizer"):
        assert f"\n  {flag} " in text
    assert "--beta1" not in text and "--help-optimizer" in text


def test_a_topic_is_a_group_and_all_is_everything() -> None:
    everything = page("train", "--help-all")
    for group in (MODEL, OUTPUT):
        lines = page("train", f"--help-{group.name.lower()}").splitlines()
        assert lines[0] == group.name and lines[1] in everything
    assert "a folder of images with captions.csv" in " ".join(page("train", "--help-data").split())


def test_an_unknown_topic_names_the_others() -> None:
    with pytest.raises(UserError, match=r"--help-modle: no such group of options.*--help-model"):
        page("train", "--help-modle")
    with pytest.raises(UserError, match="--help lists all options"):
        page("fill", "--help-model")


def test_what_is_fixed_is_no_option_of_resume() -> None:
    shown = page("resume", "--help-all")
    assert "--minutes" in shown and "--seed" not in shown and "--batch-size" not in shown


def test_after_two_hyphens_a_topic_is_a_word() -> None:
    assert help_topic(["baselines", "--", "--help-all"]) == ("", ["baselines", "--", "--help-all"])


@pytest.mark.parametrize("language", options.PAGES)
def test_the_guide_has_the_same_tables(language: str) -> None:
    """Run `python tools/options.py` to update it."""
    text = options.PAGES[language].read_text("utf-8")
    assert options.replaced(text, language) == text
