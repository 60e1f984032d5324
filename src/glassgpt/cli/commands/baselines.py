"""`glassgpt baselines`: scores of n-grams and xz on a text."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.arguments import Source
from glassgpt.cli.flags import with_flags
from glassgpt.cli.view.terminal import Terminal, print_json, working
from glassgpt.config import DataConfig
from glassgpt.language import _


def baselines(
    *sources: Source,
    settings: Annotated[DataConfig | None, Parameter(name="*")] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Measure n-grams and xz on a text, without training.

    The baselines learn from the first part of the text. Their scores are for the held-out end.

    Parameters
    ----------
    sources
        Files, folders, globs, `-` for standard input, or a named corpus: python, shakespeare.
    json
        Print the figures as JSON.
    """
    from glassgpt.cli.view.render import verdict_table
    from glassgpt.data import read_corpus
    from glassgpt.diagnose import judge
    from glassgpt.tasks.counted import text_scores
    from glassgpt.units import count

    config = settings or DataConfig()
    if sources:
        config = config.model_copy(update={"sources": sources})
    with working(_("reading")) as status:
        corpus = read_corpus(config, marks=True)
        status.update(_("counting n-grams and compressing with xz …"))
        result = judge(text_scores(corpus), None, notes=corpus.notes)
    if json:
        print_json(result.to_dict(), indent=1)
        return
    console = Terminal()
    console.notes(corpus.notes)
    console.print(
        _(
            "learned from {n_train} characters, measured on {n_val}\n",
            n_train=count(corpus.train.n_chars),
            n_val=count(corpus.val.n_chars),
        )
    )
    console.table(verdict_table(result))
    console.print(f"\n{with_flags(result.sentence)}")
