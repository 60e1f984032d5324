"""What all tests share: small configurations, and the real data where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("patient", deadline=None)  # other work on the machine must not fail a test
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shakespeare_file() -> Path:
    """The real tinyshakespeare; the test is skipped where `GLASSGPT_DATA` does not lead to it."""
    path = Path(os.environ.get("GLASSGPT_DATA") or "missing") / "tinyshakespeare.txt"
    if not path.is_file():
        pytest.skip("tinyshakespeare.txt is not in $GLASSGPT_DATA")
    return path
