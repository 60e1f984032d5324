"""Displays of a training run: live for a terminal, lines for a log, JSON for a program."""

from glassgpt.cli.view.display.base import Display
from glassgpt.cli.view.display.enduring import EnduringDisplay
from glassgpt.cli.view.display.json_lines import JsonDisplay
from glassgpt.cli.view.display.live import LiveDisplay
from glassgpt.cli.view.display.plain import PlainDisplay
from glassgpt.cli.view.terminal import Terminal

__all__ = ["Display", "EnduringDisplay", "JsonDisplay", "LiveDisplay", "PlainDisplay", "make_display"]


def make_display(as_json: bool, silent: bool = False) -> Display:
    """Return the display for standard output. A silent one is for the other processes of a training."""
    if silent:
        return Display()
    if as_json:
        return EnduringDisplay(JsonDisplay())
    console = Terminal()
    return EnduringDisplay(LiveDisplay(console) if console.is_terminal else PlainDisplay(console))
