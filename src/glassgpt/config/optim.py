"""The table of the optimizer: learning rates, their schedule, weight decay, clipping."""

from __future__ import annotations

from typing import Literal

from cyclopts import Parameter
from pydantic import Field

from glassgpt.config.base import Config
from glassgpt.option_groups import OPTIMIZER


@Parameter(name="*", group=OPTIMIZER)
class OptimConfig(Config):
    """Optimizer, learning rates and gradient clipping."""

    optimizer: Literal["muon", "adamw"] = "muon"
    """Muon for the matrices of the blocks and AdamW for the rest, or AdamW for all weights."""
    lr: float | None = Field(default=None, gt=0)
    """Peak learning rate of AdamW; by default 0.02 together with Muon, else 0.002."""
    muon_lr: float = Field(default=0.03, gt=0)
    """Peak learning rate of Muon."""
    ngram_lr: float = Field(default=0.05, gt=0)
    """Peak learning rate of the n-gram embeddings."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Weight decay of matrices, multiplied by the learning rate at each step."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """AdamW's decay rate of the mean gradient."""
    beta2: float = Field(default=0.99, ge=0, lt=1)
    """AdamW's decay rate of the mean squared gradient."""
    warmup: float = Field(default=0.02, ge=0, lt=1)
    """Share of the run for learning rate warmup, from zero to the peak."""
    final_lr: float = Field(default=0.0, ge=0, le=1)
    """Final learning rate, as a share of the peak."""
    grad_clip: float = Field(default=1.0, ge=0)
    """Maximum norm of the gradient; 0 disables clipping."""

    @property
    def peak_lrs(self) -> dict[str, float]:
        """Peak learning rates, resolved, by the names of their fields.

        >>> OptimConfig().peak_lrs
        {'lr': 0.02, 'muon_lr': 0.03, 'ngram_lr': 0.05}
        """
        lr = self.lr or (0.02 if self.optimizer == "muon" else 0.002)
        return {"lr": lr, "muon_lr": self.muon_lr, "ngram_lr": self.ngram_lr}
