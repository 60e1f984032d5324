"""Built-in datasets: one list of names, refusals, and each with the family of its preset."""

from __future__ import annotations

from pathlib import Path

import pytest

from glassgpt.config import DATASETS, RunConfig
from glassgpt.data import BUILT_IN, read_dataset
from glassgpt.errors import UserError


def config(*sources: str, **model: object) -> RunConfig:
    return RunConfig.model_validate({"data": {"sources": sources}, "model": model})


def test_config_and_data_have_the_same_datasets() -> None:
    assert set(BUILT_IN) == set(DATASETS)


@pytest.mark.parametrize("name", DATASETS)
def test_the_preset_of_a_dataset_has_its_family(name: str) -> None:
    assert config(name).model.family == BUILT_IN[name].family


def test_running_text_and_a_path_are_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_dataset(config("python")) is None
    monkeypatch.chdir(tmp_path)
    Path("dates").write_text("a file")
    assert read_dataset(config("./dates", family="seq2seq")) is None
    named = read_dataset(config("dates", family="seq2seq"))
    assert named is not None and "give ./dates" in named.notes[0]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (config("dates", "a.txt", family="seq2seq"), "dates: a built-in dataset cannot be joined"),
        (config("dates", family="captioner"), "dates: .* family seq2seq, but `family` is captioner"),
        (config("scenes", image_size=36), "scenes: its images are 24 pixels wide, but `image_size` is 36"),
    ],
)
def test_refusals(given: RunConfig, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_dataset(given)
