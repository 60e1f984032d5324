"""What a name, path, glob, pipe or archive stands for, in which order, and what is said if it is missing."""

import io
import os
import threading
import zipfile
from pathlib import Path

import pytest

from glassgpt.data.files import budget, sources
from glassgpt.data.files.sources import resolve_sources, unpack
from glassgpt.data.files.unreadable import NotText
from glassgpt.errors import UserError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (
        "notes/b.txt",
        "notes/a b.md",
        "notes/sub/c.txt",
        "notes/.hidden",
        "notes/.git/config",
        "notes/__pycache__/x.py",
        "notes/node_modules/y/z.js",
        "notes/venv/pyvenv.cfg",
        "notes/venv/lib/site.py",
        "notes/runs/old/config.json",
        "notes/runs/old/metrics.jsonl",
        "notes/runs/old/samples/1.txt",
        "a[1].txt",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    return tmp_path


def names(*given: str) -> list[str]:
    return [source.name.replace(os.sep, "/") for source in resolve_sources(given)]


def test_a_folder_is_walked_in_order_without_what_nobody_wrote(folder: Path) -> None:
    assert names("notes") == ["notes/a b.md", "notes/b.txt", "notes/sub/c.txt"]
    assert names("notes/.git") == ["notes/.git/config"]  # asked for by name


def test_globs_several_sources_and_duplicates(folder: Path) -> None:
    assert names("notes/*.txt") == ["notes/b.txt"]
    assert names("notes/*b*") == ["notes/a b.md", "notes/b.txt", "notes/sub/c.txt"]
    assert names("notes/**/*.txt") == [
        "notes/b.txt",
        "notes/runs/old/samples/1.txt",
        "notes/sub/c.txt",
    ]
    assert names("notes/sub", "notes/b.txt", "notes", "./notes/b.txt") == [
        "notes/sub/c.txt",
        "notes/b.txt",
        "notes/a b.md",
    ]
    assert names("a[1].txt") == ["a[1].txt"]  # a path that exists wins over a pattern
    assert [source.explicit for source in resolve_sources(["notes/b.txt", "notes"])] == [True, False, False]


def test_a_corpus_wins_over_a_file_of_its_name(folder: Path) -> None:
    assert names("python")[0].startswith("python (3.")
    Path("python").write_text("my own")
    assert names("python")[0].startswith("python (3.")
    assert names("./python") == ["python"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("notes/bb.txt", r"'notes/bb\.txt': no such file.*Did you mean 'notes.b\.txt'"),
        ("pyton", "Did you mean 'python'"),
        ("shakespear", "Did you mean 'shakespeare'"),
        ("*.nothing", "no file matches"),
        ("no/such/place.txt", "no such file, folder or corpus.*name: python, shakespeare, dates,.* scenes"),
        ("dates", "is a dataset, not running text.*glassgpt train dates"),
        ("notes/b.txt/inside", "no such file"),
        ("", "no such file"),
        ("x" * 5000, "no such file"),
        ("nul\0l", "no such file"),
    ],
)
def test_a_missing_source_suggests_near_names(folder: Path, given: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        resolve_sources([given])


def test_permission_denied_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    (source,) = resolve_sources(["notes/b.txt"])
    monkeypatch.setattr(sources.Path, "open", refuse)
    with pytest.raises(
        UserError, match=r"cannot read notes.b\.txt: Permission denied\. Change its permissions"
    ):
        source.open()
    monkeypatch.setattr(sources.Path, "stat", refuse)
    with pytest.raises(UserError, match="Permission denied"):
        resolve_sources(["notes/b.txt"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a Unix thing")
def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(b"through a pipe"))
    writer.start()
    (source,) = resolve_sources([str(pipe)])
    with source.open() as stream:
        assert stream.read() == b"through a pipe"
        assert stream.seek(0) == 0
    writer.join()


def zip_of(path: Path, **members: bytes) -> sources.Source:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_dot_", ".").replace("__", "/"), data)
    (source,) = resolve_sources([str(path)])
    return source


def test_zip_members_are_sorted_and_never_leave_the_archive(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", z_dot_txt=b"Z", sub__b_dot_txt=b"B", _dot__dot___evil_dot_txt=b"E")
    got = {}
    for member in unpack(source):
        with member.open() as stream:
            got[Path(member.name).name] = stream.read()
    assert list(got) == ["b.txt", "z.txt"]
    assert not (tmp_path.parent / "evil.txt").exists()


def test_a_zip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zip_of(tmp_path / "bomb.zip", a_dot_txt=b"0" * 50_000_000)
    with pytest.raises(UserError, match=r"expand to more than [\d,]+; the limits are"):
        list(unpack(bomb))
    monkeypatch.setattr(budget, "MAX_UNPACKED", 10)
    with pytest.raises(UserError, match="expand to more than 10;"):
        list(unpack(zip_of(tmp_path / "big.zip", a_dot_txt=b"more than ten")))


def test_an_archive_in_an_archive_is_not_opened(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("x.txt", "x")
    (member,) = unpack(zip_of(tmp_path / "outer.zip", inner_dot_zip=inner.getvalue()))
    with pytest.raises(NotText, match="archive within an archive"):
        member.open()


def test_a_member_without_a_name_ends_nothing(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", a=b"text")
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes().replace(b"a" + b"PK", b"\0PK"))
    assert [Path(member.name).name for member in unpack(source)] == ["a.zip"]


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"not a zip")
    with pytest.raises(UserError, match=r"not a readable zip file.*Extract it"):
        list(unpack(resolve_sources([str(tmp_path / "a.zip")])[0]))
