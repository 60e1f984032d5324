"""`glassgpt ask`: answer a question about an image, or describe it."""

from __future__ import annotations

from pathlib import Path

from glassgpt.cli.arguments import Device, Json, RunFolder
from glassgpt.cli.progress import record_use
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.terminal import print_json, print_line
from glassgpt.data import read_image
from glassgpt.generate import answer
from glassgpt.language import _
from glassgpt.models import Captioner


def ask(
    run: RunFolder,
    image: Path,
    question: str = "",
    *,
    beams: int = 1,
    json: Json = False,
    device: Device = "cpu",
) -> None:
    """Ask a trained captioner about an image.

    Parameters
    ----------
    image
        An image file: png, jpg, webp, gif, bmp.
    question
        The question; empty for a model trained on captions alone.
    beams
        Width of the beam search; 1 is greedy.
    json
        Print the answer and its probability as JSON.
    """
    model, tokenizer = open_for("ask", run, device)
    assert isinstance(model, Captioner)
    pixels = read_image(image, model.config.image_size, model.config.channels)
    found = answer(model, tokenizer, pixels, question, beams=beams)
    record_use("ask", model.config.family)
    if json:
        print_json({"answer": found.text, "probability": found.probability})
    else:
        print_line(_("{text}   ({probability:.0%} sure)", text=found.text, probability=found.probability))
