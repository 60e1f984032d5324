"""`glassgpt classify`: the class of a text."""

from __future__ import annotations

from functools import partial

from glassgpt.cli.arguments import Device, Json, RunFolder, Source
from glassgpt.cli.view.lines import answer_lines
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.terminal import print_json, print_line
from glassgpt.generate import check_source
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

    A line that cannot be classified, such as an empty one, is named on standard error. Its output line is
    empty, and the exit code is 2.

    Parameters
    ----------
    text
        The text; without it, or with `-`, each line of standard input is a text.
    json
        Print a JSON object per text: the probabilities of all classes, or only `problem`.
    """
    model, tokenizer = open_for("classify", run, device)
    assert isinstance(model, Classifier)

    def show(_: str, probabilities: dict[str, float] | None, problem: str | None) -> None:
        if json:
            print_json({"problem": problem} if probabilities is None else probabilities)
        else:
            print_line("" if probabilities is None else _summary(probabilities))

    answer_lines(
        text,
        partial(check_source, model, tokenizer),
        lambda texts: class_probabilities(model, tokenizer, texts),
        show,
    )


def _summary(probabilities: dict[str, float]) -> str:
    """Return the most probable class and the next two."""
    (label, top), *others = list(probabilities.items())[:3]
    rest = "  ".join(f"{name} {p:.1%}" for name, p in others)
    return f"{label}  {top:.1%}" + (f"   ({rest})" if rest else "")
