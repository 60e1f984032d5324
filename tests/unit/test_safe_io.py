"""What a stranger's folder may not do: claim more than it holds, lead elsewhere, say two things at once."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from glassgpt.checkpoint import (
    CorruptCheckpoint,
    acquire_lock,
    read_state,
    read_tensors,
    save_step,
    steps,
    verify_step,
)
from glassgpt.checkpoint.store.header import Spec, read_header
from glassgpt.checkpoint.store.manifest import fingerprint
from glassgpt.errors import UserError
from glassgpt.safe_io import MAX_DEPTH, check_entries, parse_json, read_capped, read_json


def save(folder: Path) -> Path:
    return save_step(folder, 1, {"model": {"w": torch.arange(6.0).reshape(2, 3)}}, {})


def seal(step: Path, **changes: Any) -> None:
    """Make the manifest right again, as a forger would."""
    files = {f.name: fingerprint(f) for f in step.iterdir() if f.name != "MANIFEST.json" and f.is_file()}
    manifest = {"format": 1, "files": files} | changes
    (step / "MANIFEST.json").write_text(json.dumps(manifest))


def file_with(folder: Path, header: bytes, length: int | None = None, data: bytes = b"") -> Path:
    path = folder / "x.safetensors"
    path.write_bytes((len(header) if length is None else length).to_bytes(8, "little") + header + data)
    return path


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> bytes:
    return json.dumps({"w": {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}}).encode()


def test_a_header_says_what_is_there(tmp_path: Path) -> None:
    tensors = {"a": torch.zeros(2, 3), "b": torch.zeros(()).half(), "none": torch.zeros(0, 4)}
    save_file(tensors, tmp_path / "x.safetensors")
    assert read_header(tmp_path / "x.safetensors") == {
        "a": Spec("F32", (2, 3)),
        "b": Spec("F16", ()),
        "none": Spec("F32", (0, 4)),
    }


@pytest.mark.parametrize(
    ("header", "length", "data", "match"),
    [
        (b"{}", 1 << 62, b"", "a header of 4,611,686,018,427,387,904 bytes, the limit is 2"),
        (b"", 0, b"", "not JSON"),
        (b"[]", None, b"", "list, not an object"),
        (
            entry(shape=[1 << 40, 1 << 40]),
            None,
            bytes(8),
            "overflow computing buffer size",
        ),
        (entry(shape=[3]), None, bytes(8), "invalid shape, data type, or offset"),
        (entry(), None, bytes(7), "file not fully covered"),
        (entry(), None, bytes(9), "file not fully covered"),
        (entry(offsets=(4, 12)), None, bytes(12), "invalid offset for tensor `w`"),
        (entry(offsets=(8, 0)), None, bytes(8), "invalid offset for tensor `w`"),
        (entry(shape=[-2]), None, bytes(8), "integer `-2`, expected usize"),
        (entry(shape=[True, 2]), None, bytes(8), "boolean `true`, expected usize"),
        (entry(shape=[2.0]), None, bytes(8), "floating point `2.0`, expected usize"),
        (entry(shape=[1] * 9 + [2]), None, bytes(8), "10 dimensions"),
        (entry(dtype="PICKLE"), None, bytes(8), "PICKLE"),
        (entry(extra=1), None, bytes(8), "not described as a tensor"),
        (b'{"w": {}, "w": {}}', None, b"", "key 'w' twice"),
    ],
)
def test_a_header_that_does_not_add_up(
    tmp_path: Path, header: bytes, length: int | None, data: bytes, match: str
) -> None:
    with pytest.raises(UserError, match=match):
        read_header(file_with(tmp_path, header, length, data))


def test_a_file_of_a_few_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"\x01")
    with pytest.raises(UserError, match="header of 1 bytes, the limit is 0"):
        read_header(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("header", "match"),
    [
        (entry()[:-1] + b", " + entry(shape=[1, 2])[1:], "key 'w' twice"),
        (entry(dtype="F8_E4M3", shape=[8]), "F8_E4M3"),
        (b'{"w": ["F32", [2], [0, 8]]}', "not described as a tensor"),
        (b'{"w": {"dtype": "F32", "shape": {}, "data_offsets": [0, 8]}}', "not described as a tensor"),
        (b'{"w": {"dtype": [], "shape": [2], "data_offsets": [0, 8]}}', "with 1 dimensions"),
        (b'{"__metadata__": {"a": 1}}', "expected a string"),
        (entry(dtype="\x1b[2J"), "x1b.2J"),
    ],
)
def test_a_header_that_the_library_would_accept_or_print(tmp_path: Path, header: bytes, match: str) -> None:
    with pytest.raises(UserError, match=match) as error:
        read_header(file_with(tmp_path, header, data=bytes(8)))
    assert "\x1b" not in str(error.value)


@given(place=st.integers(0, 200), bits=st.integers(1, 255), cut=st.integers(0, 60))
def test_a_header_with_flipped_bits_is_refused_or_loads(
    tmp_path_factory: pytest.TempPathFactory, place: int, bits: int, cut: int
) -> None:
    """Whatever passes here, the library reads too, and as the same shapes."""
    path = tmp_path_factory.mktemp("fuzz") / "x.safetensors"
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(4).half()}, path)
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= bits
    path.write_bytes(data[: len(data) - cut])
    try:
        specs = read_header(path)
    except UserError:
        return
    loaded = load_file(path)
    assert {name: spec.shape for name, spec in specs.items()} == {
        n: tuple(t.shape) for n, t in loaded.items()
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["dtype", "shape", "data_offsets", "w", "format"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(header=JSON)
def test_any_json_as_a_header(tmp_path_factory: pytest.TempPathFactory, header: Any) -> None:
    path = file_with(tmp_path_factory.mktemp("fuzz"), json.dumps(header).encode(), data=bytes(8))
    with pytest.raises(UserError):
        read_header(path)


@given(manifest=JSON)
def test_any_json_as_a_manifest(tmp_path_factory: pytest.TempPathFactory, manifest: Any) -> None:
    step = save(tmp_path_factory.mktemp("fuzz"))
    for forged in (
        manifest,
        {"format": 1, "files": manifest},
        {"format": 1, "files": {"state.json": manifest}},
    ):
        (step / "MANIFEST.json").write_text(json.dumps(forged))
        with pytest.raises(CorruptCheckpoint):
            verify_step(step)


@given(data=st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_any_bytes_as_json(data: bytes) -> None:
    try:
        assert isinstance(parse_json(data, Path("x.json")), dict)
    except UserError as error:
        assert "x.json" in str(error)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b'{"a": ' * (MAX_DEPTH + 1), f"more than {MAX_DEPTH} deep"),
        (b'{"a":' + b"[" * 500_000, f"more than {MAX_DEPTH} deep"),
        (b'{"a": {"b": 1, "b": 1}}', "key 'b' twice"),
        (b'{"\xff": 1}', "not JSON"),
    ],
)
def test_json_that_is_refused(data: bytes, match: str) -> None:
    with pytest.raises(UserError, match=match):
        parse_json(data, Path("x.json"))


def test_brackets_in_strings_are_no_depth() -> None:
    assert parse_json(json.dumps({"a": '\\"' + "[{" * 100}).encode(), Path("x.json"))


@pytest.mark.parametrize(
    "data",
    [
        b'"' + b'\\"' * (1 << 21),  # an open string of escaped quotes
        b'"' + b'\\"' * (1 << 21) + b"\\",
        b'{"a": [' + b"[], " * (1 << 20),
        b'{"a": "' + b"[" * (1 << 22),
        b"[" * (1 << 22),
    ],
    ids=["open string", "open escape", "open list", "brackets in a string", "deep"],
)
def test_hostile_json_takes_linear_time(data: bytes) -> None:
    began = time.process_time()
    with pytest.raises(UserError):
        parse_json(data, Path("x.json"))
    assert time.process_time() - began < 5


def test_a_key_given_twice_among_many_takes_linear_time() -> None:
    data = json.dumps({str(key): 0 for key in range(100_000)})[:-1] + ', "99999": 1}'
    began = time.process_time()
    with pytest.raises(UserError, match="key '99999' twice"):
        parse_json(data.encode(), Path("x.json"))
    assert time.process_time() - began < 10


def test_json_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "x.json").open("wb") as file:
        file.truncate(1 << 40)  # sparse: a terabyte that takes no room
    with pytest.raises(UserError, match="1,099,511,627,776 bytes, the limit is 1,048,576"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "dangling"])
def test_only_ordinary_files_are_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.json"
    (tmp_path / "secret").write_text("{}")
    if kind in ("link", "dangling"):
        path.symlink_to(tmp_path / ("secret" if kind == "link" else "nothing"))
    elif kind == "pipe":
        os.mkfifo(path)  # opening it would wait for ever
    else:
        path.mkdir()
    with pytest.raises(UserError, match="is a link" if kind in ("link", "dangling") else kind):
        read_capped(path, 100)


@pytest.mark.parametrize("where", ["metrics.jsonl", "samples/step.txt", ".lock"])
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_a_run_with_something_else_than_files(tmp_path: Path, where: str, kind: str) -> None:
    (tmp_path / "samples").mkdir()
    make = os.mkfifo if kind == "pipe" else Path.mkdir
    make(tmp_path / where)
    if where == ".lock" and kind == "folder":
        check_entries(tmp_path)  # a name without an ending may be a folder
        return
    with pytest.raises(UserError, match=f"is a {kind}"):
        check_entries(tmp_path)


def test_the_pointer_to_the_best_step_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "best").mkdir(parents=True)
    with pytest.raises(UserError, match="is a folder"):
        check_entries(tmp_path)


def test_a_file_with_a_second_name_is_not_written_to(tmp_path: Path) -> None:
    secret, run = tmp_path / "secret", tmp_path / "run"
    secret.write_text("precious")
    run.mkdir()
    os.link(secret, run / "metrics.jsonl")
    with pytest.raises(UserError, match="hard link"):
        acquire_lock(run)
    assert secret.read_text() == "precious"


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b'{"a": ' + b"9" * 5000 + b"}", "5,000 digits, beyond 64 bits"),
        (b'{"a": 1' + b"0" * 400 + b"}", "beyond 64 bits"),
        (b'{"a": -18446744073709551616}', "beyond 64 bits"),
        (b'{"a": "\\ud800"}', "surrogates"),
    ],
)
def test_values_that_no_file_of_ours_holds(data: bytes, match: str) -> None:
    with pytest.raises(UserError, match=match):
        parse_json(data, "x.json")


def test_the_largest_integers_and_a_surrogate_pair_are_read() -> None:
    assert parse_json(b'{"a": -18446744073709551615, "b": "\\ud83d\\ude00"}', "x") == {
        "a": 1 - 2**64,
        "b": "😀",
    }


@pytest.mark.parametrize("where", ["metrics.jsonl", "samples/step.txt", "checkpoints"])
def test_a_run_with_a_link_in_it(tmp_path: Path, where: str) -> None:
    run = tmp_path / "run"
    (run / "samples").mkdir(parents=True)
    check_entries(run)
    (run / where).symlink_to(tmp_path)
    with pytest.raises(UserError, match="is a link"):
        check_entries(run)
    (tmp_path / "alias").symlink_to(tmp_path / "run")
    (run / where).unlink()
    check_entries(tmp_path / "alias")  # the run's own folder may be one


@pytest.mark.parametrize(
    "name", ["../../secret", "/etc/passwd", "a/b", "a\\b", "..", ".hidden", "C:x", "", "a\0b"]
)
def test_a_manifest_names_files_of_its_folder_only(tmp_path: Path, name: str) -> None:
    step = save(tmp_path / "checkpoints")
    (tmp_path / "secret").write_text("x")
    seal(step, files={name: fingerprint(tmp_path / "secret")})
    with pytest.raises(CorruptCheckpoint, match="not the name of a file"):
        verify_step(step)


def test_a_file_besides_those_in_the_manifest(tmp_path: Path) -> None:
    step = save(tmp_path)
    (step / ".DS_Store").write_text("what a file manager leaves")
    verify_step(step)
    (step / "evil.pkl").write_text("x")
    with pytest.raises(CorruptCheckpoint, match=r"'evil.pkl', which its manifest does not name"):
        verify_step(step)


def test_a_linked_file_and_a_linked_step(tmp_path: Path) -> None:
    step = save(tmp_path / "a")
    elsewhere = tmp_path / "w"
    (step / "model.safetensors").rename(elsewhere)
    (step / "model.safetensors").symlink_to(elsewhere)
    with pytest.raises(CorruptCheckpoint, match="is a link"):
        verify_step(step)
    with pytest.raises(CorruptCheckpoint, match="is a link"):
        read_tensors(step, "model")
    other = save(tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / other.name).symlink_to(other)
    with pytest.raises(CorruptCheckpoint, match="no folder of its own"):
        verify_step(steps(tmp_path / "c")[0])


def test_a_sealed_step_whose_tensors_do_not_add_up(tmp_path: Path) -> None:
    step = save(tmp_path)
    file_with(step, entry(shape=[1 << 50]), data=bytes(8)).rename(step / "model.safetensors")
    seal(step)
    with pytest.raises(CorruptCheckpoint, match="invalid shape, data type, or offset"):
        verify_step(step)
    with pytest.raises(CorruptCheckpoint, match="invalid shape, data type, or offset"):
        read_tensors(step, "model")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"format": 1, "step": 2}', "is of step 2, not of this one"),
        ('{"format": 1, "step": true}', "is of step True"),
        ('{"format": 1}', "is of step None"),
        ('{"format": 1, "step": 1, "step": 1}', "twice"),
        ("[1]", "list, not an object"),
    ],
)
def test_a_sealed_state_that_says_something_else(tmp_path: Path, text: str, match: str) -> None:
    step = save(tmp_path)
    (step / "state.json").write_text(text)
    seal(step)
    for check in (verify_step, read_state):
        with pytest.raises(CorruptCheckpoint, match=match):
            check(step)


def test_what_only_looks_like_a_step_is_none(tmp_path: Path) -> None:
    step = save(tmp_path)
    for name in ("step-0000000002.zip", "step-2", "step-000000000\x1b"):
        (tmp_path / name).mkdir()
    assert steps(tmp_path) == [step]


def test_no_control_character_reaches_a_message(tmp_path: Path) -> None:
    step = save(tmp_path)
    seal(step, files={"\x1b[2J": {}})
    with pytest.raises(CorruptCheckpoint) as error:
        verify_step(step)
    assert "\x1b" not in str(error.value) and "x1b[2J" in str(error.value)
