"""The settings of a run that somebody chose."""

from __future__ import annotations

from glassgpt.checkpoint.run_folder import RunFolder
from glassgpt.config import Tables

PRESETS = {"architecture", "size", "family", "dataset", "task", "run", "default"}
"""First words of the origins of settings that nobody chose."""


def chosen_settings(run: RunFolder) -> Tables:
    """Return the settings that somebody chose, by the origins in config.json, as tables.

    Everything else is found again, from the presets and the data.
    """
    tables = run.config().model_dump(mode="json")
    chosen: Tables = {}
    for name, origin in run.origins().items():
        table, _, field = name.partition(".")
        if field and origin != "data" and origin.split()[0] not in PRESETS:
            chosen.setdefault(table, {})[field] = tables[table][field]
    return chosen
