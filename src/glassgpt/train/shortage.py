"""Warnings and errors about a run whose `minutes` are short, before its first step."""

from __future__ import annotations

import math

from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.train.ending import Ending
from glassgpt.units import count, duration

FEW_STEPS = 100
"""A run with fewer steps than this gets a warning."""
LONG_PREPARATION = 0.5
"""A preparation that takes more than this share of the time gets a warning."""


def check_time(ending: Ending, prepared_s: float, step_s: float, step_tokens: int) -> list[str]:
    """Return warnings about a short time.

    prepared_s: seconds that the preparation took. step_s, step_tokens: of a training step. Raises UserError
    if no time is left for a step and the end.
    """
    left_s, end_s = ending.plan.time_s, ending.needed_s
    seconds, enough = prepared_s + left_s, _minutes(prepared_s + end_s + FEW_STEPS * step_s)
    if left_s < step_s + end_s / 2:  # estimates before the first step may be too long by half
        raise UserError(
            "`minutes`: {seconds:.3g} are too few. The preparation took {prepared_s}, and the end takes "
            "{end_s}. Give {enough:g} or more.",
            seconds=seconds / 60,
            prepared_s=duration(prepared_s),
            end_s=duration(end_s),
            enough=enough,
        )
    warnings = []
    if prepared_s > LONG_PREPARATION * seconds:
        warnings.append(
            N_(
                "the preparation took {prepared_s} of {total}: {left} are left. Give more "
                "`minutes`, or less text.",
                prepared_s=duration(prepared_s),
                total=duration(seconds),
                left=duration(left_s),
            )
        )
    if left_s < step_s + end_s:
        warnings.append(
            N_(
                "the end may take {end} of the {left} that are left, so the run may end late. "
                "Give {minutes:g} `minutes` or more.",
                end=duration(end_s),
                left=duration(left_s),
                minutes=enough,
            )
        )
    n_steps = max(1, int((left_s - ending.reserved_s) / step_s))
    if n_steps < FEW_STEPS:
        warnings.append(
            N_(
                "the time is short: about {n_steps} steps ({n_tokens} tokens) fit into "
                "{seconds}. Give more `minutes`, or a smaller `size`.",
                n_steps=n_steps,
                n_tokens=count(n_steps * step_tokens),
                seconds=duration(seconds),
            )
        )
    return warnings


def _minutes(seconds: float) -> float:
    """Return seconds as minutes, rounded up to two digits.

    >>> _minutes(75), _minutes(7), _minutes(3700)
    (1.3, 0.12, 62.0)
    """
    minutes = max(seconds / 60, 1e-3)
    unit = 10.0 ** (math.floor(math.log10(minutes)) - 1)
    return round(math.ceil(minutes / unit - 1e-9) * unit, 6)
