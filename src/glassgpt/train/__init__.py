"""Training, from sources to a verdict.

This package is a function, too: `glassgpt.train("notes.txt", minutes=1)` trains, also after the package was
imported and stands in the function's place.
"""

import sys
from inspect import signature
from types import ModuleType
from typing import Any

from glassgpt.train.autopilot import Choice, Decision, Forecast, Forecaster, Recipe
from glassgpt.train.clock import Clock
from glassgpt.train.comparison import Experiment, compare, compare_samplers, sampler_in_words, sweep
from glassgpt.train.displays import progress
from glassgpt.train.events import Evaluated, Event, Forecasted, Sampled, Saved, Stage, StepDone, Warned
from glassgpt.train.examined_run import examine_run, run_loss
from glassgpt.train.importing import import_nanogpt, import_pretrained
from glassgpt.train.learner import Learner, make_learner
from glassgpt.train.live_doctor import Diagnosed, LiveDoctor
from glassgpt.train.observers import Observer
from glassgpt.train.one_call import train
from glassgpt.train.optim import Muon, make_optimizers, orthogonalize, set_lr, state_tensors
from glassgpt.train.outlooks import Outlook, PlannedRun, outlook
from glassgpt.train.parallel import Dist, parallelize
from glassgpt.train.remedy import try_remedy, with_trials
from glassgpt.train.resume_run import resume
from glassgpt.train.run_plan import Plan, plan
from glassgpt.train.saver import AsyncSaver
from glassgpt.train.schedule import Budget, ends_by_epochs, longer, lr_scale
from glassgpt.train.seeds import SeedRun, plan_seeds
from glassgpt.train.session import Session
from glassgpt.train.sharing import LEFT_OUT, Shared, share
from glassgpt.train.start_run import start
from glassgpt.train.trainer import Trainer

__all__ = [
    "LEFT_OUT",
    "AsyncSaver",
    "Budget",
    "Choice",
    "Clock",
    "Decision",
    "Diagnosed",
    "Dist",
    "Evaluated",
    "Event",
    "Experiment",
    "Forecast",
    "Forecasted",
    "Forecaster",
    "Learner",
    "LiveDoctor",
    "Muon",
    "Observer",
    "Outlook",
    "Plan",
    "PlannedRun",
    "Recipe",
    "Sampled",
    "Saved",
    "SeedRun",
    "Session",
    "Shared",
    "Stage",
    "StepDone",
    "Trainer",
    "Warned",
    "compare",
    "compare_samplers",
    "ends_by_epochs",
    "examine_run",
    "import_nanogpt",
    "import_pretrained",
    "longer",
    "lr_scale",
    "make_learner",
    "make_optimizers",
    "orthogonalize",
    "outlook",
    "parallelize",
    "plan",
    "plan_seeds",
    "progress",
    "resume",
    "run_loss",
    "sampler_in_words",
    "set_lr",
    "share",
    "start",
    "state_tensors",
    "sweep",
    "train",
    "try_remedy",
    "with_trials",
]


class _CallablePackage(ModuleType):
    """A package that trains when it is called; see `train`."""

    __signature__ = signature(train)

    def __call__(self, *sources: Any, **settings: Any) -> Any:
        return train(*sources, **settings)


_CallablePackage.__call__.__doc__ = train.__doc__
sys.modules[__name__].__class__ = _CallablePackage
