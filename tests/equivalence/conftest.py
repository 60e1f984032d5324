"""What the tests of exports share."""

from __future__ import annotations

import pytest

from glassgpt.interop import certify


@pytest.fixture
def fewer_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare less than an export does: what is refused here is refused there."""
    monkeypatch.setattr(certify, "N_STRANGE", 200)
    monkeypatch.setattr(certify, "N_POSITIONS", 16)
