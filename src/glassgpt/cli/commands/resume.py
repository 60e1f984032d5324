"""`glassgpt resume`: continue a run from its last checkpoint, as `glassgpt train --resume` does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.commands.train import resumed_config, watch
from glassgpt.config import TrainConfig


def resume(
    run: Path,
    *,
    settings: Annotated[TrainConfig | None, Parameter(name="*")] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Resume a run from its last checkpoint.

    The final weights equal those of an uninterrupted run. Length, evaluation and device may change (--steps,
    --tokens, --minutes, --evals, --save-minutes, --sample-tokens, --on-nan, --on-save-error, --device,
    --dtype, --compile); settings that decide the weights may not.

    Parameters
    ----------
    run
        Folder of a run.
    json
        Print events as JSON, one per line.
    """
    given = settings.given() if settings else {}
    watch(resumed_config(run, {"train": given} if given else {}), None, run, json)
