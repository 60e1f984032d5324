"""A finding of the doctor in words."""

from __future__ import annotations

from glassgpt.diagnose import Symptom


def test_the_cost_has_the_unit_in_which_it_was_measured() -> None:
    """A check of the outcome compares losses of characters or classes, the others losses of tokens."""
    about = {"name": "counting", "observed": "1.733", "expected": "less", "outcome": "warn", "cost": 0.246}
    assert "cost: 0.246 nats of the held-out loss" in Symptom(**about, category="outcome").lines()
    assert "cost: 0.246 nats per token" in Symptom(**about, category="mask").lines()
