"""blocks.c is built once and kept whole, loaded from private folders alone, and no compiler can do harm."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glassgpt.generate.fast import build, compiler, native
from glassgpt.generate.fast.private import NotPrivateError, private_folder, read_private
from helpers.zoo import has_compiler

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="built on Linux only")
needs_compiler = pytest.mark.skipif(not has_compiler(), reason="no C compiler")
as_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away"
)
STRANGER = 12345
OTHER_CODE = "void multiply(void) {} void run_blocks(void) {} int planted = 1;"


@pytest.fixture(autouse=True)
def quick_to_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "FLAGS", ("-O0", "-fopenmp", "-fPIC"))


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cache of a user who never built it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    native._library.cache_clear()
    yield tmp_path / "cache"
    native._library.cache_clear()


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Counts how often the compiler was called; it is called twice a build."""
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("CC", program(tmp_path / "logging-cc", f'echo "$@" >> {path}; exec cc "$@"'))
    return lambda: len(path.read_text("utf-8").splitlines())


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return str(path)


def again() -> ctypes.CDLL | None:
    native._library.cache_clear()
    return native.load()


def the_library(cache: Path) -> Path:
    (path,) = (cache / "glassgpt" / "native").glob("*.so")
    return path


def other_library(path: Path) -> Path:
    source = path.with_suffix(".c")
    source.write_text(OTHER_CODE)
    compiler.Compiler.find().run("-shared", "-fPIC", source, "-o", path, folder=path.parent)
    return path


@needs_compiler
def test_it_is_built_once(fresh: Path, log: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert again() is not None and native.why_not_native() is None and log() == 2
    assert again() is not None and log() == 2
    assert [path.suffix for path in (fresh / "glassgpt" / "native").iterdir()] == [".so"]
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-DOTHER"))  # as another version, or processor
    assert again() is not None and log() == 4


@needs_compiler
def test_its_bytes_are_on_disk_before_its_name(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, int]] = []

    def sync(path: Path) -> None:
        synced.append((path.name, len(list((fresh / "glassgpt" / "native").glob("blocks-*.so")))))

    monkeypatch.setattr(build, "sync", sync)
    assert again() is not None
    assert synced == [("blocks.so", 0), ("native", 1)]


def cut(path: Path) -> None:
    os.truncate(path, 8192)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zero(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:8192] + bytes(12288) + content[20480:])


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    path.symlink_to(path.rename(path.parents[2] / "elsewhere.so"))


def planted(path: Path) -> None:
    other_library(path.parents[2] / "planted.so").replace(path)


def planted_by_name(path: Path) -> None:
    """Another library with the right hash in its name, in a file that others could write."""
    import hashlib

    other = other_library(path.parents[2] / "planted.so")
    digest = hashlib.sha256(other.read_bytes()).hexdigest()
    target = path.with_name(f"{path.stem.rpartition('-')[0]}-{digest}.so")
    path.unlink()
    other.replace(target)
    target.chmod(0o777)


def unreadable_elf(path: Path) -> None:
    """A file with the right hash in its name that cannot be loaded, as from another system."""
    import hashlib

    name = f"{path.stem.rpartition('-')[0]}-{hashlib.sha256(b'junk').hexdigest()}.so"
    path.unlink()
    path.with_name(name).write_bytes(b"junk")
    path.with_name(name).chmod(0o700)


@needs_compiler
@pytest.mark.parametrize("damage", [cut, empty, zero, pipe, link, planted, planted_by_name, unreadable_elf])
def test_a_damaged_library_is_built_again(
    damage: Callable[[Path], None], fresh: Path, log: Callable[[], int]
) -> None:
    assert again() is not None
    whole = the_library(fresh).read_bytes()
    fresh.joinpath("new").mkdir()
    shutil.copytree(the_library(fresh).parent, fresh / "new" / "native")  # not the mapped file itself
    fresh.joinpath("glassgpt").rename(fresh / "old")
    fresh.joinpath("new").rename(fresh / "glassgpt")
    os.environ["CC"], logging = "cc", os.environ["CC"]
    damage(the_library(fresh))
    os.environ["CC"] = logging
    library = again()
    assert library is not None and not hasattr(library, "planted") and log() == 4
    assert the_library(fresh).read_bytes() == whole
    assert again() is not None and log() == 4


