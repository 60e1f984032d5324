"""The report of a run, or of several side by side, as a page of the lab's server."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from fastapi.responses import HTMLResponse

from glassgpt.checkpoint import Run
from glassgpt.errors import UserError
from glassgpt.language import answering_in
from glassgpt.reports import report

POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""A report has a style sheet in itself, and no script; nothing in it may run or ask."""


def report_page(runs: Sequence[Run], language: str) -> HTMLResponse:
    """Return the report as HTML; a page with the sentence of the error if it cannot be made."""
    headers = {"Content-Security-Policy": POLICY}
    try:
        made = report(*runs, lang=language, shown=[run.path.name for run in runs])
    except UserError as error:
        with answering_in(language):  # a link is followed with the browser's language
            said = escape(str(error))
        return HTMLResponse(f"<!doctype html><title>GlassGPT</title><p>{said}</p>", 400, headers)
    return HTMLResponse(made.html, headers=headers)
