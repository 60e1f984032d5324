"""A language model of any origin and a batch, behind one interface: the subject of all checks."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from glassgpt.data import IGNORE, Batch
from glassgpt.doctor.model_parts import ModelParts
from glassgpt.errors import UserError
from glassgpt.models import Model

LossFunction = Callable[[nn.Module, Any], Tensor]
"""Loss of a model on a batch, as the user's training computes it."""
TrainStep = Callable[[nn.Module, Any], Any]
"""One optimizer step on a batch, as the user's training takes it."""
MAX_ROWS = 4
MAX_TOKENS = 48


class Skip(Exception):
    """A check that cannot run; the message is the reason."""


class Subject:
    """A model, a batch and, optionally, how it is trained: loss, step, optimizers, batches in their order.

    batch: tokens (B, T), (tokens, targets), a dict with `input_ids` and `labels`, or a `Batch`. Without
    targets, the target is the next token. Raises UserError for a batch or an output that cannot be used.
    """

    def __init__(
        self,
        model: nn.Module,
        batch: Any,
        loss: LossFunction | None = None,
        train_step: TrainStep | None = None,
        optimizers: Sequence[Optimizer] = (),
        causal: bool = True,
        batches: Sequence[Any] = (),
        dtype: str = "",
        recorded_loss: float | None = None,
        is_as_recorded: bool = False,
    ) -> None:
        self.model, self.batch = model, batch
        self.loss_function, self.train_step, self.optimizers = loss, train_step, tuple(optimizers)
        self.causal = causal
        self.batches = [as_batch(each) for each in batches]
        self.dtype = dtype  # precision of a pass, as in the settings of a run; that of the weights by default
        self.recorded_loss = recorded_loss  # in nats per target, if these weights should have it and have not
        self.is_as_recorded = is_as_recorded  # True if the weights have the loss that their training recorded
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        self.data = as_batch(batch).to(device)
        self._check_tokens()
        self.with_targets = False  # some models show all logits only if they are given targets
        self.n_vocab = self._find_vocabulary()

    @property
    def tokens(self) -> Tensor:
        """Tokens (B, T) of a few short rows, for checks that need many passes."""
        return self.small.tokens

    @cached_property
    def small(self) -> Batch:
        """A few rows, cut to a few tokens where the targets allow it."""
        rows = self.data.rows(slice(0, MAX_ROWS))
        if rows.targets.shape != rows.tokens.shape:
            return rows
        return rows._replace(tokens=rows.tokens[:, :MAX_TOKENS], targets=rows.targets[:, :MAX_TOKENS])

    @cached_property
    def config(self) -> Any:
        """The model's configuration object; None without one."""
        return getattr(self.model, "config", None)

    def setting(self, *names: str) -> Any:
        """Return the first setting of these names in the model's configuration; None if it has none."""
        found = (getattr(self.config, name, None) for name in names)
        return next((value for value in found if value is not None), None)

    @property
    def parts(self) -> ModelParts:
        """Blocks, attentions, MLPs, norms, tables and head of the model."""
        return ModelParts(self.model, self.n_vocab)

    @property
    def stated_dropouts(self) -> set[float]:
        """Rates of dropout in the model's configuration."""
        settings = vars(self.config) if hasattr(self.config, "__dict__") else {}
        return {float(p) for name, p in settings.items() if "drop" in name and isinstance(p, int | float)}

    def logits(self, tokens: Tensor | None = None, batch: Batch | None = None) -> Tensor:
        """Compute logits (B, T, V), with the batch's own sources. Raises UserError for other outputs."""
        batch = batch or self.small
        if tokens is None:
            tokens = batch.tokens
        if isinstance(self.model, Model):
            return self.model.predict(tokens, batch.source, batch.source_of)
        return find_logits(self.model(tokens, tokens) if self.with_targets else self.model(tokens))

    def loss(self, batch: Batch | None = None) -> Tensor:
        """Compute the reference loss: mean cross-entropy in nats per target."""
        batch = batch or self.small
        return F.cross_entropy(
            self.logits(batch=batch).flatten(0, 1).float(), batch.targets.flatten(), ignore_index=IGNORE
        )

    @torch.no_grad()
    def loss_value(self, batch: Batch | None = None) -> float:
        """Compute the reference loss as a number, in nats per target."""
        return float(self.loss(batch))

    @cached_property
    def initial_loss(self) -> float:
        """Loss on the small batch in evaluation mode, in nats per target."""
        with preserved(self.model):
            self.model.eval()
            return self.loss_value()

    @property
    def predicts_tokens(self) -> bool:
        """True if there is a target for each token, not one for each row."""
        return self.data.targets.shape == self.data.tokens.shape

    @property
    def is_trained(self) -> bool:
        """True if the gain of a norm is no longer constant, as it was at first: the weights have moved."""
        gains = [p for name, p in self.model.named_parameters() if p.ndim == 1 and name.endswith("weight")]
        return any(float(gain.detach().std()) > 0 for gain in gains if gain.numel() > 1)

    @property
    def is_fresh(self) -> bool:
        """True if the model predicts no better than a uniform guess: it has not learned yet."""
        return not self.initial_loss < 0.93 * math.log(self.n_vocab)

    def _check_tokens(self) -> None:
        tokens = self.data.tokens
        if tokens.ndim != 2 or tokens.dtype != torch.int64 or min(tokens.shape) < 1:
            raise UserError(
                "the batch has tokens of shape {shape} and type {dtype}. Pass token ids of shape (B, T), "
                "int64.",
                shape=tuple(tokens.shape),
                dtype=tokens.dtype,
            )

    @torch.no_grad()
    def _find_vocabulary(self) -> int:
        """Return the size of the last dimension of the logits."""
        tokens = self.small.tokens
        with preserved(self.model):
            self.model.eval()
            try:
                logits = self.logits()
                if (
                    logits.ndim == 3
                    and logits.shape[1] < tokens.shape[1]
                    and not isinstance(self.model, Model)
                ):
                    self.with_targets = True
                    logits = self.logits()
            except UserError:
                raise
            except Exception as error:
                raise UserError(
                    "the model fails on the batch: {error}. Pass token ids that the model accepts.",
                    error=error,
                ) from error
        if logits.ndim != 3 or logits.shape[:2] != self.small.targets.shape:
            raise UserError(
                "the model returns {shape} for tokens {tokens}. Pass a model that returns logits (B, T, V).",
                shape=tuple(logits.shape),
                tokens=tuple(tokens.shape),
            )
        return logits.shape[-1]


