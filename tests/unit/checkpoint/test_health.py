"""`verify_run` finds what is wrong with a run, says what is left, and does not mistake one for the other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from glassgpt.checkpoint import (
    Run,
    RunHealth,
    load_run,
    quick_check,
    save_step,
    steps,
    verify_run,
    write_pointer,
)
from glassgpt.checkpoint.store.manifest import fingerprint
from glassgpt.checkpoint.store.migrate import FORMAT
from glassgpt.errors import UserError
from glassgpt.explain.context import BUILTIN

GOLDEN = Path(__file__).parents[2] / "golden" / f"format-{FORMAT}" / "run"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The golden run, with a second, newer step."""
    path = shutil.copytree(GOLDEN, tmp_path / "run")
    (path / "data" / "hashes.json").unlink()  # damage of the data is found by what the files say
    older = steps(path / "checkpoints")[0]
    tensors = {stem: load_file(older / f"{stem}.safetensors") for stem in ("model", "optimizer")}
    save_step(path / "checkpoints", 9, tensors, _state(older) | {"step": 9})
    return path


def _state(step: Path) -> dict[str, Any]:
    return json.loads((step / "state.json").read_text())


def newest(run: Path) -> Path:
    return steps(run / "checkpoints")[0]


def seal(step: Path) -> None:
    """Make the manifest right again: what is wrong now is not found by hashes."""
    files = {f.name: fingerprint(f) for f in step.iterdir() if f.name != "MANIFEST.json"}
    (step / "MANIFEST.json").write_text(json.dumps({"format": FORMAT, "files": files}))


