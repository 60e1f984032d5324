"""The signatures of all public names, as `help` and editors show them: with types, and without addresses."""

from __future__ import annotations

import inspect

import pytest

import glassgpt
import glassgpt.train  # the package, which then stands in the function's place

CALLABLE = [name for name in glassgpt.__all__ if name != "Tokenizer"]  # a protocol is not called


@pytest.mark.parametrize("name", CALLABLE)
def test_signature(name: str) -> None:
    value = getattr(glassgpt, name)
    signature = inspect.signature(value)
    untyped = [each.name for each in signature.parameters.values() if each.annotation is each.empty]
    assert not untyped and " at 0x" not in str(signature)
    if not inspect.isclass(value):
        assert signature.return_annotation is not signature.empty


def test_methods_of_public_classes_show_no_addresses() -> None:
    classes = [value for name in glassgpt.__all__ if inspect.isclass(value := getattr(glassgpt, name))]
    methods = [each for cls in classes for _, each in inspect.getmembers(cls, inspect.isfunction)]
    assert not [each.__qualname__ for each in methods if " at 0x" in str(inspect.signature(each))]


def test_keywords_of_a_training_are_those_of_the_configuration() -> None:
    expected = inspect.signature(glassgpt.RunConfig.of).parameters
    found = inspect.signature(glassgpt.train).parameters  # of the package
    assert set(expected) <= set(found) and {"size", "minutes", "lr", "batch_size"} <= set(expected)
    assert found == inspect.signature(glassgpt.train.train).parameters
    assert "minutes=1" in (glassgpt.train.__call__.__doc__ or "")
