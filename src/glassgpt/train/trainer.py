"""The training loop, as an iterator of events. It prints nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch

from glassgpt.checkpoint import (
    Run,
    newest_valid,
    quarantine,
    read_state,
    read_tensors,
    remove_partial_steps,
    step_folder,
    steps,
    write_pointer,
)
from glassgpt.config import RunConfig
from glassgpt.device import environment, environment_changes
from glassgpt.errors import UserError
from glassgpt.models import Model
from glassgpt.tasks import TaskData
from glassgpt.train.eval_plan import EvalPlan
from glassgpt.train.events import Evaluated, Event, Sampled, StepDone, Warned
from glassgpt.train.learner import GradientStats, Learner
from glassgpt.train.metrics import Tracker, make_trackers
from glassgpt.train.parallel import Dist
from glassgpt.train.saver import Saver
from glassgpt.train.schedule import Budget, lr_scale

MAX_BAD_STEPS = 10
"""Steps with a gradient that is not finite that a run is forgiven, one after the other or in all."""


class Trainer:
    """Trains one run. `for event in trainer.run(): …`; afterwards `trainer.model` holds the last weights.

    Everything random in step n follows from (seed, n), so a resumed run draws what an unbroken one would.
    """

    def __init__(self, run: Run, config: RunConfig, task: TaskData, dist: Dist | None = None) -> None:
        self.folder, self.config, self.task = run, config, task
        self.dist = dist or Dist()
        self.learner = Learner(config, task.tokenizer.n_vocab, self.dist)
        self.budget = Budget.of(config.train)
        self.evals = EvalPlan(self.budget, config.train.evals)
        self.saver = Saver(run.checkpoints)
        self.step = 0
        self.best = math.inf
        self.stopping = False
        self._best_step: str | None = None
        self._before_s = 0.0  # elapsed in earlier sittings
        self._started = time.monotonic()
        self._now = 0.0  # elapsed_s when it was looked at last: what is decided by, in all processes alike
        self._saved: tuple[int, float] = (-1, 0.0)  # step and elapsed_s of the latest checkpoint
        self._skipped_steps: list[int] = []  # steps whose gradients were not finite

    @property
    def model(self) -> Model:
        """The model as it is now."""
        return self.learner.model

    @property
    def elapsed_s(self) -> float:
        """Seconds of training, earlier sittings included."""
        return self._before_s + time.monotonic() - self._started

    @property
    def progress(self) -> float:
        """Share of the run that is done. Of a run measured in time, the last evaluation is part."""
        return self.budget.progress(self.step, self.elapsed_s, self.evals.reserved_s)

    def _progress_at(self, step: float) -> float:
        return self.budget.progress(step, self._now, self.evals.reserved_s)

    def _sync_clock(self) -> bool:
        """Look at the clock; returns whether to stop. All processes see the same."""
        self._now, stop = self.dist.all_reduce_max(self.elapsed_s, self.stopping)
        self.stopping |= bool(stop)
        return bool(stop)

    def request_stop(self) -> None:
        """End the run after the step at hand, with its state saved. Safe to call from a signal handler."""
        self.stopping = True

    def resume(self) -> list[str]:
        """Continue from the newest step that is whole. Returns what was wrong with newer ones."""
        step, problems = self._newest() if self.dist.is_main else (None, [])
        name = self.dist.broadcast_str(step.name if step else "")
        if not name:
            reason = "; ".join(problems) or "none was saved yet"
            raise UserError(f"{self.folder.path} has no step to resume from: {reason}; start a new run")
        state = self._load(self.folder.checkpoints / name)
        self._before_s, self.evals.seconds = state["elapsed_s"], state["eval_s"]
        self._now = self._before_s
        self._started = time.monotonic()
        self.evals.advance(self._progress_at(self.step))
        self.evals.next = min(state["next_eval"], self.evals.next)  # the run may have become longer
        self._saved = (self.step, self._before_s)
        return [*problems, *environment_changes(state.get("environment", {}), self._environment())]

    def _newest(self) -> tuple[Path | None, list[str]]:
        """The newest whole step, where the hint at the best one leads, and what is wrong with newer ones."""
        folder = self.folder.checkpoints
        remove_partial_steps(folder)
        step, problems = newest_valid(steps(folder))
        if step is not None:
            for damaged in takewhile(lambda newer: newer != step, steps(folder)):
                quarantine(damaged)
            best = read_state(step)["best_step"]
            if best is not None and (folder / best).is_dir():
                write_pointer(folder, "best", folder / best)
        return step, problems

    def _load(self, step: Path) -> dict[str, Any]:
        """Weights, optimizers and what is known at a step that was verified; returns its state."""
        state = read_state(step)
        self.learner.load({stem: read_tensors(step, stem) for stem in ("model", "optimizer")})
        self.step, self._best_step = state["step"], state["best_step"]
        self.best = math.inf if state["best"] is None else state["best"]
        self._skipped_steps = sorted({*self._skipped_steps, *state.get("skipped_steps", ())})
        return state

    def run(self) -> Iterator[Event]:
        """Train until the budget is spent or a stop is requested; yields what happens."""
        self._started = time.monotonic()
        with ExitStack() as closing:
            closing.callback(self.saver.close)
            trackers = make_trackers(self.folder, self.config) if self.dist.is_main else []
            for tracker in trackers:
                closing.callback(tracker.close)
            told: set[Tracker] = set()
            for event in self._events():
                troubled = dict(_log(event, trackers))
                yield event
                for tracker in troubled.keys() - told:
                    told.add(tracker)
                    yield Warned(f"figures are lost ({troubled[tracker]}). Training goes on")

    def _events(self) -> Iterator[Event]:
        yield from map(Warned, self.task.warnings())
        if self.budget.seconds is not None and not self.evals.seconds:
            self._guess_eval_seconds()
        while not self._sync_clock():
            if self._save_is_due():
                yield from self._save()
            progress = self._progress_at(self.step)
            if self.evals.is_due(self.step, progress):
                yield from self._evaluate()
            if progress >= 1:
                break
            yield self._train_step()
            yield from self._finished_saves()
        yield from self._save_last()

    def _train_step(self) -> Event:
        began, train = time.monotonic(), self.config.train
        dropout_seed = train.seed * 1_000_003 + self.step + self.dist.rank * 0x9E3779B97F4A7C15
        torch.manual_seed(dropout_seed % 2**63)
        # Half a step ahead: the rate of a step's middle, so that neither the first nor the last step is idle.
        scale = lr_scale(self._progress_at(self.step + 0.5), self.config.optim)
        B, n = train.micro_batch_size, train.grad_accum_steps
        gradient = self.learner.gradient([self.task.train_batch(self.step * n + i, B) for i in range(n)])
        if not gradient.is_finite or self.step in self._skipped_steps:
            return self._skip_step(gradient)
        self.learner.optimizer_step(scale)
        self.step += 1
        return StepDone(
            step=self.step,
            loss=gradient.loss,
            lr=scale * self.config.optim.peak_lr,
            grad_norm=gradient.norm,
            tokens=gradient.n_tokens,
            tokens_per_s=gradient.n_tokens / (time.monotonic() - began),
            progress=self.progress,
            elapsed_s=self.elapsed_s,
        )

    def _skip_step(self, gradient: GradientStats) -> Warned:
        """Go on without the update of this step, as the configuration says, or stop before it."""
        bad, n = self.step, self.config.train.grad_accum_steps
        batches = f"batch {bad}" if n == 1 else f"batches {bad * n} to {bad * n + n - 1}"
        what = (
            f"the gradient became {gradient.norm} at step {bad} (loss {gradient.loss:.3f}, {batches} of seed "
            f"{self.config.train.seed}); the weights did not take it"
        )
        is_known = bad in self._skipped_steps
        if self.config.train.on_nan == "stop" or (not is_known and len(self._skipped_steps) >= MAX_BAD_STEPS):
            raise UserError(
                f"{what}: lower --lr and --muon-lr, raise --warmup, or leave it out (--on-nan skip)"
            )
        self.learner.zero_grad()
        if is_known:
            self.step += 1
            return Warned(f"step {bad} is left out: its gradient was not finite when it was first tried")
        self._skipped_steps.append(bad)
        if self.config.train.on_nan == "rollback" and (back := self._go_back()) is not None:
            return Warned(f"{what}: back to step {back}, and on without step {bad}")
        self.step += 1
        return Warned(f"{what}: it is left out")

    def _go_back(self) -> int | None:
        """Load the newest whole checkpoint; None where there is none yet."""
        self.saver.wait()
        step = newest_valid(steps(self.folder.checkpoints))[0] if self.dist.is_main else None
        name = self.dist.broadcast_str(step.name if step else "")
        if not name:
            return None
        self._load(self.folder.checkpoints / name)
        self.evals.advance(self._progress_at(self.step))
        return self.step

    def _evaluate(self) -> Iterator[Event]:
        with self.evals.measuring(self.step):
            measured = self.learner.measure(self.task)
        self._plan_eval()
        if self.learner.replicas_differ():
            yield Warned("the processes' weights are no longer equal: those of the first one are saved")
        val = self.task.val
        nats_per_char = measured.nats / val.n_chars
        if best := nats_per_char < self.best:
            self.best = nats_per_char
        yield Evaluated(
            step=self.step,
            nats_per_token=measured.nats / val.n_tokens,
            nats_per_char=nats_per_char,
            bits_per_char=nats_per_char / math.log(2),
            bits_per_byte=measured.nats / val.n_bytes / math.log(2),
            best=best,
            seconds=self.evals.seconds,
            exact=measured.exact,
        )
        if self.config.train.sample_tokens and self.dist.is_main:
            yield from self._sample()
        if best:
            yield from self._save(best=True)

    def _guess_eval_seconds(self) -> None:
        """Plan for evaluations as long as one batch of them suggests."""
        batch = next(self.task.eval_batches())
        began = time.monotonic()
        n_tokens = self.learner.time_one_batch(batch)
        self.evals.seconds = (time.monotonic() - began) * self.task.val.n_tokens / max(1, n_tokens)
        self._plan_eval()

    def _plan_eval(self) -> None:
        (self.evals.seconds,) = self.dist.all_reduce_max(self.evals.seconds)
        self._sync_clock()
        self.evals.advance(self._progress_at(self.step))

    def _sample(self) -> Iterator[Event]:
        self.model.eval()
        train = self.config.train
        text = self.task.sample(self.model, train.sample_tokens, train.seed)
        self.model.train()
        yield Sampled(self.step, text)
        try:
            self.folder.samples.mkdir(exist_ok=True)
            (self.folder.samples / f"step-{self.step:010d}.txt").write_text(text, "utf-8")
        except OSError as error:
            yield Warned(f"the sample could not be written ({error.strerror or error}). Training goes on")

    def _environment(self) -> dict[str, str]:
        return environment(
            self.learner.device, self.learner.dtype, self.dist.world_size, self.config.train.compile
        )

    def _save_is_due(self) -> bool:
        is_new = self.step not in (0, self._saved[0])
        return is_new and self._now - self._saved[1] > 60 * self.config.train.save_minutes

    def _save(self, best: bool = False) -> Iterator[Event]:
        """Begin to save this step; yields the save before, where it ended only now."""
        if best:
            self._best_step = step_folder(self.folder.checkpoints, self.step).name
        state = {
            "elapsed_s": self.elapsed_s,
            "next_eval": self.evals.next,
            "eval_s": self.evals.seconds,
            "best": self.best if math.isfinite(self.best) else None,
            "best_step": self._best_step,
            "skipped_steps": self._skipped_steps,
            "environment": self._environment(),
        }
        if self.dist.is_main:
            yield from self._finished_saves(wait=True)
            self.saver.submit(self.step, self.learner.tensors(), state, best)
        self._saved = (self.step, self._now)

    def _finished_saves(self, wait: bool = False) -> Iterator[Event]:
        """The save that has ended since, or what went wrong with it."""
        try:
            saved = self.saver.wait() if wait else self.saver.finished()
        except UserError as error:
            if self.config.train.on_save_error == "stop":
                raise
            self._saved = (-1, self._saved[1])  # still to be saved, at the end if not before
            yield Warned(f"{error}. Training goes on")
        else:
            if saved is not None:
                yield saved

    def _save_last(self) -> Iterator[Event]:
        """A run ends when its last step is on disk. Raises UserError where it cannot be."""
        yield from self._finished_saves(wait=True)
        if self._saved[0] != self.step and self.dist.is_main:
            yield from self._save()
            saved = self.saver.wait()
            assert saved is not None
            yield saved


def _log(event: Event, trackers: list[Tracker]) -> Iterator[tuple[Tracker, OSError]]:
    """Let each tracker write down what happened; yields those that cannot, and why."""
    for tracker in trackers:
        try:
            tracker.log(event)
        except OSError as error:
            yield tracker, error
