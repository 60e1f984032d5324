"""Numbers in a form for people."""

import math

from glassgpt.language import N_


def count(n: float) -> str:
    """Return a number with three digits and a unit.

    >>> count(950), count(12_300), count(10_700_000)
    ('950', '12.3 k', '10.7 M')
    """
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if n >= size:
            return f"{n / size:.3g}{unit}"
    return f"{n:.0f}"


def short_number(n: float) -> str:
    """Return a number with two digits or more, without an exponent for large ones.

    >>> short_number(0.041), short_number(1.62), short_number(37.2), short_number(180.4), short_number(67_400)
    ('0.041', '1.6', '37', '180', '67.4 k')
    """
    return f"{n:.2g}" if n < 10 else count(n)


def short_span(minutes: float) -> str:
    """Return a span of time for a narrow column.

    >>> short_span(0.45), short_span(1), short_span(9_999)
    ('27 s', '1 min', '170 h')
    """
    if minutes < 1:
        return f"{_two_digits(60 * minutes):g} s"
    return f"{_two_digits(minutes):g} min" if minutes < 60 else f"{_two_digits(minutes / 60):g} h"


def duration(seconds: float) -> str:
    """Return a span of time as seconds, minutes or hours.

    >>> duration(9), duration(75), duration(3700)
    ('9 s', '1:15', '1:01:40')
    """
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    if hours:
        return f"{hours}:{m:02}:{s:02}"
    return f"{m}:{s:02}" if m else f"{s} s"


def span(minutes: float) -> str:
    """Return a span of time in words, for a sentence.

    >>> span(0.5), span(1), span(90), span(600), span(9_999)
    ('30 seconds', '1 minute', '1.5 hours', '10 hours', '170 hours')
    """
    if minutes < 1:
        return N_("{n:g} seconds", n=_two_digits(60 * minutes))
    if minutes < 60:
        n = _two_digits(minutes)
        return N_("1 minute") if n == 1 else N_("{n:g} minutes", n=n)
    n = _two_digits(minutes / 60)
    return N_("1 hour") if n == 1 else N_("{n:g} hours", n=n)


def _two_digits(n: float) -> float:
    return float(f"{n:.2g}")


def data_size(n_bytes: int) -> str:
    """Return a number of bytes in kilobytes or megabytes, as disks are sold: powers of 1000.

    >>> data_size(0), data_size(900), data_size(48_200), data_size(12_900_000)
    ('0 kB', '1 kB', '49 kB', '12.9 MB')
    """
    return f"{math.ceil(n_bytes / 1e3):,} kB" if n_bytes < 1e6 else f"{n_bytes / 1e6:,.1f} MB"
