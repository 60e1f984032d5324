"""Comparisons and sweeps as one call each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

from glassgpt.config import Tables, merge, settings_in_words
from glassgpt.diagnose import Comparison, Sweep, compare_all, compare_pairs, is_decided
from glassgpt.errors import UserError
from glassgpt.train.comparison.arms import Spec, settings_of, split_base
from glassgpt.train.comparison.experiment import Experiment
from glassgpt.train.events import Event

MAX_ARMS = 12
OnEvent = Callable[[Event], object]


def plan_comparison(a: Spec, b: Spec, base: Spec | None = None, **options: Any) -> Experiment:
    """Plan a comparison of two sets of settings, with an early end. Nothing is trained or read yet.

    options: fields of `Experiment`.
    """
    experiment = _plan({"A": settings_of(a), "B": settings_of(b)}, base, options)
    planned = experiment.pairs
    experiment.enough = lambda losses: is_decided([x - y for x, y in losses], planned)
    return experiment


def _plan(arms: dict[str, Tables], base: Spec | None, options: dict[str, Any]) -> Experiment:
    shared = split_base({} if base is None else settings_of(base), arms, options.pop("length", {}))
    if shared.seed is not None:
        options.setdefault("seed", shared.seed)
    return Experiment(arms, shared.base, shared.length, **options)


def compare(
    a: Spec,
    b: Spec,
    base: Spec | None = None,
    *,
    on_event: OnEvent | None = None,
    **options: Any,
) -> Comparison:
    """Train two sets of settings in pairs, and say if one is better.

    a, b: settings: a configuration, tables, a TOML file, a run's folder or words (`size=nano lr=0.01`). base:
    settings of both. on_event: called with every event of every training. options: fields of `Experiment`:
    `length` ({"minutes": 1}), `pairs`, `seed`, `held_out`, `keep`, `out`. The same call goes on after a kill.
    Raises UserError for settings that cannot be used.
    """
    experiment = plan_comparison(a, b, base, **options)
    for event in experiment.run():
        if on_event is not None:
            on_event(event)
    return compared(experiment)


def compared(experiment: Experiment) -> Comparison:
    """Return what the finished pairs of a comparison say. Raises UserError before the first."""
    a, b = experiment.names
    return compare_pairs([(x, y) for x, y in _finished(experiment)], experiment.pairs, (a, b))


def plan_sweep(vary: Mapping[str, Sequence[Any]], base: Spec | None = None, **options: Any) -> Experiment:
    """Plan a sweep: an arm for each combination of values; the first values are the reference.

    vary: values by setting, as in `{"lr": [0.01, 0.02]}`. options: fields of `Experiment`.
    """
    for name, values in vary.items():
        if len(set(map(str, values))) < len(values) or not values:
            raise UserError(
                "`{name}`: got {values}. Give different values.",
                name=name,
                values=", ".join(map(str, values)),
            )
    combinations = list(product(*([(name, value) for value in values] for name, values in vary.items())))
    if not 2 <= len(combinations) <= MAX_ARMS:
        raise UserError(
            "`vary`: {n_combinations} combinations. Give 2 to {max_arms}.",
            n_combinations=len(combinations),
            max_arms=MAX_ARMS,
        )
    arms: dict[str, Tables] = {}
    for chosen in combinations:
        words = [f"{name}={value}" for name, value in chosen]
        tables: Tables = {}
        for word in words:
            tables = merge(tables, settings_in_words([word]))
        arms[" ".join(words)] = tables
    return _plan(arms, base, options)


def sweep(
    vary: Mapping[str, Sequence[Any]],
    base: Spec | None = None,
    *,
    on_event: OnEvent | None = None,
    **options: Any,
) -> Sweep:
    """Train each combination of values with the same seeds, and compare each with the first.

    vary: values by setting; the first ones are the reference. base, on_event, options: as in `compare`.
    Raises UserError for settings that cannot be used.
    """
    experiment = plan_sweep(vary, base, **options)
    for event in experiment.run():
        if on_event is not None:
            on_event(event)
    return swept(experiment)


def swept(experiment: Experiment) -> Sweep:
    """Return what the finished rounds of a sweep say. Raises UserError before the first."""
    columns = zip(*_finished(experiment), strict=True)
    return compare_all(dict(zip(experiment.names, columns, strict=True)))


def _finished(experiment: Experiment) -> list[tuple[float, ...]]:
    if not (losses := experiment.losses):
        raise UserError(
            "{folder}: no pair is finished. Give the same command to go on.", folder=experiment.folder
        )
    return losses
