"""State of a training in `state.json`: everything that a resume needs besides tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from glassgpt.checkpoint.store.step import CorruptCheckpoint, read_state
from glassgpt.config import problem_in_words
from glassgpt.safe_io import quoted

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class TrainState(BaseModel):
    """Fields of `state.json`. Steps of older versions lack those with a default."""

    model_config = ConfigDict(strict=True, extra="ignore")

    step: Annotated[int, Field(ge=0)]
    elapsed_s: Amount
    """Seconds of all attempts."""
    prepared_s: Amount = 0.0
    """Seconds of `elapsed_s` before the first step of each attempt."""
    next_eval: Amount
    """Progress of the run, 0 to 1, at which the next evaluation is due."""
    eval_s: Amount
    """Seconds of one evaluation."""
    eval_stride: Annotated[int, Field(ge=1)] = 1
    """An evaluation reads every `eval_stride`-th batch."""
    sample_s: Amount = 0.0
    """Seconds of a sample."""
    best: Amount | None
    """Lowest validation loss in nats per character; None before the first evaluation."""
    best_step: Annotated[str, Field(pattern=r"^step-\d{10}$")] | None
    n_worse: Annotated[int, Field(ge=0)] = 0
    """Evaluations since the best one that were worse, see `EarlyStopping`."""
    skipped_steps: list[int] = []
    """Steps whose gradient was not finite."""
    environment: dict[str, str] = {}

    @classmethod
    def read(cls, step: Path) -> Self:
        """Read the state of a step. Raises CorruptCheckpoint for a missing or wrong field."""
        state = read_state(step)
        try:
            return cls.model_validate(state)
        except ValidationError as error:
            first = error.errors()[0]
            name, problem = ".".join(map(str, first["loc"])), problem_in_words(first)
            raise CorruptCheckpoint(
                "{step}: {name} is {first} ({problem}). Training cannot resume from this step. Restore a "
                "copy of it.",
                step=step / "state.json",
                name=quoted(name),
                first=quoted(first["input"]),
                problem=problem,
            ) from None