def as_batch(batch: Any) -> Batch:
    """Read tokens and targets of a batch; raises UserError if it has none."""
    if isinstance(batch, Batch):
        return batch
    if isinstance(batch, Tensor):
        targets = torch.full_like(batch, IGNORE)
        if batch.ndim == 2:
            targets[:, :-1] = batch[:, 1:]
        return Batch(batch, targets)
    if (
        isinstance(batch, tuple | list)
        and len(batch) == 2
        and all(isinstance(part, Tensor) for part in batch)
    ):
        return Batch(batch[0], batch[1].to(torch.int64))
    if isinstance(batch, Mapping) and isinstance(tokens := batch.get("input_ids"), Tensor):
        found = as_batch(tokens)
        if isinstance(labels := batch.get("labels"), Tensor) and tokens.ndim == 2:
            found.targets[:, :-1] = labels[:, 1:]  # labels are the tokens themselves; the model shifts them
        return found
    raise UserError(
        "the batch is a {type}. Pass tokens (B, T), a pair of tokens and targets, or a dict with input_ids.",
        type=type(batch).__name__,
    )


def mapped(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a batch with each of its tensors of rows changed."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, Batch):
        source = batch.source if batch.source_of is not None else None
        if source is not None:
            return batch  # rows share their sources
        changed = Batch(change(batch.tokens), change(batch.targets), batch.source)
        n = len(changed.tokens)
        return changed._replace(source=None if batch.source is None else batch.source[:n])
    if isinstance(batch, Mapping):
        return {name: change(t) if isinstance(t, Tensor) and t.ndim else t for name, t in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)(change(t) if isinstance(t, Tensor) and t.ndim else t for t in batch)
    return batch


def find_logits(output: Any) -> Tensor:
    """Return the logits of a model's output: a tensor, `.logits`, or the first of a tuple."""
    if isinstance(output, Tensor):
        return output
    found = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if found is None and isinstance(output, tuple | list):
        found = next((part for part in output if isinstance(part, Tensor) and part.ndim == 3), None)
    if isinstance(found, Tensor):
        return found
    raise UserError(
        "the model returns {type} without logits. Pass a model that returns logits (B, T, V), an object with "
        "`logits`, or a tuple with them.",
        type=type(output).__name__,
    )


@contextmanager
def preserved(model: nn.Module, optimizers: Sequence[Optimizer] = ()) -> Iterator[None]:
    """Restore weights, buffers, gradients, modes, optimizers and random states afterwards."""
    tensors = [*model.parameters(), *model.buffers()]
    values = [each.detach().clone() for each in tensors]
    grads = [(p, p.grad if p.grad is None else p.grad.clone()) for p in model.parameters()]
    modes = {module: module.training for module in model.modules()}
    # load_state_dict takes over the tensors that it is given: a copy is needed
    states = [copy.deepcopy(optimizer.state_dict()) for optimizer in optimizers]
    python = random.getstate()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        with torch.no_grad():
            for each, value in zip(tensors, values, strict=True):
                each.copy_(value)
        for p, grad in grads:
            p.grad = grad
        for module, training in modes.items():
            module.training = training
        for optimizer, state in zip(optimizers, states, strict=True):
            optimizer.load_state_dict(state)
