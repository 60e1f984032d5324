"""Floor 4: training, from sources to a verdict."""

from glassgpt.train.events import Evaluated, Event, Sampled, Saved, StepDone, Warned
from glassgpt.train.objective import LossSum, NextToken
from glassgpt.train.optim import Muon, make_optimizers, orthogonalize
from glassgpt.train.schedule import Budget, lr_scale
from glassgpt.train.session import Session, resume, start
from glassgpt.train.trainer import Trainer

__all__ = [
    "Budget",
    "Evaluated",
    "Event",
    "LossSum",
    "Muon",
    "NextToken",
    "Sampled",
    "Saved",
    "Session",
    "StepDone",
    "Trainer",
    "Warned",
    "lr_scale",
    "make_optimizers",
    "orthogonalize",
    "resume",
    "start",
]
