"""The plan of a run: its resolved configuration, its task and its corpus, before it has a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from glassgpt.config import Layer, Resolved, RunConfig, resolve
from glassgpt.data import check_dataset
from glassgpt.language import N_, join_texts
from glassgpt.tasks import Task, detect_task, recognize, task_of
from glassgpt.tokenizers import Tokenizer
from glassgpt.train.autopilot import Decision, HeldOutProfile, decide, decides
from glassgpt.train.clock import Clock
from glassgpt.train.finetune import base_layer
from glassgpt.train.snapshots import snapshots_layer
from glassgpt.train.vocabulary import extended_vocabulary

OnStage = Callable[[str], None]
"""Called with a few words at the start of each stage of preparation."""


@dataclass(frozen=True)
class Plan:
    """Everything known before a run has a folder: its configuration, its task and its corpus."""

    resolved: Resolved
    task: Task
    corpus: Any
    clock: Clock = field(default_factory=Clock)
    """Counts the seconds since the start: `Budget.training_s` says how many are left for steps."""
    decision: Decision | None = None
    """The autopilot's choice, if it made one."""
    notes: tuple[str, ...] = ()
    """Remarks on the choice of the task and on new characters, for the user."""
    tokenizer: Tokenizer | None = None
    """The base run's, extended for the data; None without a base run."""
    facts: tuple[Layer, ...] = ()
    """Settings that follow from the data, the base run and the autopilot."""

    @property
    def config(self) -> RunConfig:
        """The complete configuration."""
        return self.resolved.config

    @property
    def profile(self) -> HeldOutProfile | None:
        """Losses of counted 5-grams along the held-out text, if the autopilot measured them."""
        return None if self.decision is None else self.decision.chooser.text.profile

    def with_vocabulary(self, n_vocab: int) -> Plan:
        """Return the plan for a vocabulary that is known now: it decides how many snapshots fit."""
        layer = snapshots_layer(self.config, n_vocab)
        return replace(self, resolved=resolve(self.resolved.given, [*self.facts, layer]))


def plan(
    config: RunConfig | Sequence[Layer],
    stage: OnStage | None = None,
    clock: Clock | None = None,
    *,
    autopilot: bool = False,
) -> Plan:
    """Resolve the configuration of a new run and read its sources. Writes nothing.

    config: a configuration, whose explicitly set fields count as given; or layers of settings, weakest first.
    clock: that of the run; one that begins now by default. autopilot: choose the settings that are not given
    for this text, this machine and this length, where it can (`decides`). Raises UserError for settings and
    sources that cannot be used.
    """
    stage, clock = stage or (lambda _: None), clock or Clock()
    resolved = resolve(config)
    given = resolved.given
    base = [base_layer(resolved)] if resolved.config.init_from.run is not None else []
    named_task = _named_task(resolved)
    facts = [*named_task, *base]
    resolved = resolve(given, facts)
    names = (N_("standard input") if source == "-" else source for source in resolved.config.data.sources)
    stage(N_("reading {sources}", sources=join_texts(", ", names)))
    check_dataset(resolved.config)
    task, notes = _choose_task(resolved)
    if notes:  # the data decided
        facts = [_family_layer("data", task), *base]
        resolved = resolve(given, facts)
    corpus = task.read(resolved.config)
    facts += [Layer("data", task.facts(resolved, corpus)), Layer(f"task {task.name}", {"task": task.name})]
    tokenizer, n_vocab = None, None
    if base:
        vocabulary = extended_vocabulary(resolved.config, corpus.texts(), task.specials)
        tokenizer, n_vocab = vocabulary.tokenizer, vocabulary.tokenizer.n_vocab
        facts.append(vocabulary.layer)
        notes = (*notes, *vocabulary.notes)
    resolved = resolve(given, facts)
    decision = decide(resolved, corpus, clock, stage) if autopilot and decides(resolved, task) else None
    if decision is not None:
        facts.append(decision.layer)
        resolved = resolve(given, facts)
    resolved = resolve(given, [*facts, snapshots_layer(resolved.config, n_vocab)])
    return Plan(resolved, task, corpus, clock, decision, notes, tokenizer, tuple(facts))


def _named_task(resolved: Resolved) -> list[Layer]:
    """Return the model family of a task that the user names; nothing without one."""
    config = resolved.config
    return [] if config.task is None else [_family_layer(f"task {config.task}", task_of(config))]


def _choose_task(resolved: Resolved) -> tuple[Task, tuple[str, ...]]:
    """Return the task of a run, and a note if the data alone decided against running text."""
    is_free = not resolved.is_given("model.family") and resolved.config.init_from.run is None
    recognized = recognize(resolved.config) if is_free else None
    if recognized is None:
        return detect_task(resolved.config), ()
    task, evidence = recognized
    note = N_(
        "this run learns to {ability}: found {evidence}. Set `task` to language to learn the file as running "
        "text",
        ability=task.ability,
        evidence=evidence,
    )
    return task, (note,)


def _family_layer(origin: str, task: Task) -> Layer:
    return Layer(origin, {"model": {"family": task.families[0]}})
