"""Settings in a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from glassgpt.config.base import Tables
from glassgpt.config.renamed import check_renamed
from glassgpt.errors import UserError
from glassgpt.paths import check_file


def read_toml(path: Path) -> Tables:
    """Read tables of settings. Raises UserError for a file that cannot be read, and for old names."""
    check_file(path)
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(
            "{path}: cannot be read ({error}). Give a TOML file of settings.", path=path, error=error
        ) from error
    check_renamed(tables)
    return tables