def with_tensors(stem: str, change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        file = newest(run) / f"{stem}.safetensors"
        tensors = load_file(file)
        change(tensors)
        save_file(tensors, file)
        seal(newest(run))

    return damage


def with_state(**changes: Any) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        state = {key: value for key, value in (_state(newest(run)) | changes).items() if value != "gone"}
        (newest(run) / "state.json").write_text(json.dumps(state))
        seal(newest(run))

    return damage


def truncate(name: str) -> Callable[[Path], None]:
    return lambda run: (newest(run) / name).write_bytes((newest(run) / name).read_bytes()[:-1]) and None


def poison(tensors: dict[str, torch.Tensor]) -> None:
    tensors["wte.weight"][3, 2] = torch.nan


def infinite(tensors: dict[str, torch.Tensor]) -> None:
    next(t for name, t in tensors.items() if t.dim() == 2)[0, 0] = torch.inf


DAMAGE = {
    "cut": (truncate("model.safetensors"), "11,919 bytes, not 11,920"),
    "cut state": (truncate("state.json"), "bytes, not"),
    "cut manifest": (lambda run: (newest(run) / "MANIFEST.json").write_text("{"), "not JSON"),
    "besides": (lambda run: (newest(run) / "notes.txt").write_text("x"), "'notes.txt', which its manifest"),
    "NaN": (with_tensors("model", poison), "1 of the 2,288 numbers of 'wte.weight' are NaN"),
    "Inf in the optimizer": (with_tensors("optimizer", infinite), "are NaN or infinite"),
    "a weight less": (
        with_tensors("model", lambda t: t.pop("wte.weight")),
        "'wte.weight', which only the model of config.json has",
    ),
    "a weight more": (
        with_tensors("model", lambda t: t.update(x=torch.ones(1))),
        "'x', which only the file has",
    ),
    "another shape": (
        with_tensors("model", lambda t: t.update({"wte.weight": torch.ones(8, 286)})),
        r"'wte.weight' is \(8, 286\) in the file, and \(286, 8\) in the model",
    ),
    "another type": (
        with_tensors("model", lambda t: t.update({"wte.weight": torch.ones(286, 8).double()})),
        "holds F32, F64",
    ),
    "optimizer of another": (
        with_tensors("optimizer", lambda t: t.update({"adamw/x/step": torch.ones(())})),
        "'adamw/x/step' is the state of no weight",
    ),
    "a state less": (with_state(next_eval="gone"), "next_eval.*field required"),
    "a state that is no number": (with_state(elapsed_s="long"), "'elapsed_s' is 'long'"),
    "a best step elsewhere": (with_state(best_step="../../x"), "'best_step' is"),
}


def test_a_healthy_run(run: Path) -> None:
    health = verify_run(run)
    assert health.code == 0 and not health.problems and not health.stale_files
    assert [step.path.name for step in health.steps] == ["step-0000000009", "step-0000000006"]
    assert health.best == "step-0000000006" and "Nothing needs to be done" in health.sentence
    assert quick_check(Run(run)) == "ok"


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_step_is_named_and_the_other_one_used(run: Path, name: str) -> None:
    damage, match = DAMAGE[name]
    damage(run)
    health = verify_run(run)
    with pytest.raises(UserError, match=match):
        raise UserError(health.steps[0].problem or "nothing found")
    assert health.code == 1 and health.steps[1].ok
    assert (
        "The newest usable step is step-0000000006" in health.sentence
        and "glassgpt resume" in health.sentence
    )


def test_a_flipped_bit_takes_a_hash(run: Path) -> None:
    """`quick_check` reads sizes only, and does not see it."""
    file = newest(run) / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert "SHA-256" in str(verify_run(run).steps[0].problem)
    assert quick_check(Run(run)) == "ok"
    file.write_bytes(data[:-1])
    assert quick_check(Run(run)) == "1 of 2 damaged"


def test_changed_data_take_a_hash(run: Path) -> None:
    """Other ids that the tokenizer knows, and as many: nothing else would tell."""
    Run(run).record_hashes()
    assert verify_run(run).code == 0
    file = run / "data" / "val.bin"
    data = file.read_bytes()
    file.write_bytes(data[2:] + data[:2])
    health = verify_run(run)
    assert health.code == 1 and any("SHA-256" in problem for problem in health.problems)


def test_nothing_is_left(run: Path) -> None:
    for step in steps(run / "checkpoints"):
        (step / "model.safetensors").unlink()
    health = verify_run(run)
    assert health.code == 2 and health.newest is None and "all steps are damaged" in health.sentence
    shutil.rmtree(run / "checkpoints")
    assert verify_run(run).code == 2 and quick_check(Run(run)) == "no steps"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokenizer.json", "{}"),
        ("config.json", "{"),
        ("config.json", '{"model": {}, "model": {}}'),
        ("config.json", '{"modle": {}}'),
        ("config.json", '{"model": {"n_layer": 200, "n_embd": 65536, "n_head": 256}}'),
    ],
)
def test_what_no_step_can_do_without(run: Path, name: str, text: str) -> None:
    (run / name).write_text(text)
    health = verify_run(run)
    assert health.code == 2 and name in health.fatal[0] and "Nothing of" in health.sentence
    with pytest.raises(UserError):
        load_run(run)


def test_a_config_of_another_run(run: Path) -> None:
    tables = json.loads((run / "config.json").read_text())
    tables["model"]["n_layer"] = 2
    (run / "config.json").write_text(json.dumps(tables))
    health = verify_run(run)
    assert health.code == 2 and "does not fit config.json" in str(health.steps[0].problem)
    with pytest.raises(UserError, match="does not fit config"):
        load_run(run)


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("data/train.bin", b"short", "5 bytes, not 5,706"),
        ("data/val.bin", bytes([255, 255]) * 317, "the id 65535, and the vocabulary ends at 285"),
        (
            "data/manifest.json",
            b'{"tokens": {"train": {"dtype": "O"}}}',
            "train is .*'O'.* not a type",
        ),
        (
            "data/manifest.json",
            b'{"tokens": {"train": {"dtype": "<u2", "n_tokens": "many"}}}',
            "train is .*'many'.* three counts",
        ),
        ("data/hashes.json", b'{"' + b"x" * 5000 + b'": {}}', "not the name of a file"),
        ("baselines.json", b"[]", "list, not an object"),
        ("verdict.json", b'{"a": 1, "a": 1}', "twice"),
        ("metrics.jsonl", b"\0\0\0\0", "no line of figures"),
        ("checkpoints/best", b"step-0000000077", "names 'step-0000000077', which is no step"),
        ("checkpoints/best", b"../../x", "which is no step"),
    ],
)
def test_damage_besides_the_steps(run: Path, name: str, data: bytes, match: str) -> None:
    (run / name).write_bytes(data)
    health = verify_run(run)
    assert health.code == 1 and all(step.ok for step in health.steps) and len(health.problems) == 1
    assert "restore copies" in health.sentence
    with pytest.raises(UserError, match=match):
        raise UserError(health.problems[0])


