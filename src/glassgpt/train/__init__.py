"""Training, from sources to a verdict."""

from glassgpt.train.events import Evaluated, Event, Sampled, Saved, StepDone, Warned
from glassgpt.train.importing import import_nanogpt
from glassgpt.train.optim import Muon, make_optimizers, orthogonalize, set_lr, state_tensors
from glassgpt.train.parallel import Dist
from glassgpt.train.saver import Saver
from glassgpt.train.schedule import Budget, lr_scale
from glassgpt.train.session import Plan, Session, plan, resume, start
from glassgpt.train.trainer import Trainer

__all__ = [
    "Budget",
    "Dist",
    "Evaluated",
    "Event",
    "Muon",
    "Plan",
    "Sampled",
    "Saved",
    "Saver",
    "Session",
    "StepDone",
    "Trainer",
    "Warned",
    "import_nanogpt",
    "lr_scale",
    "make_optimizers",
    "orthogonalize",
    "plan",
    "resume",
    "set_lr",
    "start",
    "state_tensors",
]
