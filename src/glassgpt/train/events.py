"""What a running training tells whoever iterates over it. The trainer yields these; the edges print them."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StepDone:
    """One optimizer step. `loss`: nats per token of its batch, before the step; `progress`: from 0 to 1."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    tokens: int
    tokens_per_s: float
    progress: float
    elapsed_s: float


@dataclass(frozen=True)
class Evaluated:
    """The loss on the whole validation split; `best` says that no earlier one was lower.

    `exact`: the share of answers that are right from first to last token, where the task has answers.
    """

    step: int
    nats_per_token: float
    nats_per_char: float
    bits_per_char: float
    bits_per_byte: float
    best: bool
    seconds: float
    exact: float | None = None


@dataclass(frozen=True)
class Sampled:
    """Text that the model writes at this step."""

    step: int
    text: str


@dataclass(frozen=True)
class Saved:
    """A checkpoint is on disk."""

    step: int
    path: Path


@dataclass(frozen=True)
class Warned:
    """Something that the user should know and that does not stop the run."""

    message: str


Event = StepDone | Evaluated | Sampled | Saved | Warned
