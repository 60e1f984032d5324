"""`glassgpt classify`: the class of a text."""

from __future__ import annotations

import json as json_format
import sys

from glassgpt.cli.arguments import Device, Json, RunFolder, Source
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.render import shown
from glassgpt.generate import classify as class_probabilities
from glassgpt.models import Classifier


def classify(
    run: RunFolder,
    text: Source = "-",
    *,
    json: Json = False,
    device: Device = "cpu",
) -> None:
    """Classify a text, and print the probabilities of its most probable classes.

    Parameters
    ----------
    text
        The text; without it, or with `-`, each line of standard input is a text.
    json
        Print the probabilities of all classes as JSON, one object per text.
    """
    model, tokenizer = open_for("classify", run, device)
    assert isinstance(model, Classifier)
    texts = [line.rstrip("\r\n") for line in sys.stdin] if text == "-" else [text]
    for probabilities in class_probabilities(model, tokenizer, texts):
        if json:
            print(json_format.dumps(probabilities, ensure_ascii=False))
            continue
        label, top = next(iter(probabilities.items()))
        others = "  ".join(f"{shown(name)} {p:.1%}" for name, p in list(probabilities.items())[1:3])
        print(f"{shown(label)}  {top:.1%}" + (f"   ({others})" if others else ""))
