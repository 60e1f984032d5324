"""Export of a run that a format cannot hold: the error names what can be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from glassgpt.errors import UserError
from glassgpt.interop import export
from glassgpt.interop.source import ExportSource
from helpers.exports import random_source


@pytest.mark.parametrize(
    ("model", "to", "remedy"),
    [
        ({"preset": "speedrun"}, "hf", "`to=onnx`, or train a model with `exportable`"),
        ({"family": "encoder"}, "hf", "Export it with `to=onnx`."),
        ({"family": "encoder"}, "safetensors", "Export it with `to=onnx`."),
    ],
)
def test_the_error_names_a_way_out(
    model: dict, to: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = random_source(tmp_path, **model)
    monkeypatch.setattr(ExportSource, "open", lambda run, license: source)
    monkeypatch.setattr("glassgpt.interop.exporter.Run.open", lambda path: source.run)
    with pytest.raises(UserError) as error:
        export(tmp_path, to)
    assert str(error.value).endswith(f"{remedy.removesuffix('.')}.")
