"""Save the last examination of a run as doctor.json in its folder, and load it for the report."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

from glassgpt.atomic_write import replacing
from glassgpt.checkpoint import Run
from glassgpt.diagnose import Examination
from glassgpt.errors import UserError, cannot_write
from glassgpt.language import pack_text, unpack_text
from glassgpt.safe_io import read_json

FORMAT = 1


class StoredExamination(NamedTuple):
    """An examination, and the name of the step that was examined."""

    found: Examination
    step: str


def save_examination(run: Run, found: Examination) -> None:
    """Write doctor.json, whole or not at all. Raises UserError if the folder refuses."""
    about = {"format": FORMAT, "step": run.best_checkpoint().name, **_packed(found.to_dict())}
    try:
        with replacing(run.doctor_file) as temporary:
            temporary.write_text(json.dumps(about, indent=1, ensure_ascii=False), "utf-8")
    except OSError as error:
        raise cannot_write(run.doctor_file, error) from error


def load_examination(run: Run) -> StoredExamination | None:
    """Return the last examination; None if there is none, or none that can be read."""
    try:
        stored: Any = read_json(run.doctor_file)
        if stored["format"] != FORMAT:
            return None
        return StoredExamination(Examination.from_dict(_unpacked(stored)), str(stored["step"]))
    except (UserError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _packed(value: Any) -> Any:
    """Return nested values with each text and its template; NaN and infinity, which JSON lacks, as texts."""
    if isinstance(value, dict):
        return {str(name): _packed(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(each) for each in value]
    return f"{value}" if isinstance(value, float) and not math.isfinite(value) else pack_text(value)


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict) and "template" not in value:
        return {name: _unpacked(each) for name, each in value.items()}
    return [_unpacked(each) for each in value] if isinstance(value, list) else unpack_text(value)
