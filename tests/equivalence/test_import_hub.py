"""The hub, as a server on this machine: downloads of data only, and uploads of certified exports only."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glassgpt.errors import UserError
from glassgpt.interop import export, push
from glassgpt.interop.huggingface.hub import DOWNLOADED, check_export, check_hub_name

pytest.importorskip("transformers")
from helpers import foreign

REVISION = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's HTTP that a download uses."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        self.asked.append(self.path)
        name = self.path.rpartition("/")[2]
        if self.path.startswith("/api/models/ada/notes/tree/"):
            sizes = {path.name: path.stat().st_size for path in sorted(self.folder.iterdir())}
            listed = [
                {"type": "file", "path": name, "size": size, "oid": "0"} for name, size in sizes.items()
            ]
            found = json.dumps(listed).encode()
        elif self.path.startswith("/api/models/ada/notes/"):
            files = [{"rfilename": path.name} for path in sorted(self.folder.iterdir())]
            found = json.dumps({"id": "ada/notes", "sha": REVISION, "siblings": files}).encode()
        elif self.path.startswith("/ada/notes/resolve/") and (self.folder / name).is_file():
            found = (self.folder / name).read_bytes()
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(found)))
        self.send_header("ETag", f'"{hashlib.sha256(found).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if body:
            self.wfile.write(found)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, type[Hub]]]:
    foreign.save(tmp_path / "model", shard="20KB")
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"a pickle")
    (tmp_path / "model" / "modeling_notes.py").write_text("raise SystemExit('executed')")

    class Here(Hub):
        folder, asked = tmp_path / "model", []

    with ThreadingHTTPServer(("127.0.0.1", 0), Here) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}", Here
        http.shutdown()


def glassgpt(tmp_path: Path, endpoint: str, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "cache"), "COLUMNS": "80"}
    env |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": ""}
    command = [sys.executable, "-m", "glassgpt", *words]
    return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=200)


def test_a_model_of_the_hub_becomes_a_run(tmp_path: Path, server: tuple[str, type[Hub]]) -> None:
    endpoint, here = server
    done = glassgpt(tmp_path, endpoint, "import", "hf:ada/notes", "--no-compare")
    assert done.returncode == 0, done.stderr
    assert "GPT2LMHeadModel" in done.stdout and (tmp_path / "runs" / "notes" / "config.json").is_file()
    fetched = {path.rpartition("/")[2] for path in here.asked if "/resolve/" in path}
    assert "tokenizer.json" in fetched and len(fetched) > 5
    assert not [name for name in fetched if name.endswith((".bin", ".py"))]
    state = next((tmp_path / "runs" / "notes" / "checkpoints").glob("step-*/state.json"))
    assert json.loads(state.read_text("utf-8"))["imported"]["from"] == f"hf:ada/notes ({REVISION})"


def test_a_model_that_is_not_there(tmp_path: Path, server: tuple[str, type[Hub]]) -> None:
    done = glassgpt(tmp_path, server[0], "import", "hf:ada/nothing")
    assert done.returncode == 2 and "ada/nothing" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_code_and_pickles_are_never_asked_for() -> None:
    assert all(name.endswith((".json", ".safetensors", "chat_template.jinja")) for name in DOWNLOADED)


@pytest.mark.parametrize("name", ["notes", "ada/", "ada/notes/x", "../notes", "ada/../x", "ada/no tes", "/x"])
def test_a_name_has_an_owner(name: str) -> None:
    with pytest.raises(UserError, match="Give owner/name"):
        check_hub_name(name)


class FakeApi:
    """Keeps what would have been sent."""

    def __init__(self, *, exists: bool = False, private: bool = False) -> None:
        self.exists, self.is_private = exists, private
        self.created: list[tuple[str, bool]] = []
        self.sent: dict[str, bytes] = {}

    def repo_exists(self, name: str) -> bool:
        return self.exists

    def model_info(self, name: str) -> Any:
        return SimpleNamespace(private=self.is_private)

    def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> None:
        self.created.append((name, private))

    def create_commit(self, name: str, *, operations: list[Any], commit_message: str) -> Any:
        self.sent = {each.path_in_repo: Path(each.path_or_fileobj).read_bytes() for each in operations}
        return SimpleNamespace(commit_url=f"https://hub/{name}")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from helpers.explain_runs import small_run

    run = small_run(tmp_path_factory.mktemp("run"), "gpt")
    return export(run, "hf")[0]


def test_a_certified_export_is_uploaded_and_nothing_else(exported: Path) -> None:
    api = FakeApi()
    run = exported.with_name(exported.name.removesuffix("-hf"))
    for path in (exported, run):  # a run means the export next to it
        assert push(path, "ada/notes", private=True, api=api) == "https://hub/ada/notes"
        assert api.created[-1] == ("ada/notes", True)
        assert api.sent == {each.name: each.read_bytes() for each in exported.iterdir()}
    text = (run / "data" / "val.bin").read_bytes()[:200] if (run / "data" / "val.bin").exists() else None
    assert text is None or not any(text in content for content in api.sent.values())


def test_a_public_name_stays_public_only_if_told(exported: Path) -> None:
    api = FakeApi(exists=True, private=False)
    with pytest.raises(UserError, match="public already"):
        push(exported, "ada/notes", private=True, api=api)
    assert not api.sent and not api.created
    push(exported, "ada/notes", api=api)
    assert api.sent


@pytest.mark.parametrize("change", ["weights", "more", "less", "failed", "certificate", "link"])
def test_a_changed_export_is_not_uploaded(exported: Path, tmp_path: Path, change: str) -> None:
    import shutil

    folder, api = tmp_path / "copy", FakeApi()
    shutil.copytree(exported, folder)
    certificate = folder / "certificate.json"
    match change:
        case "weights":
            data = bytearray((folder / "model.safetensors").read_bytes())
            data[-1] ^= 1
            (folder / "model.safetensors").write_bytes(data)
        case "more":
            (folder / "notes.txt").write_text("my text")
        case "less":
            (folder / "config.json").unlink()
        case "failed":
            found = json.loads(certificate.read_text("utf-8"))
            found["findings"][0]["outcome"] = "fail"
            certificate.write_text(json.dumps(found), "utf-8")
        case "certificate":
            certificate.unlink()
        case "link":
            (folder / "config.json").rename(tmp_path / "elsewhere.json")
            (folder / "config.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(UserError):
        push(folder, "ada/notes", api=api)
    assert not api.sent and not api.created


def test_a_run_without_an_export_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes" / "checkpoints").mkdir(parents=True)
    with pytest.raises(UserError, match=r"never uploaded.*export"):
        check_export(tmp_path / "notes")


def test_the_command_sends_nothing_unless_told(exported: Path, server: tuple[str, type[Hub]]) -> None:
    endpoint, here = server
    done = glassgpt(exported.parent, endpoint, "push", str(exported), "ada/notes")
    assert done.returncode == 0 and "Nothing was sent" in done.stdout and "model.safetensors" in done.stdout
    assert here.asked == []
    done = glassgpt(exported.parent, endpoint, "push", str(exported), "ada/notes", "--yes")
    assert done.returncode == 2 and "no token" in done.stderr and here.asked == []
