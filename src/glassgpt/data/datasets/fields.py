"""Fields inside the answers of a built-in dataset."""

from __future__ import annotations

from collections.abc import Mapping

from glassgpt.data.datasets.dates import DATE_FIELDS

FIELDS: dict[str, Mapping[str, slice]] = {"dates": DATE_FIELDS}


def answer_fields(sources: tuple[str, ...]) -> Mapping[str, slice]:
    """Return the position of each field in the answers of a dataset; empty if they have none.

    sources: as in `DataConfig.sources`.

    >>> answer_fields(("dates",))["month"], answer_fields(("notes.txt",))
    (slice(5, 7, None), {})
    """
    return FIELDS.get(sources[0], {}) if len(sources) == 1 else {}
