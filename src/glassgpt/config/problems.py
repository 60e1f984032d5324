"""Pydantic's problems as clauses that `_` can translate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glassgpt.errors import UserError
from glassgpt.language import N_, clipped, join_texts

PROBLEMS = {
    "int_parsing": N_("Input should be a valid integer, unable to parse string as an integer"),
    "int_type": N_("Input should be a valid integer"),
    "int_from_float": N_("Input should be a valid integer, got a number with a fractional part"),
    "float_parsing": N_("Input should be a valid number, unable to parse string as a number"),
    "float_type": N_("Input should be a valid number"),
    "finite_number": N_("Input should be a finite number"),
    "bool_parsing": N_("Input should be a valid boolean, unable to interpret input"),
    "bool_type": N_("Input should be a valid boolean"),
    "string_type": N_("Input should be a valid string"),
    "string_too_long": N_("String should have at most {max_length} characters"),
    "string_too_short": N_("String should have at least {min_length} characters"),
    "literal_error": N_("Input should be {expected}"),
    "greater_than": N_("Input should be greater than {gt}"),
    "greater_than_equal": N_("Input should be greater than or equal to {ge}"),
    "less_than": N_("Input should be less than {lt}"),
    "less_than_equal": N_("Input should be less than or equal to {le}"),
    "multiple_of": N_("Input should be a multiple of {multiple_of}"),
    "missing": N_("Field required"),
    "extra_forbidden": N_("Extra inputs are not permitted"),
}
"""Messages of pydantic by type of error, in its own words."""
OR = N_(" or ")


def problem_in_words(error: Mapping[str, Any]) -> str:
    """Return one of `ValidationError.errors()` as a clause; of an unknown type it stays English.

    >>> problem_in_words({"type": "greater_than", "ctx": {"gt": 0.0}, "msg": "Input …"})
    'input should be greater than 0'
    """
    values = {name: _value(value) for name, value in error.get("ctx", {}).items()}
    if isinstance(raised := values.get("error"), UserError):  # one of ours
        return raised.message
    template = PROBLEMS.get(error["type"])
    problem = error["msg"].removeprefix("Value error, ") if template is None else N_(template, **values)
    return clipped(problem, lambda text: text[:1].lower() + text[1:])


def _value(value: object) -> object:
    if isinstance(value, str) and OR in value:
        return join_texts(OR, value.split(OR))
    return int(value) if isinstance(value, float) and value.is_integer() else value
