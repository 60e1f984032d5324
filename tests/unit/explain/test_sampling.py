"""Chapter `sampling`: draws follow their probabilities, and a sampler that does not is found out."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path

import pytest
import torch

from glassgpt.errors import UserError
from glassgpt.explain import ChapterContext
from glassgpt.explain.chapters import sampling, temperature
from glassgpt.explain.draws import FEWEST, Fit, cells
from glassgpt.explain.predictions import Places
from glassgpt.generate.sampling import multinomial
from helpers.explain_runs import small_run


def failed(context: ChapterContext | None = None) -> list[str]:
    findings = sampling.make_chapter(context or ChapterContext(), str).findings
    return [finding.name for finding in findings if finding.outcome == "fail"]


@pytest.mark.parametrize("seed", range(20))
def test_every_finding_holds(seed: int) -> None:
    assert sampling.make_chapter(ChapterContext(seed=seed), str).is_confirmed


def test_orders_of_the_notes() -> None:
    p = [0.2, 0.5, 0.3]
    expected = {(i, j, k): p[i] * p[j] / (1 - p[i]) for i, j, k in permutations(range(3))}
    assert sampling.orders(p) == pytest.approx(expected)
    assert sum(sampling.orders([0.1, 0.2, 0.3, 0.4]).values()) == pytest.approx(1)


def test_one_draw_is_a_permutation_and_a_fourth_is_refused() -> None:
    draws = sampling.draw(torch.Generator().manual_seed(7))
    assert sorted(draws.one) == [0, 1, 2]
    assert [len(row) for row in draws.two] == [2, 2]
    assert sum(draws.orders.counts) == sampling.N
    with pytest.raises(UserError, match="at most 3"):
        multinomial(torch.tensor(sampling.P), 4)


def test_chi_square_and_its_bound() -> None:
    stats = pytest.importorskip("scipy.stats")
    fit = Fit((18, 55, 27), (0.2, 0.5, 0.3))
    assert fit.chi_square == pytest.approx(stats.chisquare(fit.counts, [20, 50, 30]).statistic)
    for n in (2, 3, 6, 9):
        exact = stats.chi2.isf(stats.norm.sf(4), n - 1)
        assert Fit((1,) * n, (1 / n,) * n).bound == pytest.approx(exact, rel=1e-6)
    assert fit.measured == pytest.approx([0.18, 0.55, 0.27])


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 5.0])
@pytest.mark.parametrize("V", [2, 5, 300])
def test_no_cell_is_too_small_to_count(V: int, temperature: float) -> None:
    p = (torch.randn(V, generator=torch.Generator().manual_seed(V)) / temperature).softmax(-1).double()
    ids, rest = cells(p, 4000, 8)
    assert sorted([*ids.tolist(), *rest.tolist()]) == list(range(V))
    assert len(ids) <= 8 and (p[ids] * 4000 >= FEWEST).all()
    assert p[rest].sum() == 0 or p[rest].sum() * 4000 >= FEWEST


def test_a_sampler_of_other_probabilities_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sampling, "multinomial", lambda p, n, *more, **named: multinomial(p**0.5, n, *more, **named)
    )
    names = failed()
    assert [name for name in names if name.startswith("χ²")] == [
        "χ² of the six orders",
        "χ² of row 0, with replacement",
        "χ² of row 1, with replacement",
        "χ² of the model's next token",
    ]


def test_replacement_where_there_should_be_none_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def always(p: torch.Tensor, n: int, replacement: bool = False, generator: object = None) -> torch.Tensor:
        return multinomial(p, n, True, generator)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(sampling, "multinomial", always)
    assert "3 draws without replacement with all 3 ids" in failed()
    assert "same id twice, without replacement" in failed()


def test_a_model_that_is_sure_leaves_nothing_to_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    sure = torch.full((5,), -1e3, dtype=torch.float64)
    sure[2] = 0.0
    places = Places(sure[None], torch.tensor([2]), "text", sure)
    monkeypatch.setattr(sampling, "sample_predictions", lambda demo, generator: places)
    chapter = sampling.make_chapter(ChapterContext(), str)
    assert chapter.is_confirmed and len(chapter.findings) == 6
    assert "nothing to draw" in str(chapter.body)
    pytest.importorskip("matplotlib")
    assert len(chapter.plot().axes) == 1


@pytest.mark.parametrize("family", ["gpt", "bigram", "encoder", "seq2seq"])
def test_a_users_run(tmp_path: Path, family: str) -> None:
    chapter = sampling.make_chapter(ChapterContext(small_run(tmp_path, family)), str)
    assert chapter.is_confirmed
    assert (str(tmp_path) in str(chapter.body)) is (family in ("gpt", "bigram"))


def test_the_picture() -> None:
    pytest.importorskip("matplotlib")
    assert len(sampling.make_chapter(ChapterContext(), str).plot().axes) == 2


@pytest.mark.parametrize("seed", range(2))
def test_the_least_certain_text_is_that_of_the_chapter_temperature(seed: int) -> None:
    quoted = []
    for chapter in (sampling, temperature):
        body = chapter.make_chapter(ChapterContext(seed=seed), str).body
        found = re.search("least certain after this one.*?“(.*?)”", "\n".join(map(str, body)))
        quoted.append(found and found[1])
    assert quoted[0] is not None and quoted[0] == quoted[1]
