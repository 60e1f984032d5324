"""Exercises with a check: a number, or a function that is compared on random input.

The right answer is computed. A mistake that many make has a hint of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from glassgpt.language import Translate

Function = Callable[..., Any]
N_TRIALS = 3
"""Random inputs for a function."""


@dataclass(frozen=True)
class Checked:
    """Result of a check, with a message. True if the answer is right."""

    right: bool
    message: str

    def __bool__(self) -> bool:
        return self.right

    def __str__(self) -> str:
        return f"{'✓' if self.right else '✗'} {self.message}"

    __repr__ = __str__


@dataclass(frozen=True)
class NumberExercise:
    """Exercise whose answer is a number."""

    question: str
    right: Callable[[], float]
    """Computes the right number."""
    hint: str
    mistakes: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    """Hint for each common mistake, with the number that it gives."""
    tolerance: float = 0.01
    """Accepted relative difference."""

    @property
    def start(self) -> str:
        """The code of the notebook's cell, to fill in."""
        return "answer = ..."

    @property
    def answer_name(self) -> str:
        """Name of the variable with the answer."""
        return "answer"

    def check(self, answer: object, _: Translate) -> Checked:
        """Compare a number, or its text, with the right one."""
        if answer is ... or answer is None:
            return _not_yet(_, _("there is no answer. Put a number in place of the dots."))
        number = _number(answer)
        if number is None:
            text = _("{answer!r} is no number. This exercise asks for one.")
            return _not_yet(_, text.format(answer=_short(answer)))
        right = float(self.right())
        if self._near(number, right):
            return Checked(True, _("Right: {number:.4g}.").format(number=right))
        for hint, mistake in self.mistakes.items():
            if self._near(number, float(mistake())):
                return _not_yet(_, hint)
        if abs(number - right) <= 10 * self.tolerance * abs(right):
            return _not_yet(_, _("close. Compute it with three digits or more."))
        return _not_yet(_, self.hint)

    def _near(self, number: float, right: float) -> bool:
        return abs(number - right) <= self.tolerance * max(abs(right), 1e-3)


@dataclass(frozen=True)
class FunctionExercise:
    """Exercise whose answer is a function of tensors."""

    question: str
    signature: str
    """The first line, such as `def softmax(z):`, with the shapes as a comment."""
    right: Function
    inputs: Callable[[torch.Generator], tuple[Any, ...]]
    """Random arguments."""
    hint: str
    mistakes: Mapping[str, Function] = field(default_factory=dict)
    """Hint for each common mistake, with the function that it gives."""

    @property
    def start(self) -> str:
        """The code of the notebook's cell, to fill in."""
        return f"{self.signature}\n    ..."

    @property
    def answer_name(self) -> str:
        """Name of the function."""
        return self.signature.removeprefix("def ").split("(")[0]

    def check(self, answer: object, _: Translate) -> Checked:
        """Compare a function with the right one on random input."""
        if not callable(answer):
            text = _("{answer!r} is no function. This exercise asks for `{signature}`.")
            return _not_yet(_, text.format(answer=_short(answer), signature=self.signature.split(":")[0]))
        generator = torch.Generator().manual_seed(0)
        for _trial in range(N_TRIALS):
            if wrong := self._fault(answer, self.inputs(generator), _):
                return _not_yet(_, wrong)
        text = _("Right: the same as the reference on {n} random inputs.")
        return Checked(True, text.format(n=N_TRIALS))

    def _fault(self, answer: Function, arguments: tuple[Any, ...], _: Translate) -> str:
        """Return the message about a wrong answer for some arguments, or an empty text."""
        try:
            value = answer(*_copies(arguments))
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
            text = _("the function raises {reason} for arguments of the shapes {shapes}.")
            return text.format(reason=reason, shapes=", ".join(map(_shape, arguments)))
        if value is None or value is ...:
            return _("the function returns nothing. Write its lines, and `return` the result.")
        try:
            found = torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError):
            text = _("the function returns {value!r}; it should return a tensor.")
            return text.format(value=_short(value))
        return self._difference(found, torch.as_tensor(self.right(*arguments)), arguments, _)

    def _difference(self, found: Tensor, right: Tensor, arguments: tuple[Any, ...], _: Translate) -> str:
        """Return the message about a wrong result, or an empty text."""
        if found.shape != right.shape:
            text = _("the result has the shape {found}; it should have {right}.")
            return text.format(found=_shape(found), right=_shape(right))
        if _close(found, right):
            return ""
        for hint, mistake in self.mistakes.items():
            wrong = torch.as_tensor(mistake(*arguments))
            if wrong.shape == found.shape and _close(found, wrong):
                return hint
        gap = (found.double() - right.double()).abs().nan_to_num(torch.inf, torch.inf).max().item()
        return self.hint + " " + _("(The largest difference is {gap:.2g}.)").format(gap=gap)


Exercise = NumberExercise | FunctionExercise


def load_exercises(name: str, _: Translate) -> tuple[Exercise, ...]:
    """Return the exercises of a chapter."""
    return import_module(f"glassgpt.explain.exercises.{name.replace('-', '_')}").make_exercises(_)


def _not_yet(_: Translate, hint: str) -> Checked:
    return Checked(False, _("Not yet: {hint}").format(hint=hint))


def _number(answer: object) -> float | None:
    """Return the number that an answer is: a number, a text of one, or a tensor or array of one value."""
    try:
        if isinstance(answer, bool | list | tuple):
            return None
        number = float(answer)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, RuntimeError):
        return None
    return number if number == number else None


def _short(answer: object) -> object:
    text = repr(answer)
    return answer if len(text) <= 60 else text[:60] + "…"


def _shape(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else repr(value)


def _copies(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Copy tensors: the function may change its own."""
    return tuple(value.clone() if isinstance(value, Tensor) else value for value in arguments)


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-5)
