"""Observers: places in a training step for code from outside the trainer.

Trackers are observers, and so is a line of your own. An observer sees a run; it does not decide when a step,
an evaluation or a save is due.

    class LargeGradients(Observer):
        def on_gradients(self, step, model):
            for name, p in model.named_parameters():
                if p.grad is not None and p.grad.norm() > 10:
                    yield Warned(f"step {step}: the gradient of {name} is large")

    for event in start(config, observers=[LargeGradients()]).run():
        print(event)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack

from glassgpt.language import N_
from glassgpt.models import Model
from glassgpt.train.events import Evaluated, Event, Saved, Warned

Events = Iterable[Event] | None
"""Events for the trainer to yield next; None for no events."""


class Observer:
    """Base class of observers: every method does nothing and may be overridden.

    A method may yield or return events; the trainer yields them next. `step` counts from 1, like
    `StepDone.step`. An OSError in a method becomes one warning per observer, and training continues. Other
    errors end the run. With several processes, observers given by the caller run in each of them.
    """

    def on_gradients(self, step: int, model: Model) -> Events:
        """See the gradients between the backward pass and the update of this step.

        Each `p.grad` holds the gradient of the mean loss over the whole batch, summed over micro-batches and
        processes, and clipped to `grad_clip` (sparse gradients are not clipped). It is None for frozen
        parameters. Gradients may be changed in place. Also called for a gradient that is not finite; the
        trainer then skips the update.
        """

    def on_update(self, step: int, model: Model) -> Events:
        """See the weights after the update of this step; the gradients are gone."""

    def on_evaluation(self, event: Evaluated, model: Model) -> Events:
        """See the result of an evaluation, with the model in training mode."""

    def on_save(self, event: Saved) -> Events:
        """See a checkpoint that is complete on disk; main process only."""

    def on_event(self, event: Event) -> Events:
        """See any event before the caller of the trainer gets it.

        Events of observers are included. Events that this method returns are not shown to observers: an
        observer cannot react to itself for ever.
        """

    def close(self) -> None:
        """Release files and connections; always called at the end of `Trainer.run`."""


class ObserverList:
    """Calls several observers in order, and reports each broken one once."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self.observers = observers
        self._reported: set[int] = set()

    def call(self, method: Callable[[Observer], Events]) -> Iterator[Event]:
        """Call a method of every observer; yield their events.

        The first OSError of each observer becomes a warning.
        """
        for i, observer in enumerate(self.observers):
            try:
                events = list(method(observer) or ())
            except OSError as error:
                events = [] if i in self._reported else [_warning(observer, error)]
                self._reported.add(i)
            yield from events

    def notify(self, event: Event) -> list[Event]:
        """Show an event to every observer; return their events."""
        return list(self.call(lambda observer: observer.on_event(event)))

    def close(self) -> None:
        """Close every observer, the last one first, also if one of them fails."""
        with ExitStack() as closing:
            for observer in self.observers:
                closing.callback(observer.close)


def _warning(observer: Observer, error: OSError) -> Warned:
    return Warned(
        N_(
            "{observer}: {error}. Its output is incomplete; training continues.",
            observer=type(observer).__name__,
            error=error,
        )
    )
