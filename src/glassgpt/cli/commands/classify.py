"""`glassgpt classify`: which class a text belongs to."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.arguments import Source
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.render import shown
from glassgpt.generate import classify as class_shares
from glassgpt.models import Classifier


def classify(
    run: Path,
    text: Source = "-",
    *,
    json: Annotated[bool, Parameter(negative="")] = False,
    device: str = "cpu",
) -> None:
    """Say which class a text belongs to, and how sure that is.

    Parameters
    ----------
    run
        Folder of a run.
    text
        The text; `-`, or nothing, reads one text a line from standard input.
    json
        Print the probability of every class as JSON, one text a line.
    device
        `cpu`, `cuda`, `mps` or `auto`.
    """
    model, tokenizer = open_for("classify", run, device)
    assert isinstance(model, Classifier)
    texts = [line.rstrip("\r\n") for line in sys.stdin] if text == "-" else [text]
    for shares in class_shares(model, tokenizer, texts):
        if json:
            print(json_format.dumps(shares, ensure_ascii=False))
            continue
        label, share = next(iter(shares.items()))
        others = "  ".join(f"{shown(name)} {p:.1%}" for name, p in list(shares.items())[1:3])
        print(f"{shown(label)}  {share:.1%}" + (f"   ({others})" if others else ""))