@pytest.mark.parametrize("name", ["baselines.json", "data/train.bin"])
def test_what_going_on_needs_is_missing(run: Path, name: str) -> None:
    (run / name).unlink()
    assert verify_run(run).code == 1


def test_a_cut_last_line_of_figures_is_no_damage(run: Path) -> None:
    file = run / "metrics.jsonl"
    rows = len(Run(run).metrics())
    file.write_bytes(file.read_bytes() + b'[1]\n"x"\n' + b"[" * 100_000 + b'\n{"event": "st')
    assert verify_run(run).code == 0 and len(Run(run).metrics()) == rows


def test_leftovers_are_named_and_harm_nothing(run: Path) -> None:
    names = [".writing-step-0000000012", "damaged-step-0000000011", ".removing-step-0000000003", "notes"]
    for name in names:
        (run / "checkpoints" / name).mkdir()
    (run / ".config.json.writing").write_text("x")
    health = verify_run(run)
    assert health.code == 0 and len(health.stale_files) == 5
    for name in (*names, ".config.json.writing"):
        assert sum(name in left for left in health.stale_files) == 1


def test_weights_alone_can_be_used(tmp_path: Path) -> None:
    health = verify_run(BUILTIN / "dates")
    assert health.code == 0 and not health.steps[0].resumable and "training cannot resume" in health.sentence
    assert verify_run(BUILTIN / "scenes").code == 0


def test_damaged_examples(tmp_path: Path) -> None:
    run = shutil.copytree(BUILTIN / "dates", tmp_path / "run")
    file = run / "data" / "val.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    assert "file not fully covered" in verify_run(run).problems[0]


def test_a_run_with_a_link_is_not_opened(run: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").symlink_to(tmp_path / "precious")
    for opening in (verify_run, load_run, Run.open):
        with pytest.raises(UserError, match="is a link"):
            opening(run)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run"):
        verify_run(tmp_path)


def test_a_step_that_is_pruned_meanwhile_is_no_damage(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = newest(run)

    def verify(step: Path) -> None:
        if step == gone:
            shutil.rmtree(step)
            raise UserError("gone")

    monkeypatch.setattr("glassgpt.checkpoint.verify.verify.verify_step", verify)
    health = verify_run(run)
    assert health.code == 0 and len(health.steps) == 1


def test_nothing_is_built_before_the_checkpoint_is_known_to_fit(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a config.json that asks for more than the checkpoint holds, no weight is allocated."""
    tables = json.loads((run / "config.json").read_text())
    tables["model"] |= {"n_embd": 2048, "n_head": 1}
    (run / "config.json").write_text(json.dumps(tables))
    monkeypatch.setattr("glassgpt.checkpoint.run.build", lambda *_: pytest.fail("built"))
    with pytest.raises(UserError, match="does not fit config"):
        load_run(run)


def test_all_of_it_as_json(run: Path) -> None:
    DAMAGE["NaN"][0](run)
    found = json.loads(json.dumps(verify_run(run).to_dict()))
    assert found["code"] == 1 and found["newest"] == "step-0000000006" == found["best"]
    assert [step["ok"] for step in found["steps"]] == [False, True]


def test_a_lost_best_is_not_named(run: Path) -> None:
    write_pointer(run / "checkpoints", "best", newest(run))
    DAMAGE["NaN"][0](run)
    health: RunHealth = verify_run(run)
    assert "the best" not in health.sentence


def test_ids_of_all_widths(run: Path) -> None:
    """The largest id is found in the type that the manifest names."""
    about = json.loads((run / "data/manifest.json").read_text())
    ids = np.fromfile(run / "data/train.bin", about["tokens"]["train"]["dtype"])
    ids.astype("<u4").tofile(run / "data/train.bin")
    about["tokens"]["train"]["dtype"] = "<u4"
    (run / "data/manifest.json").write_text(json.dumps(about))
    assert verify_run(run).code == 0
