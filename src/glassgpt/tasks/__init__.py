"""The tasks: one declaration each, asked by sessions, commands and lens."""

from glassgpt.config import ModelConfig, RunConfig
from glassgpt.errors import UserError
from glassgpt.language import join_texts
from glassgpt.tasks.answers import AnswerData
from glassgpt.tasks.base import NOTES, Inputs, Lengths, Prompt, Task, TaskData
from glassgpt.tasks.captioning import TASK as CAPTIONING
from glassgpt.tasks.chat import TASK as CHAT
from glassgpt.tasks.classification import TASK as CLASSIFICATION
from glassgpt.tasks.copied_text import CopyingMeter, copying, copying_cost, has_index, text_to_measure
from glassgpt.tasks.language import TASK as LANGUAGE
from glassgpt.tasks.language import LanguageData
from glassgpt.tasks.masked import TASK as MASKED
from glassgpt.tasks.translation import TASK as TRANSLATION
from glassgpt.tasks.translation import TranslationData

__all__ = [
    "NOTES",
    "TASKS",
    "AnswerData",
    "CopyingMeter",
    "Inputs",
    "LanguageData",
    "Lengths",
    "Prompt",
    "Task",
    "TaskData",
    "TranslationData",
    "copying",
    "copying_cost",
    "detect_task",
    "has_index",
    "recognize",
    "register",
    "task_of",
    "task_of_model",
    "text_to_measure",
]

TASKS: dict[str, Task] = {
    task.name: task for task in (CHAT, LANGUAGE, CLASSIFICATION, MASKED, TRANSLATION, CAPTIONING)
}
"""By name. Of the tasks of one model family, the first whose `detect` is true applies."""


def register(task: Task) -> None:
    """Add a task of your own under its name, before all others of its model families."""
    others = {name: other for name, other in TASKS.items() if name != task.name}
    TASKS.clear()
    TASKS.update({task.name: task, **others})


def task_of(config: RunConfig) -> Task:
    """Return the task named by a configuration. Raises UserError for an unknown name."""
    if config.task in TASKS:
        return TASKS[config.task]
    raise UserError(
        "`task`: {task!r} is unknown. The tasks are {tasks}.",
        task=config.task,
        tasks=", ".join(sorted(TASKS)),
    )


def detect_task(config: RunConfig) -> Task:
    """Return the task that a configuration names, or else the one that fits its model family and data.

    Raises UserError if the named task cannot use the model family.
    """
    if config.task is None:
        family = config.model.family
        return next(task for task in TASKS.values() if family in task.families and task.detect(config))
    task = task_of(config)
    if config.model.family not in task.families:
        raise UserError(
            "`task`: {name} needs `family` {families}, got {family}. Leave one of them out.",
            name=task.name,
            families=join_texts(" or ", task.families),
            family=config.model.family,
        )
    return task


def recognize(config: RunConfig) -> tuple[Task, str] | None:
    """Return the task that the sources are plainly for, with the evidence; None for running text and chats.

    Only if the configuration names neither a task, nor a column or split of running text.
    """
    data = config.data
    if (
        config.task
        or data.column
        or data.me
        or data.split != "auto"
        or detect_task(config).name != "language"
    ):
        return None
    found = ((task, task.evidence(config)) for task in TASKS.values())
    return next(((task, words) for task, words in found if words), None)


def task_of_model(config: ModelConfig) -> Task:
    """Return the main task of a model without a run: by its family and its classes."""
    return next(task for task in TASKS.values() if config.family in task.families and task.fits_model(config))
