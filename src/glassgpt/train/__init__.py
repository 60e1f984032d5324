"""Training, from sources to a verdict."""

from glassgpt.train.answer_task import AnswerTask
from glassgpt.train.chat_task import ChatTask
from glassgpt.train.events import Evaluated, Event, Sampled, Saved, StepDone, Warned
from glassgpt.train.importing import import_nanogpt
from glassgpt.train.learner import Learner, make_learner
from glassgpt.train.observers import Observer
from glassgpt.train.optim import Muon, make_optimizers, orthogonalize, set_lr, state_tensors
from glassgpt.train.parallel import Dist, parallelize
from glassgpt.train.saver import AsyncSaver
from glassgpt.train.schedule import Budget, lr_scale
from glassgpt.train.session import Session, resume, start
from glassgpt.train.task import Lengths, Task
from glassgpt.train.text_task import MaskedLMTask, TextTask
from glassgpt.train.trainer import Trainer

__all__ = [
    "AnswerTask",
    "AsyncSaver",
    "Budget",
    "ChatTask",
    "Dist",
    "Evaluated",
    "Event",
    "Learner",
    "Lengths",
    "MaskedLMTask",
    "Muon",
    "Observer",
    "Sampled",
    "Saved",
    "Session",
    "StepDone",
    "Task",
    "TextTask",
    "Trainer",
    "Warned",
    "import_nanogpt",
    "lr_scale",
    "make_learner",
    "make_optimizers",
    "orthogonalize",
    "parallelize",
    "resume",
    "set_lr",
    "start",
    "state_tensors",
]
