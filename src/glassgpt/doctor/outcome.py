"""Checks of the outcome of a run: its curve, its verdict and its forecast."""

from __future__ import annotations

import math
from collections.abc import Iterator

from glassgpt.checkpoint import Run
from glassgpt.diagnose import Accuracy, Score, Trend, Verdict, advice_on, judged_again, remedy_of
from glassgpt.doctor.checks import Problem, RunCheck
from glassgpt.doctor.subject import Skip
from glassgpt.language import N_
from glassgpt.safe_io import read_json

LEAST_CHARS = 2_000
"""Held-out characters from which counting them says something."""
SAYS_NOTHING = 0.98
"""Loss of pairs of tokens over that of single ones, above which their order has no information."""
MIN_MISS = 0.05
"""Smallest miss of a forecast that counts, as a share of the loss."""


def _verdict(run: Run) -> Verdict:
    verdict = run.verdict()
    if verdict is None or verdict.model is None:
        raise Skip(N_("the run has no verdict yet"))
    return judged_again(verdict)


def _trend(run: Run) -> Trend:
    trend = _verdict(run).trend
    if trend is None or trend.direction == "unknown":
        raise Skip(N_("the run has too few evaluations"))
    return trend


def _overfitting(run: Run) -> Iterator[Problem]:
    trend = _trend(run)
    if trend.direction != "rising" or trend.best_step == trend.last_step:
        return
    yield Problem(
        "outcome",
        N_("overfitting since step {step}", step=trend.best_step),
        N_("the held-out loss rose from {best:.3f} to {last:.3f}", best=trend.best, last=trend.last),
        advice_on(trend),
        cost=trend.last - trend.best,
        outcome="warn",
        remedy=remedy_of(advice_on(trend)),
    )


def _training_loss(run: Run) -> Iterator[Problem]:
    trend = _trend(run)
    if not math.isfinite(trend.train):
        raise Skip(N_("the training loss is not recorded"))
    if trend.is_unstable and trend.train > trend.train_start:
        yield Problem(
            "outcome",
            N_("the training diverged"),
            N_("the training loss rose from {low:.3f} to {last:.3f}", low=trend.train_low, last=trend.train),
            advice_on(trend),
            cost=trend.train - trend.train_low,
            remedy=remedy_of(advice_on(trend)),
        )
    elif trend.is_stuck:
        yield Problem(
            "outcome",
            N_("nothing was learned"),
            N_("the training loss stayed at {loss:.3f}", loss=trend.train),
            advice_on(trend),
            outcome="warn",
            remedy=remedy_of(advice_on(trend)),
        )


def _counting(run: Run) -> Iterator[Problem]:
    verdict = _verdict(run)
    model, margin = verdict.model, verdict.margin
    if verdict.finding is None or verdict.finding.is_healthy:
        return
    cost = None
    if isinstance(model, Score):
        best = min(
            (row.nats_per_char for row in verdict.baselines if isinstance(row, Score)), default=math.nan
        )
        cost = model.nats_per_char - best if model.nats_per_char > best else None
        observed = N_(
            "{loss:.3f} nats per character, counting {best:.3f}", loss=model.nats_per_char, best=best
        )
    else:
        share = model.share if isinstance(model, Accuracy) else math.nan
        observed = N_("{share:.1%} of the answers are correct", share=share)
    if cost is None and margin is not None and isinstance(model, Score):
        return
    yield Problem(
        "outcome",
        N_("no better than counting"),
        observed,
        verdict.finding.advice or N_("train longer, or give more text"),
        cost=cost,
        outcome="warn",
        remedy=remedy_of(verdict.finding.advice),
    )


def _order_of_text(run: Run) -> Iterator[Problem]:
    """Compare counted pairs of tokens with single ones."""
    rows = {row.name: row for row in _verdict(run).baselines if isinstance(row, Score)}
    single, pair = rows.get("unigram"), rows.get("bigram")
    if single is None or pair is None or single.n_chars < LEAST_CHARS:
        raise Skip(N_("the verdict has no counted pairs"))
    if pair.nats_per_char > SAYS_NOTHING * single.nats_per_char:
        yield Problem(
            "data",
            N_("the order of the text says nothing"),
            N_(
                "counted pairs cost {pair:.3f} nats per character, single tokens {single:.3f}",
                pair=pair.nats_per_char,
                single=single.nats_per_char,
            ),
            N_("give text in its own order, not shuffled letters or words"),
            outcome="warn",
        )


def _forecast(run: Run) -> Iterator[Problem]:
    if not run.forecast_file.exists():
        raise Skip(N_("the run has no forecast"))
    verdict = _verdict(run)
    forecasts = read_json(run.forecast_file).get("forecasts")
    match forecasts[-1] if isinstance(forecasts, list) and forecasts else None:
        case {"nats_per_char": float(stated), "low": float(low), "high": float(high)}:
            pass
        case _:
            raise Skip(N_("the run has no forecast"))
    if (loss := verdict.loss) is None:
        raise Skip(N_("the run has no forecast"))
    if loss > high and loss > stated * (1 + MIN_MISS):
        yield Problem(
            "outcome",
            N_("the forecast was missed"),
            N_("{loss:.3f} instead of {low:.3f} to {high:.3f}", loss=loss, low=low, high=high),
            N_("look at the curve: `glassgpt plot` shows where it left the forecast"),
            cost=loss - stated,
            outcome="warn",
        )


CHECKS = (
    RunCheck(
        N_("the order of the text"),
        N_("pairs of tokens say more than single ones"),
        N_("a text in random order cannot be learned"),
        _order_of_text,
    ),
    RunCheck(
        N_("overfitting"),
        N_("the held-out loss does not rise"),
        N_("what is learned by heart is not known"),
        _overfitting,
    ),
    RunCheck(
        N_("training loss"), N_("it falls and stays low"), N_("training follows its gradient"), _training_loss
    ),
    RunCheck(N_("counting"), N_("better than counted n-grams"), N_("counting needs no training"), _counting),
    RunCheck(N_("forecast"), N_("the loss that was forecast"), N_("a worse one has a reason"), _forecast),
)
