"""The trainings of the chapter `ladder`, made once a test file: its views differ, its figures do not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from torch import Tensor

from glassgpt.explain.chapters import ladder


@pytest.fixture(autouse=True, scope="module")
def remembered_climbs() -> Iterator[None]:
    """Import this into a test file that opens the chapter more than once."""
    climb_all, known = ladder.climb_all, dict[tuple[int, int], dict[str, tuple[int, Tensor]]]()

    def remembered(n_vocab: int, train: Tensor, val: Tensor, seed: int) -> dict[str, tuple[int, Tensor]]:
        if (n_vocab, seed) not in known:
            known[n_vocab, seed] = climb_all(n_vocab, train, val, seed)
        return known[n_vocab, seed]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ladder, "climb_all", remembered)
        yield
