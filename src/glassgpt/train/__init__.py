"""Training, from sources to a verdict."""

from glassgpt.train.events import Evaluated, Event, Forecasted, Sampled, Saved, Stage, StepDone, Warned
from glassgpt.train.importing import import_nanogpt
from glassgpt.train.learner import Learner, make_learner
from glassgpt.train.observers import Observer
from glassgpt.train.optim import Muon, make_optimizers, orthogonalize, set_lr, state_tensors
from glassgpt.train.parallel import Dist, parallelize
from glassgpt.train.saver import AsyncSaver
from glassgpt.train.schedule import Budget, lr_scale
from glassgpt.train.session import Plan, Session, plan, resume, start
from glassgpt.train.trainer import Trainer

__all__ = [
    "AsyncSaver",
    "Budget",
    "Dist",
    "Evaluated",
    "Event",
    "Forecasted",
    "Learner",
    "Muon",
    "Observer",
    "Plan",
    "Sampled",
    "Saved",
    "Session",
    "Stage",
    "StepDone",
    "Trainer",
    "Warned",
    "import_nanogpt",
    "lr_scale",
    "make_learner",
    "make_optimizers",
    "orthogonalize",
    "parallelize",
    "plan",
    "resume",
    "set_lr",
    "start",
    "state_tensors",
]
