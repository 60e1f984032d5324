"""Help pages: the first options of a command with a line for each further group, one group, or everything.

cyclopts collects what a page holds; this module lays it out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from inspect import cleandoc
from typing import Any

from cyclopts import App
from cyclopts.help import HelpEntry, HelpPanel, NameRenderer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from glassgpt.cli.examples import EXAMPLES
from glassgpt.errors import UserError
from glassgpt.language import _, join_texts
from glassgpt.option_groups import FIRST
from glassgpt.wrap import WideText

MANY = 15
"""Options of a command above which its page shows the first groups only."""
WIDTH = 100
NAMES = 25
"""Widest column of names."""
ALL = "all"


def print_help(app: App, tokens: Sequence[str], topic: str, console: Console) -> None:
    """Print the help page of the command that the tokens name. Raises UserError for an unknown topic."""
    help_page(app, tokens, console).print(console, topic)


def help_page(app: App, tokens: Sequence[str], console: Console) -> HelpPage:
    """Return the help page of the command that the tokens name."""
    chain, apps, _ = app.parse_commands(tokens)
    page = HelpPage(" ".join(chain), _details(apps[-1]) if chain else [])
    app.help_formatter = page
    app.help_print(tokens, console=console)
    return page


def _details(command: App) -> list[str]:
    """Return the paragraphs of a command's docstring after its first line, without its parameters."""
    about = cleandoc(getattr(command.default_command, "__doc__", None) or "")
    return about.partition("\n\nParameters\n---")[0].split("\n\n")[1:]


class HelpPage:
    """A help page: cyclopts' help formatter collects it, and `print` shows it as a whole."""

    def __init__(self, command: str, details: Sequence[str]) -> None:
        self.command, self.details = command, details
        self.usage = ""
        self.about: list[str] = []
        self.panels: list[HelpPanel] = []

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Take the line of usage."""
        self.usage = str(usage).strip()

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Take the paragraphs about the command: of one that is registered with it, the first line."""
        self.about = "\n".join(_lines(description)).split("\n\n")

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Take a group of arguments, options or commands."""
        self.panels.append(panel)

    def print(self, console: Console, topic: str) -> None:
        """Print the page. Raises UserError for a topic that the command does not have."""
        for part in self._parts(topic):
            console.print(part, width=min(console.width, WIDTH))

    def options(self) -> list[HelpPanel]:
        """Return the groups of the command's options."""
        options = [_only(panel, self._is_option) for panel in self.panels]
        return [panel for panel in options if panel.entries]

    def texts(self) -> Iterator[str]:
        """Yield every text of the page that `_` translates."""
        yield from map(_joined, (*self.about, *self.details))
        for panel in self.panels:
            yield str(panel.title)
            yield from _lines(panel.description)
            yield from (_plain(entry.description) for entry in panel.entries)

    def _parts(self, topic: str) -> Iterator[RenderableType]:
        options = self.options()
        many = sum(len(panel.entries) for panel in options) > MANY
        by_topic = {_topic(panel): panel for panel in options if many}
        if topic in by_topic:
            yield from _group(by_topic[topic], about=True)
            return
        if topic not in ("", ALL):
            raise UserError(_no_topic(topic, by_topic))
        yield from self._head()
        if not many:
            yield from _table(_("Options"), [entry for panel in options for entry in panel.entries])
        elif topic == ALL:
            yield from (part for panel in options for part in _group(panel))
        else:
            names = {group.name for group in FIRST}
            yield from (part for panel in options if panel.title in names for part in _group(panel))
            yield from _more([panel for panel in options if panel.title not in names])
        yield from _examples(self.command)

    def _head(self) -> Iterator[RenderableType]:
        """Yield what comes before the options: usage, description, arguments and commands."""
        entries = [entry for panel in self.panels for entry in panel.entries]
        arguments = [entry for entry in entries if entry.positional_label]
        yield Text(_("Usage: {usage}\n", usage=_usage(self.usage, arguments)), "bold")
        yield from (WideText(_(_joined(part)) + "\n") for part in (*self.about, *self.details))
        yield from _table(_("Arguments"), arguments)
        yield from (part for panel in self.panels if panel.format == "command" for part in _group(panel))

    def _is_option(self, entry: HelpEntry) -> bool:
        """True for an option that the command can use."""
        if self.command != "resume":
            return entry.positional_label is None
        from glassgpt.config import FIXED  # the settings of a run need pydantic

        fixed = {"--" + name.replace("_", "-") for name in FIXED}
        return entry.positional_label is None and not fixed & {*entry.names}


