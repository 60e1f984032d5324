"""Progress of a training in `state.json`: what a resume needs besides tensors, with its types and limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from glassgpt.checkpoint.store.step import CorruptCheckpoint, read_state
from glassgpt.config import problem_in_words
from glassgpt.safe_io import quoted

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Progress(BaseModel):
    """Fields of `state.json`. Steps of older versions lack those with a default."""

    model_config = ConfigDict(strict=True, extra="allow")

    step: Annotated[int, Field(ge=0)]
    elapsed_s: Amount
    prepared_s: Amount = 0.0
    """Seconds of `elapsed_s` before the first step of each attempt."""
    next_eval: Amount
    """Progress of the run, 0 to 1, at which the next evaluation is due."""
    eval_s: Amount
    """Seconds of one evaluation."""
    sample_s: Amount = 0.0
    """Seconds of its sample."""
    eval_stride: Annotated[int, Field(ge=1)] = 1
    best: Amount | None
    """Lowest validation loss in nats per character; None before the first evaluation."""
    best_step: Annotated[str, Field(pattern=r"^step-\d{10}$")] | None
    skipped_steps: list[int] = []
    environment: dict[str, str] = {}


def read_progress(step: Path) -> dict[str, Any]:
    """Return the state of a step that can be resumed. Raises CorruptCheckpoint for another type or value."""
    state = read_state(step)
    try:
        Progress.model_validate(state)
    except ValidationError as error:
        first = error.errors()[0]
        name, problem = ".".join(map(str, first["loc"])), problem_in_words(first)
        raise CorruptCheckpoint(
            "{step}: {name} is {first} ({problem}). Training cannot resume from this step. Restore a copy "
            "of it.",
            step=step / "state.json",
            name=quoted(name),
            first=quoted(first["input"]),
            problem=problem,
        ) from None
    return state
