"""Migration of trace files of version 1."""

from __future__ import annotations

import re
from typing import Any

MODULES_1_TO_2 = {"cross": "cross_attn", "eye": "vision_encoder"}
"""Modules that have another name since version 2, in the names of activations."""


def migrate_name(name: str, version: int) -> str:
    """Return the present name of an activation.

    >>> migrate_name("eye.blocks.0.attn.q", 1), migrate_name("blocks.0.cross.weights", 1)
    ('vision_encoder.blocks.0.attn.q', 'blocks.0.cross_attn.weights')
    """
    if version >= 2:
        return name
    return "".join(MODULES_1_TO_2.get(part, part) for part in re.split(r"(\.)", name))


def migrate_header(header: dict[str, Any]) -> dict[str, Any]:
    """Return the header of a trace in its present form."""
    if header["version"] != 1:
        return header
    # Only models with a source wrote tokens themselves; a text was given as a whole.
    n_prompt = header["begins"] + 1 if header["source"] else len(header["tokens"])
    return {
        "version": 2,
        "tokens": header["tokens"],
        "next_tokens": header["written"],
        "source": header["source"],
        "n_prompt": n_prompt,
        "logit_lens": header["reading"],
        "shapes": {migrate_name(name, 1): shape for name, shape in header["shapes"].items()},
        "config": header["config"],
    }
