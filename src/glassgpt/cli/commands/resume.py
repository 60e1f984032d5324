"""`glassgpt resume`: continue a run from its last checkpoint, as `glassgpt train --resume` does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.arguments import Json
from glassgpt.cli.commands.train import resumed_config, watch_resumed
from glassgpt.config import TrainConfig


def resume(
    run: Path,
    *,
    settings: Annotated[TrainConfig | None, Parameter(name="*")] = None,
    json: Json = False,
) -> None:
    """Resume a run from its last checkpoint.

    The final weights equal those of an uninterrupted run. Length, evaluation and device may change;
    settings that decide the weights may not.

    Parameters
    ----------
    run
        Folder of a run.
    json
        Print events as JSON, one per line.
    """
    given = settings.given() if settings else {}
    watch_resumed(run, resumed_config(run, {"train": given} if given else {}), json)
