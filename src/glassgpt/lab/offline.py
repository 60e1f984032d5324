"""One HTML file with a trace and the lab's views: opens from disk, asks nothing of the network."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glassgpt.atomic_write import replacing
from glassgpt.errors import UserError
from glassgpt.lab.labels import vocabulary
from glassgpt.lab.page import page_folder
from glassgpt.lab.traced import Traced, float_bytes
from glassgpt.lens import Trace
from glassgpt.models import Model
from glassgpt.tasks import task_of_model
from glassgpt.tokenizers import Tokenizer

GOAL = 3_400_000
"""Bytes of tensors up to which optional ones are added: with the page and in base64, less than 5 MB."""
LIMIT = 64_000_000
"""Bytes of tensors, at most: browsers get slow beyond."""
OPTIONAL = (r"weights\.", r"lens\.", r".*\.mlp\.hidden$")
"""Tensors that are left out of a large file, the first kind last."""
MAX_LABELS = 8_192
"""Largest vocabulary whose labels are in the file."""
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>GlassGPT</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<main data-glassgpt="offline"></main>
<script type="application/json" id="header">{header}</script>
<script type="application/json" id="vocabulary">{vocabulary}</script>
<script type="application/json" id="view">{view}</script>
<script type="text/plain" id="blob">{blob}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def widget_values(
    trace: Trace, model: Model, tokenizer: Tokenizer
) -> tuple[dict[str, Any], bytes, list[str]]:
    """Return the header, the tensors and the labels of a vocabulary, as the page's views read them.

    Optional tensors (matrices, the logit lens, hidden layers) are left out where they would be too many.
    Raises UserError if the others are more than LIMIT bytes.
    """
    traced = Traced(trace, model, tokenizer, run="", task=task_of_model(model.config).name, edits={})
    header = traced.header(_chosen(traced.header()["tensors"]))
    blob = b"".join(float_bytes(traced.tensor(each["name"])) for each in header["tensors"])
    header |= {"head_rows": traced.heads()}
    return header, blob, vocabulary(tokenizer) if tokenizer.n_vocab <= MAX_LABELS else []


def _chosen(tensors: list[dict[str, Any]]) -> list[str]:
    """Return the names of the tensors to keep, in their order."""
    kinds = [next((i for i, kind in enumerate(OPTIONAL) if re.match(kind, t["name"])), -1) for t in tensors]
    kept = {t["name"] for t, kind in zip(tensors, kinds, strict=True) if kind < 0}
    n = sum(t["bytes"] for t in tensors if t["name"] in kept)
    if n > LIMIT:
        raise UserError(
            "this trace has {n:,} MB of numbers; a file may have {limit:,}. Give a shorter text.",
            n=n // 1_000_000,
            limit=LIMIT // 1_000_000,
        )
    for kind in range(len(OPTIONAL)):
        some = [t for t, each in zip(tensors, kinds, strict=True) if each == kind]
        if n + (size := sum(t["bytes"] for t in some)) <= GOAL:
            kept |= {t["name"] for t in some}
            n += size
    return [t["name"] for t in tensors if t["name"] in kept]


def write_page(
    trace: Trace,
    model: Model,
    tokenizer: Tokenizer,
    path: Path,
    *,
    view: str | None = None,
    tell: Callable[[str], None] = lambda message: None,
) -> Path:
    """Write a trace as one HTML file with the lab's views, whole or not at all.

    view: name of the view that is shown first. tell: called before work that takes seconds. Raises UserError
    without the page, and if the file cannot be written.
    """
    page = page_folder(tell)
    header, blob, labels = widget_values(trace, model, tokenizer)
    text = PAGE.format(
        policy=POLICY,
        style=(page / "lab.css").read_text("utf-8").replace("</", "<\\/"),
        header=_json(header),
        vocabulary=_json(labels),
        view=_json(view),
        blob=base64.b64encode(blob).decode(),
        script=_inline((page / "lab.js").read_text("utf-8")),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(text, "utf-8")
    except OSError as error:
        raise UserError(
            "{path}: cannot be written ({strerror}). Choose another path.",
            path=path,
            strerror=error.strerror,
        ) from error
    return path


def _json(value: object) -> str:
    """Return JSON that no HTML parser takes for a tag."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _inline(script: str) -> str:
    """Return a script that cannot end its element: such pieces stand in strings, where \\x3C is the same."""
    return re.sub(r"<(?=/?script|!--)", r"\\x3C", script, flags=re.IGNORECASE)
