"""One parser of chat messages for running text and for conversations; reports of skipped rows."""

from __future__ import annotations

import pytest

from glassgpt.data.files import Report, parse_message, shorten, without_remedy
from glassgpt.errors import UserError


@pytest.mark.parametrize(
    ("value", "role", "text", "is_text"),
    [
        ({"role": "user", "content": "a"}, "user", "a", True),
        ({"role": "user", "content": [{"text": "a"}, {"text": "b"}]}, "user", "ab", True),
        ({"role": "user", "content": [{"text": "a"}, {"type": "image_url"}]}, "user", "a", False),
        ({"role": "user", "content": [{"text": 3}, "b"]}, "user", "b", False),
        ({"role": "developer", "content": "a"}, "system", "a", True),
        ({"from": "human", "value": "a"}, "user", "a", True),
        ({"author": {"name": "Ana"}, "content": "a"}, "Ana", "a", True),
        ({"from": "Ana", "text": ["a", {"type": "link", "text": "b"}]}, "Ana", "ab", True),
        ({"role": "user", "content": None}, "user", "", False),
        ({"content": 3}, None, "3", False),
        ("a", None, "", False),
    ],
)
def test_messages(value: object, role: str | None, text: str, is_text: bool) -> None:
    assert parse_message(value) == (role, text, is_text)


def test_a_report_raises_unless_rows_may_be_skipped() -> None:
    problem = UserError("Mr. A/a.csv:2: no label. Fill it in.")
    with pytest.raises(UserError, match=r"Fill it in\. Or set `skip_invalid`"):
        Report().reject(problem)
    report = Report(skip_invalid=True)
    report.note("skipped (not a table)", "x")
    report.reject(problem)
    assert report.notes() == ("skipped (not a table): x", "1 row skipped: Mr. A/a.csv:2: no label")
    assert report.n_skipped == 1


def test_lists_are_shortened() -> None:
    assert shorten(["a", "b", "c"]) == "a; b; c"
    assert shorten(["a", "b", "c"], n=1_003) == "a; b; c; and 1,000 more"
    assert without_remedy(UserError("no remedy")) == "no remedy"
