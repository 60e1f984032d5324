"""The learning path on the terminal: one screen of 80 × 24."""

from __future__ import annotations

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from glassgpt.cli.view.terminal import Terminal
from glassgpt.explain import LearningPath, LearningStep
from glassgpt.language import _
from glassgpt.units import duration

CONTENT = 2
"""Column of a step's content."""


def print_path(path: LearningPath) -> None:
    """Print all steps and the next command."""
    console = Terminal()
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("", width=1, no_wrap=True)
    rows = [_row(step, is_next=step is path.next) for step in path]
    headings = ["", _("step"), _("content"), _("needs"), _("time")]
    widths = [max(cell_len(str(cell)) for cell in cells) for cells in zip(headings, *rows, strict=True)]
    room = (
        console.width - sum(widths) + widths[CONTENT] - 2 * len(widths)
    )  # a narrow terminal cuts the content
    for i, heading in enumerate(headings[1:], 1):
        justify = "right" if i == len(headings) - 1 else "left"
        most = max(room, 10) if i == CONTENT else None
        table.add_column(heading, justify=justify, no_wrap=True, max_width=most)
    for row in rows:
        table.add_row(*row)
    console.table(table)
    console.print()
    if path.next is None:
        console.print(_("You have done all {n} steps.", n=len(path)), style="bold green")
        return
    console.print(_("{done} of {n} done. Next:", done=path.n_done, n=len(path)), style="dim")
    for command in commands(path.next):
        console.say(f"  {command}", "bold")


def print_step(path: LearningPath, step: LearningStep) -> None:
    """Print one step: its content, needs, time and commands, and its neighbors."""
    console = Terminal()
    console.print(
        Text.assemble((step.name, "bold cyan"), f"  {step.title}", ("  ✓" if step.done else "", "green"))
    )
    console.print()
    rows = (
        (_("torch"), step.torch),
        (_("builds on"), ", ".join(step.after)),
        (_("extra"), f"glassgpt[{step.extra}]" if step.extra else ""),
        (_("run"), str(step.run) if step.run else ""),
        (_("time"), duration(step.seconds)),
    )
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for name, text in rows:
        if text:
            table.add_row(Text(name, "dim"), text)
    console.table(table)
    console.print()
    for command in [*commands(step), *_more(path, step)]:
        console.say(f"  {command}", "bold")
    console.print()
    for line in neighbors(path, step.name):
        console.say(line, "dim")


def neighbors(path: LearningPath, name: str) -> list[str]:
    """Return the lines about the step before and the one after, with their commands."""
    found = ((_("before: {step}"), path.before(name)), (_("next: {step}"), path.following(name)))
    return [f"{line.format(step=step.name)}   {step.command}" for line, step in found if step is not None]


def commands(step: LearningStep) -> list[str]:
    """Return the commands of a step: the installation of its extra if that is missing, then its own."""
    install = [f"pip install 'glassgpt[{step.extra}]'"] if step.extra_is_missing else []
    return [*install, step.command]


def _row(step: LearningStep, is_next: bool) -> list[Text | str]:
    mark = Text("✓", "green") if step.done else Text("→" if is_next else "", "bold cyan")
    style = "bold cyan" if is_next else "dim" if step.done else ""
    needs = f"[{step.extra}]" if step.extra_is_missing else ", ".join(step.after[:1])
    return [mark, Text(step.name, style), Text(step.title, style), Text(needs, "dim"), duration(step.seconds)]


def _more(path: LearningPath, step: LearningStep) -> list[str]:
    """Return further commands: the look at a run that is still to be trained."""
    return [step.use_command] if step.train and step.run is None else []
