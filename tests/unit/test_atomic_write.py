"""A file is replaced whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from glassgpt.atomic_write import replacing


def test_a_file_is_replaced_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old" and temporary.parent == tmp_path
        written = temporary.stat().st_ino
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]
    assert path.stat().st_ino == written  # renamed: a copy could end in the middle


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_after_an_error_the_file_is_as_before(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
