"""The newest step to resume from: its state is checked before any of it is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from glassgpt.checkpoint import CorruptCheckpoint, save_step
from glassgpt.train.saver import recover_newest

STATE = {"elapsed_s": 1.0, "eval_s": 0.1, "next_eval": 0.5, "best": None, "best_step": None}


@pytest.mark.parametrize("best_step", [10**15, ["step-0000000001"], "../../elsewhere", {}])
def test_a_best_step_that_is_no_name_of_a_step(best_step: object, tmp_path: Path) -> None:
    save_step(tmp_path, 1, {"model": {}}, STATE)
    assert recover_newest(tmp_path) == (tmp_path / "step-0000000001", [])
    save_step(tmp_path, 2, {"model": {}}, STATE | {"best_step": best_step})
    with pytest.raises(CorruptCheckpoint, match="'best_step' is"):
        recover_newest(tmp_path)
