"""The option `--html`: a trace as one HTML file with the lab's views."""

from __future__ import annotations

from pathlib import Path

from glassgpt.cli.view.terminal import working
from glassgpt.errors import UserError
from glassgpt.language import N_, _
from glassgpt.lens import Trace
from glassgpt.models import Model
from glassgpt.tokenizers import Tokenizer


def check_html(html: Path, ablate: bool) -> None:
    """Raise UserError for an unusable name, and for options that do not go together."""
    if ablate:
        raise UserError("--html {html}: --ablate shows no text. Leave one of them out.", html=html)
    if html.is_dir() or html.suffix not in (".html", ".htm"):
        raise UserError("--html {html}: this is no HTML file. Give a name that ends in .html.", html=html)


def write_html(seen: Trace, model: Model, tokenizer: Tokenizer, html: Path) -> None:
    """Write the file; a terminal shows what takes time."""
    from glassgpt.lab import write_page

    with working(N_("writing the page")) as status:
        write_page(seen, model, tokenizer, html, tell=lambda message: status.update(f"{_(message)} …"))
