"""Sections about the result of a run: verdict, curve, forecasts, findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from glassgpt.checkpoint import Run, RunCurve, quick_check
from glassgpt.diagnose import MARKS, Finding, Symptom, judged_again, restored_note
from glassgpt.doctor import StoredExamination, examine_outcome, load_examination
from glassgpt.language import N_, _, restored
from glassgpt.reports.blocks import Block, Figure, Prose, Section, Table
from glassgpt.reports.loss_chart import NARROW, WIDE, loss_chart
from glassgpt.safe_io import read_json
from glassgpt.tasks import NOTES

OUTCOMES = {
    "ok": N_("as expected"),
    "warn": N_("worth a look"),
    "fail": N_("wrong"),
    "unclear": N_("too noisy to tell"),
}


def headline(run: Run, curve: RunCurve) -> str:
    """Return the first sentence of a report: the verdict in words, or what is known before it."""
    if curve.verdict is not None:
        return _(judged_again(curve.verdict).sentence)
    loss = curve.best_held_out
    if loss is None:
        return _("This run has no verdict and no evaluation yet.")
    return _(
        "This run has no verdict yet. After {n:,} steps its best held-out loss is {loss:.3f} {unit}.",
        n=curve.n_steps,
        loss=loss,
        unit=_(curve.summary.unit),
    )


def verdict_section(run: Run, curve: RunCurve) -> Section:
    """Return the ranking among the baselines, what it means, and how it was measured."""
    return Section("verdict", _("Verdict"), list(_verdict_blocks(run, curve)))


def _verdict_blocks(run: Run, curve: RunCurve) -> Iterator[Block]:
    if curve.verdict is None:
        yield Prose(
            _("{file} is missing or cannot be read: there is no ranking.", file=run.verdict_file.name),
            "faint",
        )
        return
    verdict = judged_again(curve.verdict)
    table = verdict.table()
    marked = () if table.model is None else (table.model,)
    rows = [tuple(map(_, cells)) for cells in table.rows]
    yield Table(
        _("the model among its baselines, best first"),
        tuple(map(_, table.head)),
        rows,
        range(1, len(table.head)),
        marked,
        table.bars,
    )
    if verdict.scores:
        yield Prose(
            _("Each row predicts the same held-out text. Lower is better; the bars show nats per character."),
            "faint",
        )
    else:
        yield Prose(_("Each row answers the same held-out examples. Higher is better."), "faint")
    if curve.verdict.copying is not None:
        yield Prose(_("copying: {line}", line=curve.verdict.copying.line))
    for note in curve.verdict.notes:
        yield Prose(_("note: {note}", note=restored(restored_note(note), NOTES)), "faint")


def curve_section(curves: Sequence[RunCurve], forecasts: Sequence[dict[str, float]] = ()) -> Section:
    """Return the learning curves of runs, with the counted losses as lines."""
    drawn = [curve for curve in curves if curve.held_out or curve.training]
    if not drawn:
        return Section(
            "curve",
            _("Learning curve"),
            [Prose(_("No evaluation was recorded: there is no curve."), "faint")],
        )
    figure = Figure(
        loss_chart(drawn, forecasts, WIDE), loss_chart(drawn, forecasts, NARROW), _caption(drawn, forecasts)
    )
    return Section("curve", _("Learning curve"), [figure])


def _caption(curves: Sequence[RunCurve], forecasts: Sequence[object]) -> str:
    said = [
        _("Loss in {unit}, lower is better, on a logarithmic scale.", unit=_(curves[0].summary.unit)),
        _("Dots: held-out text, while training. Thin line: training batches."),
    ]
    if any(curve.final_loss is not None for curve in curves):
        said.append(_("Diamond: the verdict, which gives the model more context."))
    if any(curve.baselines for curve in curves):
        said.append(_("Dashed: what counting reaches on the same text."))
    if forecasts:
        said.append(_("Bar at the right: the first forecast, with its 80 % interval."))
    return " ".join(said)


def read_forecasts(run: Run) -> list[dict[str, float]]:
    """Return the forecasts of a run; none if there are none, or if the file is damaged."""
    try:
        stored: Any = read_json(run.forecast_file).get("forecasts", [])
        names = ("progress", "nats_per_char", "low", "high")
        return [{name: float(each[name]) for name in names} for each in stored]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def forecast_section(run: Run, curve: RunCurve) -> Section | None:
    """Return the forecasts next to the outcome; None for a run without forecasts."""
    forecasts = read_forecasts(run)
    if not forecasts:
        return None
    latest = {each["progress"]: each for each in forecasts}  # the last one of a time stands for all of it
    rows = [
        (
            _percent(each["progress"]),
            f"{each['nats_per_char']:.3f}",
            _("{low:.3f} to {high:.3f}", low=each["low"], high=each["high"]),
        )
        for each in latest.values()
    ]
    blocks: list[Block] = []
    loss = curve.final_loss
    if loss is not None:
        first = forecasts[0]
        inside = first["low"] <= loss <= first["high"]
        blocks.append(
            Prose(
                _(
                    "The first forecast was {forecast:.3f} nats per character ({low:.3f} to {high:.3f}). "
                    "The outcome is {loss:.3f}, {off:.1%} away and {where} the interval.",
                    forecast=first["nats_per_char"],
                    low=first["low"],
                    high=first["high"],
                    loss=loss,
                    off=abs(loss / first["nats_per_char"] - 1),
                    where=_("inside") if inside else _("outside"),
                )
            )
        )
        rows.append((_("outcome"), f"{loss:.3f}", ""))
    head = (_("training done"), _("nats/char"), _("80 % interval"))
    marked = (len(rows) - 1,) if loss is not None else ()
    blocks.append(Table(_("forecasts of the final loss"), head, rows, (1, 2), marked))
    return Section("forecast", _("Forecast and outcome"), blocks)


def _percent(progress: float) -> str:
    """Return a share of a training; only its end is 100 %.

    >>> _percent(0.098), _percent(0.997), _percent(1.0)
    ('10%', '99%', '100%')
    """
    return f"{progress if progress >= 1 else min(progress, 0.99):.0%}"


def findings_section(run: Run, curve: RunCurve) -> Section:
    """Return what was checked: the verdict, the outcome as the doctor sees it, and the state of the files."""
    verdict = judged_again(curve.verdict) if curve.verdict else None
    found: list[Finding] = [verdict.finding] if verdict and verdict.finding else []
    # The verdict's own finding says already how the model stands to counting, with advice by its trend.
    recorded = examine_outcome(run)
    found += [each for each in recorded.problems if each.name != "counting"]
    kept = load_examination(run)
    if kept is not None:
        known = {each.name for each in recorded.findings} | recorded.skipped.keys()
        found += [each for each in kept.found.problems if each.name not in known]
    rows = [
        (
            f"{MARKS[each.outcome]} {_title(each)}",
            _figure(each.observed),
            _figure(each.expected),
            _(OUTCOMES[each.outcome]) + (f": {_(each.advice)}" if each.advice else ""),
        )
        for each in found
    ]
    head = (_("finding"), _("measured"), _("expected"), _("outcome"))
    blocks: list[Block] = [Table(_("findings"), head, rows)] if rows else []
    if curve.summary.leak:
        blocks.append(Prose(_("note: {note}", note=curve.summary.leak)))
    health = quick_check(run)
    blocks += _doctor_blocks(run, kept)
    if health == "ok":
        blocks.append(Prose(_("The checkpoints are whole, by names and sizes."), "faint"))
    else:
        blocks.append(Prose(_("Checkpoints: {health}.", health=_(health))))
    return Section("findings", _("Findings"), blocks)


def _doctor_blocks(run: Run, kept: StoredExamination | None) -> Iterator[Block]:
    """Yield what the doctor said about the model and the text, with the remedies that were tried."""
    if kept is None:
        yield Prose(_("`glassgpt doctor` examines the model and the text, too."), "faint")
        return
    step = int(kept.step.rpartition("-")[2])
    yield Prose(_("The doctor about step {step:,}: {result}.", step=step, result=_(kept.found.sentence)))
    for each in kept.found.problems:
        if each.trial is not None:
            yield Prose(_("Tried: {result}.", result=_(each.trial.sentence)))
    if kept.step != run.best_checkpoint().name:
        yield Prose(_("The best step is another one by now: run `glassgpt doctor` again."), "faint")


def _title(finding: Finding) -> str:
    """Return the name of a finding, or its cause, which says more."""
    return _(finding.cause) if isinstance(finding, Symptom) and finding.cause else _(finding.name)


def _figure(value: float | str) -> str:
    return _(value) if isinstance(value, str) else f"{value:.4g}"
