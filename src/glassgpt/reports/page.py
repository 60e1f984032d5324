"""A report: one HTML file about one run or several, without script, request or font of its own.

Every number comes from the files of the runs, so `check_report` can write the page again and compare. The
page holds no date and no absolute path.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

from glassgpt.atomic_write import replacing
from glassgpt.checkpoint import Run, RunCurve, read_curve
from glassgpt.errors import UserError, cannot_write, missing_extra
from glassgpt.language import LANGUAGES, _, using
from glassgpt.reports.attention_map import inside_section
from glassgpt.reports.blocks import Block, Prose, Section, Table
from glassgpt.reports.details import data_section, machine_section, repeat_section, settings_section
from glassgpt.reports.result import (
    curve_section,
    findings_section,
    forecast_section,
    headline,
    read_forecasts,
    verdict_section,
)
from glassgpt.reports.samples import samples_section
from glassgpt.units import span

FORMAT = 1
"""Format of the page; `check_report` compares pages of one format only."""
HERE = Path(__file__).parent
UNREADABLE = (
    UserError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    IndexError,
    OSError,
)
"""Errors of damaged files: the part is left out, and the report says so."""


@dataclass(frozen=True)
class RunPart:
    """A run in a report."""

    number: int
    title: str
    lead: Sequence[Block]
    sections: Sequence[Section]


@dataclass(frozen=True)
class Page:
    """Everything that the template shows."""

    lang: str
    about: str
    """JSON for `check_report`: format, language, and the runs."""
    kind: str
    title: str
    lead: Sequence[Block]
    runs: Sequence[RunPart]
    end: str


@dataclass(frozen=True, repr=False)
class RunReport:
    """A written report. A notebook shows the page."""

    html: str
    runs: tuple[Path, ...] = field(default=())

    def save(self, path: Path | str) -> Path:
        """Write the page, whole or not at all. Raises UserError if it cannot be written."""
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                temporary.write_text(self.html, "utf-8", newline="\n")
        except OSError as error:
            raise cannot_write(path, error) from error
        return path

    def __repr__(self) -> str:
        return f"<RunReport of {', '.join(map(str, self.runs))}, {len(self.html.encode()):,} bytes>"

    def _repr_html_(self) -> str:
        style = "width: 100%; height: 720px; border: 1px solid rgba(128, 128, 128, 0.4)"
        return f'<iframe sandbox title="report" style="{style}" srcdoc="{escape(self.html)}"></iframe>'


def report(
    *runs: Run | Path | str, out: Path | str | None = None, lang: str = "en", shown: Sequence[str] = ()
) -> RunReport:
    """Write a report of one run, or of several, as one HTML file.

    out: the file to write; without it, only the returned object holds the page. lang: `en` or `zh`. shown:
    the runs' paths as the page names them, by default as given. What of a damaged run cannot be read is left
    out, and the page says so. Raises UserError for a path that is no run, and if `jinja2` is not installed.
    """
    if lang not in LANGUAGES:
        raise UserError("`lang`: {lang!r} is unknown. Give {known}.", lang=lang, known=" or ".join(LANGUAGES))
    if not runs:
        raise UserError("no run is given. Give the folder of a run.")
    template = _template()
    opened = [Run.open(Path(run)) for run in runs]
    names = list(shown) or [str(run) for run in runs]
    with using(lang), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a lost best step: the section of files shows the step that is used
        page = _page(opened, names, lang, Path(out).parent if out else Path())
    html = template.render(page=page, style=(HERE / "page.css").read_text("utf-8"))
    made = RunReport(
        "\n".join(line for line in html.splitlines() if line.strip()) + "\n",
        tuple(run.path for run in opened),
    )
    if out is not None:
        made.save(out)
    return made


@cache
def _template() -> Any:
    """Return the template; everything but our own drawings is escaped. Raises UserError without the extra."""
    try:
        jinja2, markupsafe = import_module("jinja2"), import_module("markupsafe")
    except ImportError as error:
        raise missing_extra("report", "jinja2") from error
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["code"] = lambda text: markupsafe.Markup("").join(_code(markupsafe, text))
    return environment.from_string((HERE / "page.html.j2").read_text("utf-8"))


def _code(markupsafe: Any, text: str) -> Iterator[Any]:
    """Yield the pieces of a text; those in backticks are code."""
    for i, piece in enumerate(text.split("`")):
        yield markupsafe.Markup("<code>{}</code>").format(piece) if i % 2 else markupsafe.escape(piece)


def _page(runs: Sequence[Run], names: Sequence[str], lang: str, folder: Path) -> Page:
    curves = [_curve(run) for run in runs]
    places = [
        {"path": Path(os.path.relpath(run.path, folder)).as_posix(), "shown": name}
        for run, name in zip(runs, names, strict=True)
    ]
    about = json.dumps({"format": FORMAT, "lang": lang, "runs": places}, ensure_ascii=False)
    parts = [
        _run_part(i, run, curve, name)
        for i, (run, curve, name) in enumerate(zip(runs, curves, names, strict=True), 1)
    ]
    several = len(runs) > 1
    title = _("{n} runs", n=len(runs)) if several else parts[0].title
    lead = _comparison(curves) if several else []
    return Page(
        lang,
        about,
        _("Report of a training"),
        title,
        lead,
        parts,
        _(
            "Each number on this page comes from the files of the run. `glassgpt report --check` "
            "computes them again."
        ),
    )


def _curve(run: Run) -> RunCurve | None:
    try:
        return read_curve(run)
    except UNREADABLE:
        return None


def _comparison(curves: Sequence[RunCurve | None]) -> list[Block]:
    """Return the runs in a table, best first, and their curves in one chart if their losses have one unit."""
    known = [curve for curve in curves if curve is not None]
    rows = []
    for curve in sorted(known, key=_rank):
        summary = curve.summary
        result = (
            f"{summary.exact:.1%}"
            if summary.exact is not None
            else f"{summary.nats_per_char or 0:.3f} {_(summary.unit)}"
        )
        rows.append((curve.name, summary.model, result, _(summary.counted)))
    head = (_("run"), _("model"), _("held out"), _("best counted"))
    blocks: list[Block] = [Table(_("the runs, best first"), head, rows, (2,))]
    if len({curve.summary.unit for curve in known}) == 1:
        blocks += curve_section(known).blocks
    return blocks


def _rank(curve: RunCurve) -> tuple[float, float]:
    return -(curve.summary.exact or 0), curve.summary.nats_per_char or float("inf")


def _run_part(number: int, run: Run, curve: RunCurve | None, shown: str) -> RunPart:
    title = Path(shown).name or shown
    if curve is None:
        return RunPart(
            number,
            title,
            [
                Prose(
                    _("config.json of this run cannot be read: {problem}", problem=run.summary().problem),
                    "lead",
                )
            ],
            (),
        )
    builders: list[tuple[str, str, Callable[[], Section | None]]] = [
        ("verdict", _("Verdict"), partial(verdict_section, run, curve)),
        ("curve", _("Learning curve"), lambda: curve_section([curve], read_forecasts(run))),
        ("forecast", _("Forecast and outcome"), partial(forecast_section, run, curve)),
        ("samples", _("Samples through training"), partial(samples_section, run, curve)),
        ("findings", _("Findings"), partial(findings_section, run, curve)),
        ("inside", _("Inside the model"), partial(inside_section, run)),
        ("data", _("Data"), partial(data_section, run)),
        ("settings", _("Settings"), partial(settings_section, run)),
        ("machine", _("Machine and files"), partial(machine_section, run)),
        ("repeat", _("Repeat it"), partial(repeat_section, run, shown)),
    ]
    sections = [_section(*each) for each in builders]
    return RunPart(number, title, _lead(run, curve), [section for section in sections if section is not None])


def _lead(run: Run, curve: RunCurve) -> list[Block]:
    """Return the verdict in words, and what was trained on what."""
    summary = curve.summary
    facts = [
        summary.model,
        ", ".join(summary.sources),
        _("{n:,} steps", n=summary.n_steps) if summary.n_steps else "",
        _(span(summary.minutes)) if summary.minutes else "",
    ]
    try:
        said = headline(run, curve)
    except UNREADABLE as error:
        said = _left_out(error)
    return [Prose(said, "lead"), Prose(" · ".join(filter(None, facts)), "faint")]


def _section(name: str, title: str, build: Callable[[], Section | None]) -> Section | None:
    """Return a section, or one that says why its part of the run is left out."""
    try:
        return build()
    except UNREADABLE as error:
        return Section(name, title, [Prose(_left_out(error), "faint")])


def _left_out(error: Exception) -> str:
    reason = str(error) if isinstance(error, UserError) else type(error).__name__
    return _("This part is left out: {reason}", reason=reason)
