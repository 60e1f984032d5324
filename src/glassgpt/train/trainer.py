"""The training loop, as an iterator of events. It prints nothing.

`Trainer._events` is the loop, `Trainer.train_step` one step. Gradient, update and loss are learner.py,
checkpoints on disk are saver.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from glassgpt.checkpoint import Run, TrainState, check_step, newest_valid, read_tensors, step_folder, steps
from glassgpt.config import RunConfig
from glassgpt.device import environment, environment_changes
from glassgpt.errors import UserError
from glassgpt.interrupts import StopRequest
from glassgpt.language import N_, join_texts
from glassgpt.models import Model
from glassgpt.tasks import TaskData
from glassgpt.threads import ThreadTuner
from glassgpt.train.clock import Clock, Elapsed
from glassgpt.train.early_stopping import EarlyStopping
from glassgpt.train.eval_plan import STAGE_S
from glassgpt.train.evaluation import Evaluator
from glassgpt.train.events import Evaluated, Event, Sampled, Saved, Stage, StepDone, Warned
from glassgpt.train.learner import GradientStats, Learner, seed_step
from glassgpt.train.live_doctor import LiveDoctor
from glassgpt.train.metrics import make_trackers
from glassgpt.train.non_finite import check_may_continue, describe
from glassgpt.train.observers import Observer, ObserverList
from glassgpt.train.saver import CheckpointSaver, recover_newest
from glassgpt.train.schedule import Budget, ends_by_epochs, lr_scale
from glassgpt.train.snapshots import Snapshots


class Trainer:
    """Trains one run: `for event in trainer.run(): …`.

    Afterwards `trainer.model` holds the last weights. Everything random in step n follows from (seed, n), so
    a resumed run draws what an uninterrupted run does.
    """

    def __init__(
        self,
        run: Run,
        config: RunConfig,
        task: TaskData,
        learner: Learner,
        observers: Sequence[Observer] = (),
        clock: Clock | None = None,
    ) -> None:
        self.folder, self.config, self.task, self.learner = run, config, task, learner
        self.dist = learner.dist
        self.observers = tuple(observers)
        self._all_observers = ObserverList(self.observers)
        self.budget = Budget.of(config, task.steps_per_epoch)
        self.clock = clock or Clock()
        self.stop = StopRequest()
        self.evaluator = Evaluator(learner, task, self.budget, self.stop)
        self.eval_plan, self.ending = self.evaluator.plan, self.evaluator.ending
        self.saver = CheckpointSaver(run.checkpoints, config.train, self.dist.is_main)
        self.threads = self._make_threads()
        self.step = 0
        self.early_stopping = EarlyStopping(config.train.patience)
        self.skipped_steps: list[int] = []  # steps whose gradient was not finite
        self._best_step: str | None = None  # name of its folder
        self._reserved_s = 0.0  # for the end of the run, equal in all processes

    @property
    def model(self) -> Model:
        """The model with its current weights."""
        return self.learner.model

    @property
    def best(self) -> float:
        """Lowest validation loss so far, in nats per character; infinity before the first evaluation."""
        return self.early_stopping.best

    @property
    def elapsed_s(self) -> float:
        """Seconds of the run, preparation and earlier attempts included."""
        return self.clock.elapsed.total_s

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0 to 1."""
        return self.budget.progress(self.step, self.clock.elapsed, self.ending.reserved_s)

    @property
    def left_s(self) -> float | None:
        """Seconds until the process ends; in a run of steps until the last step, None before the first."""
        by_clock = self.budget.left_s(self.clock.elapsed)
        by_step = self.clock.elapsed.trained_s * (1 / self.progress - 1) if self.progress else math.inf
        seconds = min(by_clock, by_step + self.ending.needed_s)
        return max(0.0, seconds) if math.isfinite(seconds) else None

    def _progress_at(self, step: float) -> float:
        """Return the progress at this step and the synchronized time, equal in all processes."""
        return self.budget.progress(step, self.clock.synced, self._reserved_s)

    @property
    def stopping(self) -> bool:
        """True if a stop was requested."""
        return self.stop.requested

    def request_stop(self) -> None:
        """Save and end the run after the current step or evaluation."""
        self.stop.requested = True

    def run(self) -> Iterator[Event]:
        """Train until the budget is spent or a stop is requested; yield every event."""
        self.clock.resume()
        with ExitStack() as closing:
            closing.callback(self.saver.close)
            closing.enter_context(self.threads.in_use())
            self._all_observers = ObserverList([*self._default_observers(), *self.observers])
            closing.callback(self._all_observers.close)
            for event in self._events():
                reactions = self._all_observers.notify(event)
                yield event
                yield from reactions

    def _make_threads(self) -> ThreadTuner:
        """Adapt the threads only in a run by the clock: their number decides the last bits of the weights."""
        adapts = self.budget.by_clock and self.config.train.threads is None
        adapt = adapts and self.learner.device.type == "cpu" and self.dist.world_size == 1
        return ThreadTuner(self.config.train.threads, adapt=adapt)

    def _default_observers(self) -> list[Observer]:
        if not self.dist.is_main:
            return []
        train = self.config.train
        snapshots = [Snapshots(self.folder, train.snapshots)] if train.snapshots else []
        has_doctor = any(isinstance(observer, LiveDoctor) for observer in self.observers)
        doctor = [LiveDoctor()] if train.doctor and not has_doctor else []
        return [*make_trackers(self.folder, self.config), *snapshots, *doctor]

    def _events(self) -> Iterator[Event]:
        """Run the loop; yield its events."""
        yield from map(Warned, self.task.warnings())
        self._plan_time()
        if self.step == 0:
            self.evaluator.prepare()
        self.clock.begin_training(self.dist)
        self._plan_time()
        if self.step == 0:
            yield from map(Warned, self.evaluator.check_time(self.clock.synced.prepared_s))
        while not self._sync_clock():
            if self.saver.is_due(self.step, self.clock.synced.trained_s):
                yield from self._save()
            progress = self._progress_at(self.step)
            if self.eval_plan.is_due(self.step, progress):
                yield from self._evaluate()
                continue  # a stop may have been requested meanwhile
            if progress >= 1 and self.step:
                yield from map(Warned, self._why_before_its_time())
                break
            if self.early_stopping.should_stop:
                yield Warned(self.early_stopping.reason)
                break
            yield from self.train_step()
            yield from self._announced(self.saver.finished())
        yield from self._save_last()

    def _why_before_its_time(self) -> list[str]:
        """Return why a run by the clock ends although time is left: its passes over the text are over."""
        if not self.budget.by_clock or not ends_by_epochs(self.config, self.budget, self.step):
            return []
        return [
            N_(
                "the run ends before its time, after {epochs:g} passes over its text: more would learn it by "
                "heart. More text would help. `max_epochs` sets the number of passes.",
                epochs=self.config.train.max_epochs,
            )
        ]

    def train_step(self) -> Iterator[Event]:
        """Take one step: gradient, observers, update, observers, StepDone."""
        began = time.monotonic()
        seed_step(self.config.train.seed, self.step, self.dist.rank)
        # Half a step ahead: the rate of a step's middle, so that neither the first nor the last step is idle.
        scale = lr_scale(self._progress_at(self.step + 0.5), self.config.optim)
        batches = self.task.step_batches(self.step)
        with self.threads.step(work=sum(batch.tokens.numel() for batch in batches)):
            stats = self.learner.backward(batches)
        yield from self._all_observers.call(lambda observer: observer.on_gradients(self.step + 1, self.model))
        if not stats.is_finite or self.step in self.skipped_steps:
            yield self._skip_step(stats)
            return
        self.learner.optimizer_step(scale)
        self.step += 1
        yield from self._all_observers.call(lambda observer: observer.on_update(self.step, self.model))
        seconds = time.monotonic() - began
        self.ending.add_step(seconds)
        yield StepDone(
            step=self.step,
            loss=stats.loss,
            lrs=self.learner.lrs,
            grad_norm=stats.norm,
            tokens=stats.n_tokens,
            tokens_per_s=stats.n_tokens / seconds,
            progress=self.progress,
            elapsed_s=self.elapsed_s,
            left_s=self.left_s,
        )

    def _skip_step(self, stats: GradientStats) -> Warned:
        """Skip the update of this step, go back, or raise UserError, as `on_nan` says."""
        step, train = self.step, self.config.train
        self.learner.zero_grad()
        if step in self.skipped_steps:
            self.step += 1
            return Warned(N_("step {bad} is skipped: its gradient was not finite before.", bad=step))
        check_may_continue(stats, step, train, len(self.skipped_steps))
        problem = describe(stats, step, train)
        self.skipped_steps.append(step)
        back = self._roll_back() if train.on_nan == "rollback" else None
        if back is None:
            self.step += 1
            return Warned(N_("{problem}. The step is skipped.", problem=problem))
        return Warned(
            N_(
                "{problem}. Training continues from step {back}, without step {skipped}.",
                problem=problem,
                back=back,
                skipped=step,
            )
        )

    def _roll_back(self) -> int | None:
        """Load the newest complete checkpoint; return its step or None."""
        self.saver.wait()
        step = newest_valid(steps(self.folder.checkpoints))[0] if self.dist.is_main else None
        name = self.dist.broadcast_str(step.name if step else "")
        if not name:
            return None
        self._load(self.folder.checkpoints / name)
        self.eval_plan.advance(self._progress_at(self.step))
        return self.step

    def _evaluate(self) -> Iterator[Event]:
        """Measure the validation loss, write a sample, save the best weights.

        A stop that is requested meanwhile ends it without a result; a resumed run evaluates this step again.
        """
        if self.eval_plan.eval_s > STAGE_S:
            yield Stage(N_("evaluating"))
        began = time.monotonic()
        share = self.evaluator.measure(self.step)
        if self._sync_clock() or share is None:
            return
        measured, seconds = self.learner.add_shares(share), time.monotonic() - began
        if self.learner.replicas_differ():
            yield Warned(
                N_("the processes' weights are no longer equal; those of the main process are saved.")
            )
        event = Evaluated.of(measured, self.task.val, step=self.step, best=self.best, seconds=seconds)
        self.early_stopping.update(event.nats_per_char)
        yield event
        yield from self._all_observers.call(lambda observer: observer.on_evaluation(event, self.model))
        if self.eval_plan.sample_is_due(self._progress_at(self.step)):
            yield from self._sample()
        self._plan_next_eval(seconds)
        if event.best:
            yield from self._save(best=True)

    def _plan_next_eval(self, seconds: float) -> None:
        self.evaluator.sync(seconds)
        self._sync_clock()
        self.eval_plan.advance(self._progress_at(self.step))

    def _sync_clock(self) -> bool:
        """Agree with all processes on the time; return True to stop. A signal meanwhile counts next time."""
        stop, self._reserved_s = self.clock.sync(self.dist, self.stopping, self.ending.reserved_s)
        if stop:
            self.request_stop()  # only ever set to True here, or a signal would be lost
        return bool(stop)

    def _plan_time(self) -> None:
        """Plan evaluations and end for the time that the preparation has left."""
        self._sync_clock()
        self.eval_plan.time_s = self.budget.training_s(self.clock.synced.prepared_s, reserved_s=0)

    def _sample(self) -> Iterator[Event]:
        """Generate text with the model, in the main process."""
        n_tokens, seed = self.config.train.sample_tokens, self.config.train.seed
        if n_tokens and self.dist.is_main:
            began = time.monotonic()
            self.model.eval()
            text = self.stop.unless_stopped(lambda: self.task.sample(self.model, n_tokens, seed))
            self.model.train()
            self.eval_plan.add_sample(self._progress_at(self.step), time.monotonic() - began)
            if text is not None:
                yield Sampled(self.step, text)

    def _save(self, best: bool = False) -> Iterator[Event]:
        """Start to save this step; yield the result of the save before."""
        if best:
            self._best_step = step_folder(self.folder.checkpoints, self.step).name
        state, tensors = self._state(), self.learner.tensors()
        yield from self._announced(self.saver.save(state, tensors, self.clock.synced.trained_s, best))

    def _save_last(self) -> Iterator[Event]:
        """Wait until the last step is on disk. Raises UserError if that fails."""
        yield from self._announced(self.saver.finished(wait=True))
        if self.saver.is_new(self.step):
            yield from self._save()
            if (saved := self.saver.wait()) is not None:
                yield from self._announced([saved])

    def _announced(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield events; show observers each save."""
        for event in events:
            yield event
            if isinstance(event, Saved):
                self.ending.save_s = self.saver.seconds
                yield from self._all_observers.call(lambda observer, saved=event: observer.on_save(saved))

    def _state(self) -> TrainState:
        """Return everything a resumed run needs, other than tensors."""
        elapsed, plan = self.clock.elapsed, self.eval_plan
        return TrainState(
            step=self.step,
            elapsed_s=elapsed.total_s,
            prepared_s=elapsed.prepared_s,
            next_eval=plan.next_eval,
            eval_s=plan.eval_s,
            eval_stride=plan.stride,
            sample_s=plan.sample_s,
            best=self.best if math.isfinite(self.best) else None,
            best_step=self._best_step,
            n_worse=self.early_stopping.n_worse,
            skipped_steps=list(self.skipped_steps),
            environment=self._environment(),
        )

    def resume(self) -> list[str]:
        """Load the newest complete checkpoint; return notes for the user.

        Notes name damaged checkpoints and a changed environment. Raises UserError if there is none.
        """
        step, problems = recover_newest(self.folder.checkpoints) if self.dist.is_main else (None, [])
        name = self.dist.broadcast_str(step.name if step else "")
        if not name:
            reason = join_texts("; ", problems) or N_("none was saved yet")
            raise UserError(
                "{path}: no checkpoint to resume from ({reason}). Start a new run.",
                path=self.folder.path,
                reason=reason,
            )
        state = self._load(self.folder.checkpoints / name)
        self.clock.add(Elapsed(state.prepared_s, max(0.0, state.elapsed_s - state.prepared_s)))
        self.eval_plan.restore(state.eval_s, state.eval_stride, state.sample_s)
        self.eval_plan.advance(self._progress_at(self.step))
        self.eval_plan.next_eval = min(state.next_eval, self.eval_plan.next_eval)  # the run may be longer now
        self.saver.mark_saved(self.step, self.clock.synced.trained_s)
        return [*problems, *environment_changes(state.environment, self._environment())]

    def _load(self, step: Path) -> TrainState:
        """Load weights, optimizers and state from a verified checkpoint; return the state."""
        check_step(step, self.folder.layout(self.config), resumable=True)
        state = TrainState.read(step)
        self.learner.load({stem: read_tensors(step, stem) for stem in ("model", "optimizer")})
        self.step, self._best_step = state.step, state.best_step
        self.early_stopping.best = math.inf if state.best is None else state.best
        self.early_stopping.n_worse = state.n_worse
        self.skipped_steps = sorted({*self.skipped_steps, *state.skipped_steps})
        return state

    def _environment(self) -> dict[str, str]:
        learner, compiled = self.learner, self.config.train.compile
        threads = "adapted" if self.threads.adapts else str(self.threads.n_threads)
        return environment(learner.device, learner.dtype, threads, self.dist.world_size, compiled)
