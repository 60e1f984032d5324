"""One label for tokens in tables, plots and sentences."""

from __future__ import annotations

import pytest

from glassgpt.lens import columns_of, visible_label


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" the", "␣the"),
        ("a\r\n\t", "a\\x0d⏎⇥"),
        ("\x1b[31m", "\\x1b[31m"),
        ("", "∅"),
        ("loss after", "loss after"),
    ],
)
def test_invisible_characters_have_a_sign(text: str, shown: str) -> None:
    assert visible_label(text) == shown == visible_label(shown)


def test_a_limit_counts_columns() -> None:
    assert visible_label("月" * 40) == "月" * 40
    assert columns_of(visible_label("月" * 40, 16)) == 15
