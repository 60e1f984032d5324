"""Tables in parquet, read as lines of JSON: every reader of rows takes them."""

from __future__ import annotations

import json
import tempfile
from contextlib import closing
from typing import Any, BinaryIO, cast

from glassgpt.data.files.budget import UnpackBudget
from glassgpt.data.files.unreadable import NotText
from glassgpt.errors import missing_extra

PARQUET = ".parquet"
ROWS = 1024
"""Rows that are converted at once."""


def parquet_lines(stream: BinaryIO, name: str) -> BinaryIO:
    """Convert a table to jsonl in a temporary file, and close the stream.

    Bytes, such as images, become null. Raises NotText for a damaged file and for one that expands too far,
    UserError without pyarrow.
    """
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise missing_extra("data", "pyarrow") from error

    lines = tempfile.SpooledTemporaryFile(max_size=16 << 20)
    try:
        with closing(stream):
            budget = UnpackBudget.of(stream, name)
            for batch in ParquetFile(stream).iter_batches(ROWS):
                for row in batch.to_pylist():
                    line = json.dumps(row, ensure_ascii=False, default=_as_text).encode() + b"\n"
                    budget.spend(len(line))
                    lines.write(line)
    except Exception as error:  # pyarrow has errors of its own, and a damaged file raises nearly any
        lines.close()
        if isinstance(error, NotText):
            raise
        raise NotText(
            "{name}: this is not a readable parquet table ({error}). Export it as .csv or .jsonl.",
            name=name,
            error=str(error).partition("\n")[0] or type(error).__name__,
        ) from error
    lines.seek(0)
    return cast(BinaryIO, lines)


def _as_text(value: Any) -> str | None:
    return None if isinstance(value, bytes) else str(value)