@needs_compiler
def test_temporary_files_of_the_compiler_are_private(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its stages it writes assembly, which must not lie where others can change it."""
    seen = tmp_path / "seen"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("CC", program(tmp_path / "cc", f'echo "$TMPDIR" >> {seen}; exec cc "$@"'))
    assert again() is not None
    for folder in seen.read_text().splitlines():
        assert Path(folder).parent == fresh / "glassgpt" / "native" and not Path(folder).exists()


@needs_compiler
def test_modes_do_not_depend_on_the_umask(fresh: Path) -> None:
    before = os.umask(0)
    try:
        assert again() is not None
    finally:
        os.umask(before)
    path = the_library(fresh)
    for each in (path, *path.parents[:3]):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700


@needs_compiler
def test_own_folders_are_closed_to_others(fresh: Path) -> None:
    assert again() is not None
    path = the_library(fresh)
    for each in path.parents[:2]:
        each.chmod(0o777)
    assert again() is not None
    assert [stat.S_IMODE(each.stat().st_mode) for each in path.parents[:2]] == [0o700, 0o700]


def open_to_all(cache: Path) -> None:
    cache.chmod(0o777)


def of_a_stranger(cache: Path) -> None:
    os.chown(cache, STRANGER, -1)


def native_of_a_stranger(cache: Path) -> None:
    os.chown(cache / "glassgpt" / "native", STRANGER, -1)


def link_of_a_stranger(cache: Path) -> None:
    cache.rename(cache.with_name("real"))
    cache.symlink_to(cache.with_name("real"))
    os.chown(cache, STRANGER, -1, follow_symlinks=False)


@needs_compiler
@pytest.mark.parametrize(
    "change",
    [
        open_to_all,
        *(pytest.param(f, marks=as_root) for f in (of_a_stranger, native_of_a_stranger, link_of_a_stranger)),
    ],
)
def test_from_a_folder_of_others_nothing_is_loaded(
    change: Callable[[Path], None], fresh: Path, log: Callable[[], int]
) -> None:
    assert again() is not None
    change(fresh)
    before = sorted(fresh.resolve().rglob("*"))
    with pytest.warns(UserWarning, match="so native code is built for each command again"):
        assert again() is not None
    assert log() == 4 and sorted(fresh.resolve().rglob("*")) == before


@needs_compiler
def test_without_a_home_nothing_is_left_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # What platformdirs says for a user without a home.
    monkeypatch.setattr(build, "user_cache_path", lambda name: Path("~/.cache", name))
    with pytest.warns(UserWarning, match="depends on the current folder"):
        assert again() is not None
    assert list(tmp_path.iterdir()) == []
    native._library.cache_clear()


def test_without_any_private_folder_torch_does_it(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.mkdir()
    fresh.chmod(0o777)
    monkeypatch.setattr("tempfile.tempdir", str(fresh))
    monkeypatch.setenv("CC", program(tmp_path / "cc", "exit 0"))
    assert again() is None and "can be changed by other users" in str(native.why_not_native())


def test_private_folders(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)  # as /tmp
    folder = private_folder(shared / "a" / "b" / "c")
    assert all(stat.S_IMODE(f.stat().st_mode) == 0o700 for f in (folder, *folder.parents[:2]))
    link = tmp_path / "link"
    link.symlink_to(shared / "a")
    assert private_folder(link / "b" / "c") == folder
    shared.chmod(0o777)
    for path in (folder, link / "b" / "c"):
        with pytest.raises(NotPrivateError, match="shared can be changed"):
            private_folder(path)
    (tmp_path / "file").touch()
    with pytest.raises(NotPrivateError, match="not a folder"):
        private_folder(tmp_path / "file" / "x" / "y")


def test_private_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert read_private(path, 10) is None
    path.write_bytes(b"0123456789")
    path.chmod(0o600)
    assert read_private(path, 10) == b"0123456789" and read_private(path, 9) is None
    path.chmod(0o620)
    assert read_private(path, 10) is None and read_private(tmp_path, 10) is None


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo first >&2; echo cannot do that >&2; exit 1", "failed: cannot do that"),
        ("exit 1", "failed: no error message"),
        ("printf 'caf\\351\\n' >&2; exit 1", "failed: caf\N{REPLACEMENT CHARACTER}"),
        ("kill -SEGV $$", "failed: no error message"),
        ('for last; do :; done; echo junk > "$last"', "cannot be loaded"),
        ("exit 0", "cannot be loaded"),
        pytest.param(
            'for last; do :; done; exec cc -shared -o "$last" -x c /dev/null',
            "undefined symbol: multiply",
            marks=needs_compiler,
        ),
    ],
)
def test_a_compiler_that_fails_is_remembered(
    script: str, why: str, fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    monkeypatch.setenv("CC", program(tmp_path / "cc", f"echo >> {calls}\n{script}"))
    assert again() is None and why in str(native.why_not_native())
    n = len(calls.read_text())
    assert again() is None
    reason = str(native.why_not_native())
    assert why in reason and "delete" in reason
    assert len(calls.read_text()) == n
    (failure,) = (fresh / "glassgpt" / "native").glob("*.failed")
    os.utime(failure, times=(time.time() - build.DAY - 9,) * 2)
    assert again() is None and len(calls.read_text()) == 2 * n  # the next day
    program(tmp_path / "cc", f"echo >> {calls}\n{script} # a new version")
    assert again() is None and len(calls.read_text()) == 3 * n
    monkeypatch.setenv("CC", "nothing")
    assert again() is None and "no C compiler `nothing`" in str(native.why_not_native())


@pytest.mark.parametrize(
    "script", ["(while :; do echo; sleep 0.1; done) >> BEATS & sleep 600", "exec yes", "sleep 2 & exec cat -"]
)
def test_a_compiler_that_hangs_is_ended_and_remembered(
    script: str, fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = tmp_path / "beats"
    beats.touch()
    monkeypatch.setenv("CC", program(tmp_path / "cc", script.replace("BEATS", str(beats))))
    monkeypatch.setattr(build._build, "__defaults__", (0.5,))
    began = time.monotonic()
    assert again() is None
    if "cat" in script:  # it reads an empty input and ends
        assert "cannot be loaded" in str(native.why_not_native())
    else:
        assert "took longer than" in str(native.why_not_native())
    n_beats = beats.stat().st_size
    assert again() is None and "remembered" in str(native.why_not_native())
    assert time.monotonic() - began < 200  # the compiler itself takes 600
    if "BEATS" in script:
        time.sleep(0.3)
        assert beats.stat().st_size == n_beats > 0  # what it had started has ended, too


@pytest.mark.parametrize(
    ("cc", "why"),
    [
        ('"', "No closing quotation"),
        ("'", "No closing quotation"),
        ("a\\", "No escaped character"),
        ("nothing", "no C compiler `nothing`. Install gcc"),
        ("\udcff", r"no C compiler `\udcff`"),
        ("/", "no C compiler `/`"),
        ("''", "no C compiler ``"),
    ],
)
def test_odd_commands(cc: str, why: str, fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", cc)
    assert again() is None
    reason = str(native.why_not_native())
    assert why in reason and reason.encode("utf-8")


@needs_compiler
@pytest.mark.parametrize("cc", ["", " ", "\t"])
def test_no_command_is_the_usual_one(cc: str, fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", cc)
    assert again() is not None


@needs_compiler
def test_what_a_killed_build_left_is_removed(fresh: Path) -> None:
    old = fresh / "glassgpt" / "native" / f"{build.TEMPORARY}old"
    old.mkdir(parents=True)
    os.utime(old, times=(time.time() - 2 * build.DAY,) * 2)
    with warnings.catch_warnings():
        assert again() is not None
    assert not old.exists()
