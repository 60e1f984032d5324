"""`glassgpt ask`: a question about an image, or what it shows."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.render import shown
from glassgpt.data import read_image
from glassgpt.generate import answer
from glassgpt.models import Captioner


def ask(
    run: Path,
    image: Path,
    question: str = "",
    *,
    beams: int = 1,
    json: Annotated[bool, Parameter(negative="")] = False,
    device: str = "cpu",
) -> None:
    """Ask a trained captioner about an image.

    Parameters
    ----------
    run
        Folder of a run.
    image
        An image file: png, jpg, webp, gif, bmp.
    question
        The question; none for a model that was trained on captions alone.
    beams
        How many answers are followed at once.
    json
        Print the answer and its probability as JSON.
    device
        `cpu`, `cuda`, `mps` or `auto`.
    """
    model, tokenizer = open_for("ask", run, device)
    assert isinstance(model, Captioner)
    pixels = read_image(image, model.config.image_size, model.config.channels)
    said = answer(model, tokenizer, pixels, question, beams=beams)
    if json:
        print(json_format.dumps({"answer": said.text, "probability": said.probability}, ensure_ascii=False))
    else:
        print(f"{shown(said.text)}   ({said.probability:.0%} sure)")
