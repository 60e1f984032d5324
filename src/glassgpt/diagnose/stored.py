"""Rows of figures read back from JSON, with their types and limits checked: a run may be a stranger's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

T = TypeVar("T")


Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=1 << 53)]
Size = Annotated[int, Field(ge=1, lt=1 << 53)]


def from_stored(kind: type[T], data: Mapping[str, Any]) -> T:
    """Rebuild a dataclass from its stored fields; other keys are ignored.

    Raises ValueError for a missing field, a wrong type, or a value out of its field's limits.
    """
    try:
        return _adapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place, problem = ".".join(map(str, first["loc"])), first["msg"]
        raise ValueError(f"{kind.__name__} {place}: {problem}") from None


@lru_cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
