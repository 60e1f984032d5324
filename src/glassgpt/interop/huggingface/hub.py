"""The Hugging Face hub: download a model's data, and upload a certified export. Both only when asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from glassgpt.checkpoint import Run, fingerprint
from glassgpt.errors import UserError, command_line, missing_extra
from glassgpt.interop.certify import FILE, read_certificate
from glassgpt.language import N_
from glassgpt.safe_io import damaged, file_size, quoted, read_json

HUB_PREFIX = "hf:"
"""Start of the name of a model on the hub, such as `hf:owner/name` or `hf:owner/name@revision`."""
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
DOWNLOADED = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
)
"""Files that an import reads: data only, no code and no pickles."""


class Upload(NamedTuple):
    """A file of an export that would be uploaded."""

    name: str
    n_bytes: int


def download(source: str) -> Path:
    """Download the files of a model that an import reads, and return their folder in the hub's cache.

    source: `hf:owner/name`, optionally with `@revision`. Raises UserError without huggingface_hub, and for a
    model that is not there, is not public, or cannot be reached.
    """
    name, _, revision = source.removeprefix(HUB_PREFIX).partition("@")
    check_hub_name(name)
    hub = _hub()
    with _as_user_error(name):
        folder = hub.snapshot_download(name, revision=revision or None, allow_patterns=[*DOWNLOADED])
    return Path(folder)


def check_hub_name(name: str) -> None:
    """Raise UserError unless a name has the form owner/name."""
    if not NAME.fullmatch(name) or ".." in name or "--" in name:
        raise UserError(
            "{name} is no name on the hub. Give owner/name, such as ada/notes-gpt.", name=quoted(name)
        )


def check_export(path: Path | str) -> tuple[Path, list[Upload]]:
    """Return the folder of a certified export and its files. path: the export, or the run that it is of.

    Raises UserError without a certificate, and if a comparison failed, or a file changed, came or went since.
    """
    folder = _export_of(Path(path))
    certificate = read_certificate(folder)
    if certificate is None:
        raise UserError(
            "{folder} has no {file}: it was not compared with its run. Export the run again: {command}",
            folder=folder,
            file=FILE,
            command=command_line("export", "RUN", "--to", "hf"),
        )
    if not certificate.is_confirmed:
        raise UserError(
            "{folder}: its comparison failed ({failures}). Export the run again.",
            folder=folder,
            failures="; ".join(certificate.failures),
        )
    listed: Any = read_json(folder / FILE).get("files")
    if not isinstance(listed, dict):
        raise damaged(folder / FILE, N_("no list of files"))
    present = {str(each.relative_to(folder)): each for each in sorted(folder.rglob("*")) if not each.is_dir()}
    if differing := sorted(present.keys() ^ {*listed, FILE}):
        raise UserError(
            "{folder}: {name} is not of the export, or is missing. Only the certified files are uploaded: "
            "move it away, or export the run again.",
            folder=folder,
            name=quoted(differing[0]),
        )
    for name, about in listed.items():
        file_size(present[name])  # no link
        if fingerprint(present[name]) != about:
            raise UserError(
                "{path} changed since the export was certified. Export the run again.", path=present[name]
            )
    return folder, [Upload(name, file_size(file)) for name, file in present.items()]


def _export_of(path: Path) -> Path:
    """Return the folder itself or, for a run, its export next to it."""
    if not path.is_dir():
        raise UserError("{path}: there is no such folder. Check the path.", path=path)
    if not (path / "checkpoints").is_dir():
        return path
    export = path.with_name(f"{path.name}-hf")
    if not export.is_dir():
        raise UserError(
            "{path} is a run: it holds the tokens of your text, and is never uploaded. Export it first: "
            "{command}",
            path=path,
            command=command_line("export", Run(path).path, "--to", "hf"),
        )
    return export


def push(path: Path | str, name: str, *, private: bool = False, api: Any = None) -> str:
    """Upload a certified export to the hub, and return its address.

    path: a folder of `export`, or the run that it is of. name: owner/name; it is created if it is not there.
    private: only its owner sees it. api: a `huggingface_hub.HfApi`, by default one with the token of
    `hf auth login`. Raises UserError for an export that is not certified (see `check_export`), without
    huggingface_hub or a token, for a public name if `private` is given, and for an error of the hub.
    """
    check_hub_name(name)
    folder, files = check_export(path)
    hub = _hub()
    if api is None and not hub.get_token():
        raise UserError("there is no token of the hub. Log in with `hf auth login`, or set HF_TOKEN.")
    api = api or hub.HfApi()
    with _as_user_error(name):
        if private and api.repo_exists(name) and not api.model_info(name).private:
            raise UserError(
                "{name} is public already. Make it private on the hub, or choose another name.", name=name
            )
        api.create_repo(name, private=private, exist_ok=True)
        operations = [
            hub.CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=str(folder / file.name))
            for file in files
        ]
        found = api.create_commit(name, operations=operations, commit_message="Upload of glassgpt")
    return str(getattr(found, "commit_url", "") or f"https://huggingface.co/{name}")


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise missing_extra("hf", "huggingface_hub") from None
    return huggingface_hub


@contextmanager
def _as_user_error(name: str) -> Iterator[None]:
    """Turn an error of the hub or of the network into a UserError."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        yield
    except UserError:
        raise
    except GatedRepoError as error:
        raise UserError(
            "{name}: its owner asks for consent to a license first. Give it at https://huggingface.co/{name} "
            "and log in with `hf auth login`.",
            name=name,
        ) from error
    except RepositoryNotFoundError as error:
        raise UserError(
            "{name} is not on the hub, or you cannot see it. Check the name, or log in with `hf auth login`.",
            name=name,
        ) from error
    except Exception as error:  # of the hub, of the network, of the disk
        lines = str(error).strip().splitlines() or [""]
        reason = quoted(f"{type(error).__name__}: {lines[0]}", 200)
        raise UserError(
            "{name}: the hub cannot be used ({reason}). Check the network and your token, and try again.",
            name=name,
            reason=reason,
        ) from error
