"""Floor 4: training, from sources to a verdict."""

from glassgpt.train.answer_task import AnswerTask
from glassgpt.train.chat_task import ChatTask
from glassgpt.train.distributed import Dist
from glassgpt.train.events import Evaluated, Event, Sampled, Saved, StepDone, Warned
from glassgpt.train.importing import import_nanogpt
from glassgpt.train.objective import CrossEntropy, LossSum, n_right
from glassgpt.train.optim import Muon, make_optimizers, orthogonalize, set_lr
from glassgpt.train.schedule import Budget, lr_scale
from glassgpt.train.session import Session, resume, start
from glassgpt.train.task import Lengths, Task
from glassgpt.train.text_task import GapTask, TextTask
from glassgpt.train.trainer import Trainer

__all__ = [
    "AnswerTask",
    "Budget",
    "ChatTask",
    "CrossEntropy",
    "Dist",
    "Evaluated",
    "Event",
    "GapTask",
    "Lengths",
    "LossSum",
    "Muon",
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
    "make_optimizers",
    "n_right",
    "orthogonalize",
    "resume",
    "set_lr",
    "start",
]