def _no_topic(topic: str, topics: Iterable[str]) -> str:
    flags = " ".join(f"--help-{name}" for name in topics)
    remedy = _("There are {flags} and --help-all.", flags=flags) if flags else _("--help lists all options.")
    return _("--help-{topic}: no such group of options. {remedy}", topic=topic, remedy=remedy)


def _usage(usage: str, arguments: Sequence[HelpEntry]) -> str:
    """Return the line of usage with the names of the arguments before the options."""
    optional = " ".join(f"[{each.positional_label}{{0}}]" for each in arguments if not each.required)
    named = re.sub(r"\[ARGS(\.\.\.)?\]", lambda match: optional.format(match[1] or ""), usage)
    return named.replace(" [OPTIONS]", "") + " [OPTIONS]" * ("[OPTIONS]" in named)


def _only(panel: HelpPanel, wanted: Callable[[HelpEntry], bool]) -> HelpPanel:
    """Return a group of options with the wanted ones; commands are no options."""
    entries = [entry for entry in panel.entries if panel.format == "parameter" and wanted(entry)]
    return panel.copy(entries=entries)


def _topic(panel: HelpPanel) -> str:
    return str(panel.title).lower()


def _group(panel: HelpPanel, about: bool = False) -> Iterator[RenderableType]:
    """Yield a group with its title; with `about`, also what its help says after the first line."""
    yield from _table(_(str(panel.title)), panel.entries)
    if about and (rest := _lines(panel.description)[1:]):
        yield from (WideText(_(line)) for line in rest)


def _table(title: str, entries: Sequence[HelpEntry]) -> Iterator[RenderableType]:
    """Yield a titled table of options, arguments or commands, and a blank line."""
    if entries:
        yield Text(title, "bold")
        yield _columns([(_names(entry), description(entry)) for entry in entries])


def _columns(rows: Sequence[tuple[RenderableType, RenderableType]]) -> RenderableType:
    """Return names and descriptions in two columns, with a blank line below."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", max_width=NAMES)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    return Padding(table, (0, 0, 1, 2))


def _names(entry: HelpEntry) -> RenderableType:
    """Return the names of an option. One that is off by default needs no name to switch it off."""
    if entry.positional_label:
        return entry.positional_label
    if entry.default == "False":
        entry = entry.copy(negative_names=())
    return NameRenderer(NAMES)(entry)


def description(entry: HelpEntry) -> Text:
    """Return what an option does, and its choices and default where the sentence does not name them."""
    about = _plain(entry.description)
    known = set(re.findall(r"[\w-]+", about))
    facts = []
    if entry.choices and not known >= {*entry.choices}:
        facts.append(", ".join(entry.choices))
    if entry.default not in (None, "False", "True", '""'):
        facts.append(_("default {value}", value=entry.default.removesuffix(".0")))
    if entry.required and not entry.positional_label:
        facts.append(_("required"))
    return WideText.assemble(_(about), (f" [{_(join_texts('; ', facts))}]", "dim") if facts else "")


def _more(panels: Sequence[HelpPanel]) -> Iterator[RenderableType]:
    """Yield a line for each group that the page leaves out."""
    yield Text(_("More options, or all with --help-all"), "bold")
    yield _columns([(f"--help-{_topic(panel)}", _(_lines(panel.description)[0])) for panel in panels])


def _examples(command: str) -> Iterator[RenderableType]:
    """Yield commands that work as they stand."""
    if lines := EXAMPLES.get(command):
        yield Text(_("Examples"), "bold")
        yield Text("\n".join(f"  {line}" for line in lines))


def _plain(content: Any) -> str:
    """Return the text of what cyclopts made of a docstring, on one line."""
    return _joined(" ".join(_lines(content)))


def _lines(content: Any) -> list[str]:
    return str(getattr(content, "primary_renderable", content) or "").splitlines() or [""]


def _joined(text: str) -> str:
    return " ".join(text.split())
