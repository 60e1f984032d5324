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
    load_weights,
    newest_valid,
    read_state,
    read_tensors,
    set_aside,
    set_hint,
    step_folder,
    steps,
    weights,
)
from glassgpt.config import RunConfig
from glassgpt.data import IGNORE
from glassgpt.errors import UserError
from glassgpt.models import build
from glassgpt.train.device import autocast, choose_device, choose_dtype, scope, scope_changes
from glassgpt.train.events import Evaluated, Event, Sampled, StepDone, Warned
from glassgpt.train.metrics import make_trackers
from glassgpt.train.objective import CrossEntropy, n_right
from glassgpt.train.optim import load_state_tensors, make_optimizers, set_lr, state_tensors
from glassgpt.train.saver import Saver
from glassgpt.train.schedule import Budget, lr_scale
from glassgpt.train.task import Task

MAX_BAD_STEPS = 10
"""Steps with a gradient that is not finite that a run is forgiven, one after the other or in all."""
MAX_EVAL_SHARE = 0.2
"""Of a run measured in minutes, evaluation takes no more than this share."""


class Trainer:
    """Trains one run. `for event in trainer.run(): …`; afterwards `trainer.model` holds the last weights.

    Everything random in step n follows from (seed, n), so a resumed run draws what an unbroken one would.
    """

    def __init__(self, run: Run, config: RunConfig, task: Task) -> None:
        self.folder, self.config, self.task = run, config, task
        self.device = choose_device(config.train.device)
        self.dtype = choose_dtype(config.train.dtype, self.device)
        torch.manual_seed(config.train.seed)
        self.model = build(config.model, task.tokenizer.n_vocab).to(self.device)
        self.objective = CrossEntropy(self.model, config.train.label_smoothing)
        self.optimizers = make_optimizers(self.model, config.optim)
        self.budget = Budget.of(config.train)
        self.step = 0
        self.best = math.inf
        self._best_step: str | None = None
        self.stopping = False
        self._before_s = 0.0  # elapsed in earlier sittings
        self._started = time.monotonic()
        self._eval_s = 0.0  # duration of an evaluation, measured or guessed
        self._evaluated = -1  # the step that was evaluated last
        self._next_eval = 1 / config.train.evals  # as progress
        self._saved: tuple[int, float] = (-1, 0.0)  # step and elapsed_s of the latest checkpoint
        self._left_out: list[int] = []  # steps whose gradients were not finite
        self.saver = Saver(run.checkpoints)
        if config.train.compile:
            self.objective.compile()

    @property
    def elapsed_s(self) -> float:
        """Seconds of training, earlier sittings included."""
        return self._before_s + time.monotonic() - self._started

    @property
    def progress(self) -> float:
        """Share of the run that is done. Of a run measured in time, the last evaluation is part."""
        return self.budget.progress(self.step, self.elapsed_s, reserved_s=1.2 * self._eval_s)

    def request_stop(self) -> None:
        """End the run after the step at hand, with its state saved. Safe to call from a signal handler."""
        self.stopping = True

    def resume(self) -> list[str]:
        """Continue from the newest step that is whole. Returns what was wrong with newer ones."""
        step, problems = newest_valid(steps(self.folder.checkpoints))
        if step is None:
            reason = "; ".join(problems) or "none was saved yet"
            raise UserError(f"{self.folder.path} has no step to resume from: {reason}; start a new run")
        for damaged in takewhile(lambda newer: newer != step, steps(self.folder.checkpoints)):
            set_aside(damaged)
        state = self._load(step)
        self._before_s = state["elapsed_s"]
        self._eval_s = state["eval_s"]
        if self._best_step is not None and (self.folder.checkpoints / self._best_step).is_dir():
            set_hint(self.folder.checkpoints, "best", self.folder.checkpoints / self._best_step)
        self._started = time.monotonic()
        self._next_eval = min(state["next_eval"], self._plan_eval())  # the run may have become longer
        self._saved = (self.step, self._before_s)
        return [*problems, *scope_changes(state.get("scope", {}), scope(self.device, self.dtype))]

    def _load(self, step: Path) -> dict[str, Any]:
        """Weights, optimisers and what is known at a step that was verified; returns its state."""
        state = read_state(step)
        load_weights(self.model, read_tensors(step, "model"))
        load_state_tensors(self.optimizers, self.model, read_tensors(step, "optimizer"))
        self.step, self._best_step = state["step"], state["best_step"]
        self.best = math.inf if state["best"] is None else state["best"]
        self._left_out = sorted({*self._left_out, *state.get("left_out", ())})
        return state

    def run(self) -> Iterator[Event]:
        """Train until the budget is spent or a stop is requested; yields what happens."""
        self._started = time.monotonic()
        with ExitStack() as closing:
            closing.callback(self.saver.close)
            trackers = make_trackers(self.folder, self.config)
            for tracker in trackers:
                closing.callback(tracker.close)
            for event in self._events():
                for tracker in trackers:
                    tracker.log(event)
                yield event

    def _events(self) -> Iterator[Event]:
        yield from map(Warned, self.task.warnings())
        if self.budget.seconds is not None and not self._eval_s:
            self._eval_s = self._guess_eval_seconds()
            self._next_eval = self._plan_eval()
        while not self.stopping:
            progress = self.progress
            if progress >= self._next_eval and self._evaluated != self.step:
                yield from self._evaluate()
            if progress >= 1:
                break
            yield self._train_step()
            if self.elapsed_s - self._saved[1] > 60 * self.config.train.save_minutes:
                yield from self._save()
            yield from self._what_was_saved()
        yield from self._save_last()

    def _train_step(self) -> Event:
        began, optim = time.monotonic(), self.config.optim
        torch.manual_seed((self.config.train.seed * 1_000_003 + self.step) % 2**63)  # decides dropout
        # Half a step ahead: the rate of a step's middle, so that neither the first nor the last step is idle.
        middle = self.budget.progress(self.step + 0.5, self.elapsed_s, reserved_s=1.2 * self._eval_s)
        scale = lr_scale(middle, optim)
        set_lr(self.optimizers, scale)
        loss, n_tokens = self._accumulate_gradients()
        grad_norm = self._clip_gradients()
        if not math.isfinite(grad_norm) or self.step in self._left_out:
            return self._leave_out(loss, grad_norm)
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return StepDone(
            step=self.step,
            loss=loss,
            lr=scale * optim.peak_lr,
            grad_norm=grad_norm,
            tokens=n_tokens,
            tokens_per_s=n_tokens / (time.monotonic() - began),
            progress=self.progress,
            elapsed_s=self.elapsed_s,
        )

    def _leave_out(self, loss: float, grad_norm: float) -> Warned:
        """Go on without the update of this step, as the configuration says, or stop before it."""
        bad, n = self.step, self.config.train.grad_accum_steps
        batches = f"batch {bad}" if n == 1 else f"batches {bad * n} to {bad * n + n - 1}"
        what = (
            f"the gradient became {grad_norm} at step {bad} (loss {loss:.3f}, {batches} of seed "
            f"{self.config.train.seed}); the weights did not take it"
        )
        is_known = bad in self._left_out
        if self.config.train.on_nan == "stop" or (not is_known and len(self._left_out) >= MAX_BAD_STEPS):
            raise UserError(
                f"{what}: lower --lr and --muon-lr, raise --warmup, or leave it out (--on-nan skip)"
            )
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        if is_known:
            self.step += 1
            return Warned(f"step {bad} is left out: its gradient was not finite when it was first tried")
        self._left_out.append(bad)
        if self.config.train.on_nan == "rollback" and (back := self._go_back()) is not None:
            return Warned(f"{what}: back to step {back}, and on without step {bad}")
        self.step += 1
        return Warned(f"{what}: it is left out")

    def _go_back(self) -> int | None:
        """Load the newest whole checkpoint; None where there is none yet."""
        self.saver.wait()
        step, _ = newest_valid(steps(self.folder.checkpoints))
        if step is None:
            return None
        self._load(step)
        self._next_eval = self._plan_eval()
        return self.step

    def _accumulate_gradients(self) -> tuple[float, int]:
        """Gradients of the mean loss over the step's micro-batches; returns that loss and the token count."""
        B, n = self.config.train.micro_batch_size, self.config.train.grad_accum_steps
        batches = [self.task.train_batch(self.step * n + i, B) for i in range(n)]
        n_tokens = sum(int((batch.targets != IGNORE).sum()) for batch in batches)
        total = torch.zeros((), device=self.device)
        for batch in batches:
            with autocast(self.device, self.dtype):
                loss = self.objective(batch.to(self.device)).total / n_tokens
            loss.backward()
            total += loss.detach()
        return total.item(), n_tokens

    def _clip_gradients(self) -> float:
        """Scale all gradients so that their norm is within the limit; returns the norm before."""
        limit, params = self.config.optim.grad_clip, list(self.model.parameters())
        foreach = True if self.device.type in ("cpu", "cuda") else None  # mps has no such kernels
        norm = torch.nn.utils.get_total_norm([p.grad for p in params if p.grad is not None], foreach=foreach)
        if limit and norm > limit:  # most steps need no scaling, and a pass over all gradients is not free
            torch.nn.utils.clip_grads_with_norm_(params, limit, norm, foreach=foreach)
        return norm.item()

    def _evaluate(self) -> Iterator[Event]:
        began = time.monotonic()
        (nats, exact), val = self._measure(), self.task.val
        self._evaluated = self.step
        self._eval_s = time.monotonic() - began
        nats_per_char = nats / val.n_chars
        if best := nats_per_char < self.best:
            self.best = nats_per_char
        self._next_eval = self._plan_eval()
        yield Evaluated(
            step=self.step,
            nats_per_token=nats / val.n_tokens,
            nats_per_char=nats_per_char,
            bits_per_char=nats_per_char / math.log(2),
            bits_per_byte=nats / val.n_bytes / math.log(2),
            best=best,
            seconds=self._eval_s,
            exact=exact,
        )
        if self.config.train.sample_tokens:
            yield self._sample()
        if best:
            yield from self._save(best=True)

    @torch.no_grad()
    def _measure(self) -> tuple[float, float | None]:
        """The cost of the whole validation split in nats, and the share of its answers that are right."""
        self.objective.eval()
        nats, right, n = 0.0, 0, 0
        for batch in self.task.eval_batches():
            batch = batch.to(self.device)
            with autocast(self.device, self.dtype):
                logits = self.objective.logits(batch)
                nats += self.objective.loss(logits, batch.targets).total.item()
            if self.task.has_answers:
                right += n_right(logits, batch.targets)
                n += len(batch.targets)
        self.objective.train()
        return nats, right / n if n else None

    @torch.no_grad()
    def _guess_eval_seconds(self) -> float:
        """How long an evaluation will take, from one batch of it."""
        batch = next(self.task.eval_batches())
        began = time.monotonic()
        with autocast(self.device, self.dtype):
            n_tokens = self.objective(batch.to(self.device)).n_tokens.item()
        return (time.monotonic() - began) * self.task.val.n_tokens / max(1, n_tokens)

    def _plan_eval(self) -> float:
        """The progress at which the next evaluation is due: evenly spaced, wider where they are slow."""
        gap = 1 / self.config.train.evals
        if self.budget.seconds is not None:
            gap = max(gap, self._eval_s / MAX_EVAL_SHARE / self.budget.seconds)
        return min(1.0, gap * (math.floor(self.progress / gap + 1e-9) + 1))

    def _sample(self) -> Sampled:
        self.model.eval()
        train = self.config.train
        text = self.task.sample(self.model, train.sample_tokens, train.seed)
        self.model.train()
        self.folder.samples.mkdir(exist_ok=True)
        (self.folder.samples / f"step-{self.step:010d}.txt").write_text(text, "utf-8")
        return Sampled(self.step, text)

    def _save(self, best: bool = False) -> Iterator[Event]:
        """Begin to save this step; yields the save before, where it ended only now."""
        if best:
            self._best_step = step_folder(self.folder.checkpoints, self.step).name
        state = {
            "elapsed_s": self.elapsed_s,
            "next_eval": self._next_eval,
            "eval_s": self._eval_s,
            "best": self.best if math.isfinite(self.best) else None,
            "best_step": self._best_step,
            "left_out": self._left_out,
            "scope": scope(self.device, self.dtype),
        }
        tensors = {"model": weights(self.model), "optimizer": state_tensors(self.optimizers, self.model)}
        yield from self._what_was_saved(wait=True)
        self.saver.submit(self.step, tensors, state, best)
        self._saved = (self.step, self.elapsed_s)

    def _what_was_saved(self, wait: bool = False) -> Iterator[Event]:
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
        yield from self._what_was_saved(wait=True)
        if self._saved[0] != self.step:
            yield from self._save()
            saved = self.saver.wait()
            assert saved is not None
            yield saved
