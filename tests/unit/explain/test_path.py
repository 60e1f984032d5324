"""The learning path: order, prerequisites, runs that fulfil practice, both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

import glassgpt as gg
from glassgpt.errors import UserError
from glassgpt.explain import LANGUAGES, NAMES, PATH, learning_path
from helpers.explain_runs import small_run

NOWHERE = "no such folder"


def test_every_chapter_is_a_step_in_the_order_of_reading() -> None:
    path = learning_path(NOWHERE)
    assert tuple(step.name for step in path if step.is_chapter) == NAMES
    assert [step.name for step in path if not step.is_chapter] == ["bigram", "gpt", "dates", "scenes"]


def test_a_step_builds_on_earlier_steps_only() -> None:
    names = [step.name for step in PATH]
    for step in PATH:
        assert all(names.index(name) < names.index(step.name) for name in step.after), step.name


def test_the_first_step_that_is_not_done_is_next() -> None:
    path = learning_path(NOWHERE, done=["loss", "temperature", "a step of another version"])
    assert path.next is path["sampling"] and path.n_done == 2
    assert path.next.command == "glassgpt explain sampling"
    assert learning_path(NOWHERE, done=path.names).next is None


def test_neighbors() -> None:
    path = learning_path(NOWHERE)
    assert path.before("loss") is None and path.following("ladder") is None
    for one, other in zip(path.names, path.names[1:], strict=False):
        assert path.following(one) is path[other] and path.before(other) is path[one]


def test_an_unknown_step_names_the_near_one() -> None:
    with pytest.raises(UserError, match=r"no step 'bigrm' \(did you mean bigram\?\)"):
        learning_path(NOWHERE)["bigrm"]


def test_practice_asks_to_train_and_then_to_look_at_the_run(tmp_path: Path) -> None:
    assert learning_path(tmp_path)["bigram"].command.startswith("glassgpt train python --model bigram")
    run = small_run(tmp_path, "bigram")
    path = learning_path(tmp_path)
    assert path["bigram"].run == run and not path["bigram"].done  # nobody has looked at it yet
    assert path["bigram"].command == f"glassgpt sample {run} --max-new-tokens 200"
    assert path["gpt"].run is None


def test_the_newest_sound_run_of_a_family_counts(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    old = small_run(tmp_path / "a", "bigram").rename(tmp_path / "old")
    (tmp_path / "b").mkdir()
    new = small_run(tmp_path / "b", "bigram").rename(tmp_path / "new")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text("{")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "config.json").symlink_to("nowhere")
    assert learning_path(tmp_path)["bigram"].run == new
    for step in (new / "checkpoints").glob("step-*"):  # a run without a checkpoint is none
        step.rename(tmp_path / step.name)
    assert learning_path(tmp_path)["bigram"].run == old


def test_a_missing_extra_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not learning_path(NOWHERE)["dates"].extra_is_missing
    monkeypatch.setattr("glassgpt.explain.path.MODULES", {"data": ("no_such_module",)})
    path = learning_path(NOWHERE)
    assert [step.name for step in path if step.extra_is_missing] == ["dates", "scenes"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_title_fits_its_column_and_is_translated(language: str) -> None:
    titles = {step.name: step.title for step in learning_path(NOWHERE, language=language)}
    assert all(cell_len(title) <= 42 for title in titles.values())
    chinese = [re.search("[一-鿿]", title) is not None for title in titles.values()]
    assert all(chinese) if language == "zh" else not any(chinese)


def test_it_shows_itself_in_a_notebook_and_as_json() -> None:
    path = gg.learning_path(NOWHERE, done=["loss"], language="en")
    assert path._repr_html_().count("<tr>") == len(path) + 1
    assert "glassgpt explain sampling" in path._repr_html_()
    shown = path.to_dict()
    assert shown["done"] == 1 and shown["next"] == "sampling" and len(shown["steps"]) == len(path)
