"""Fields of prompts and replies, which are pairs of texts as well as short conversations."""

from __future__ import annotations

from collections.abc import Mapping

PROMPT_NAMES = (
    ("instruction", "output"),
    ("instruction", "response"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("question", "answer"),
)


def with_input(row: Mapping[str, str]) -> dict[str, str]:
    """Append the optional input of an instruction to it.

    >>> with_input({"instruction": "Add.", "input": "1, 2", "output": "3"})["instruction"]
    'Add.\\n1, 2'
    """
    if {"instruction", "input"} <= row.keys():
        return {**row, "instruction": f"{row['instruction']}\n{row['input']}".strip(), "input": ""}
    return dict(row)
