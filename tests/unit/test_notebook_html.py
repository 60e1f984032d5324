"""Objects in a notebook: everything is escaped, and no color is fixed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from glassgpt.checkpoint import Run
from glassgpt.config import Layer, RunConfig, resolve
from glassgpt.diagnose import Accuracy, Examination, Score, Symptom, compare_all, compare_pairs, judge
from glassgpt.generate import Completion
from glassgpt.notebook_html import continued, folded, html_card, paragraph, pieces, titled_lines
from glassgpt.tokenizers import train_tokenizer

BAD = "<script>alert('1')</script>"
SICK = Symptom(BAD, BAD, BAD, "fail", BAD, cause=BAD, why=BAD, where=BAD, cost=0.5)
PAIRS = [(1.5, 1.4), (1.6, 1.5)]


def htmls(tmp_path: Path) -> dict[str, str]:
    scores = [Score("uniform", 4000, 1000, 1000), Score(BAD, 2500, 1000, 1000)]
    answers = judge([Accuracy(BAD, 3, 10)], Accuracy("this model", 9, 10, figures={"nats/char": 0.4}))
    return {
        "verdict": judge(scores, Score("this model", 1500, 1000, 1000), notes=[BAD])._repr_html_(),
        "answers": answers._repr_html_(),
        "completion": Completion(BAD, [1], "stop", -1.0, BAD)._repr_html_(),
        "settings": RunConfig.of(sources=BAD, size="nano")._repr_html_(),
        "resolved": resolve([Layer(BAD, {"model": {"size": "nano"}})])._repr_html_(),
        "comparison": compare_pairs(PAIRS, 8, (BAD, "B"))._repr_html_(),
        "sweep": compare_all({BAD: [1.0, 2.0], "b": [1.5, 2.5]})._repr_html_(),
        "tokenizer": train_tokenizer("char", [BAD])._repr_html_(),
        "run": Run(tmp_path / BAD)._repr_html_(),
        "symptom": SICK._repr_html_(),
        "examination": Examination.of([SICK, SICK], {BAD: BAD})._repr_html_(),
        "parts": html_card(BAD, {BAD: BAD})
        + paragraph(BAD)
        + folded(BAD, "")
        + pieces([BAD])
        + continued(BAD, BAD)
        + titled_lines(BAD, [BAD]),
    }


def test_text_is_escaped(tmp_path: Path) -> None:
    assert not [name for name, html in htmls(tmp_path).items() if "<script" in html]


def test_it_is_legible_on_any_ground(tmp_path: Path) -> None:
    """Colors are the page's own, or a gray that is partly transparent."""
    for name, html in htmls(tmp_path).items():
        colors = re.findall(r"(?:color|background|fill|stroke): ?([^;\"]+)", html)
        assert not [each for each in colors if each != "currentColor" and "128, 128, 128, 0." not in each], (
            name
        )


def test_every_problem_is_shown_though_two_have_the_same_name() -> None:
    found = Examination.of([SICK, SICK], {})
    assert found._repr_html_().count("0.500") == 2 and repr(found.problems[0]).startswith("<Symptom fail: ")


def test_bars_have_the_lengths_of_the_losses() -> None:
    table = judge([Score("uniform", 4000, 1000, 1000)], Score("this model", 1000, 1000, 1000))
    widths = [float(width) for width in re.findall(r"width: ([\d.]+)em", table._repr_html_())]
    assert widths[0] / widths[1] == 0.25
    text = str(table).splitlines()
    assert text[1].count("█") == 6 and text[2].count("█") == 24 and text[0].split()[0] == "nats/char"


def test_representations_are_short_and_say_what_it_is() -> None:
    score = Score("a", 1.0, 2, 3, parts=tuple([1.0] * 256))
    assert len(repr(score)) < 120
    config = RunConfig.of(sources="notes.txt", size="nano", steps=30)
    assert eval(repr(config)) == config
    assert repr(train_tokenizer("byte", [])).startswith("<ByteTokenizer byte: ")
    assert str(Completion("be", [1], "length", -1.0, "To ")) == "To be"
    verdict = judge([score], Score("this model", 0.5, 2, 3))
    assert repr(verdict) == f"<Verdict: {verdict.sentence}>"


def test_settings_take_flat_names() -> None:
    config = RunConfig.of(sources=["a", "b"], batch_size=3, model="bigram", from_=None)
    assert (config.data.sources, config.train.micro_batch_size, config.model.family) == (
        ("a", "b"),
        3,
        "bigram",
    )
    assert config.chosen() == {"sources": ("a", "b"), "batch_size": 3, "model": "bigram"}
    with pytest.raises(ValueError, match="no such setting"):
        RunConfig.of(micro_batch=3)
