"""Messages name fields; the command line translates them into its flags. Old names give the new ones."""

from __future__ import annotations

import inspect
import re
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from glassgpt.cli.flags import OPTIONS, field_flags, with_flags
from glassgpt.config import Config, RunConfig, check_renamed, check_renamed_flags
from glassgpt.errors import UserError
from helpers.commands import run

COMMANDS = Path(import_module("glassgpt.cli.commands").__file__ or "").parent


@pytest.mark.parametrize(
    ("field", "flag"),
    [
        ("block_size", "--block-size"),
        ("model.block_size", "--block-size"),
        ("family", "--model"),
        ("tokenizer.kind", "--tokenizer"),
        ("micro_batch_size", "--batch-size"),
        ("init_from.run", "--from"),
        ("skip_invalid", "--skip-invalid"),
        ("sources", "SOURCES"),
        ("top_k", "--top-k"),
    ],
)
def test_a_field_becomes_its_flag(field: str, flag: str) -> None:
    assert with_flags(f"raise `{field}`.") == f"raise {flag}."
    assert with_flags(f"use `{field}=3`.") == f"use {flag} 3."


@pytest.mark.parametrize(
    "text",
    ["`new_tokens`", "`init_from`", "`run`", "`glassgpt runs`", "block_size", "`[data] seed`", "a ` b"],
)
def test_everything_else_stays(text: str) -> None:
    assert with_flags(text) == text


def test_every_flag_of_a_field_exists(tmp_path: Path) -> None:
    told = run(tmp_path, "train", "--help-all")
    flags = {field_flags()[f"{table}.{name}"] for table, fields in _fields().items() for name in fields}
    assert not [flag for flag in flags if not re.search(rf"{flag}\b", told)]


def _fields() -> dict[str, list[str]]:
    tables = {name: field.annotation for name, field in RunConfig.model_fields.items()}
    return {
        table: [name for name in config.model_fields if f"{table}.{name}" in field_flags()]
        for table, config in tables.items()
        if isinstance(config, type) and issubclass(config, Config)
    }


def test_options_of_commands_exist() -> None:
    modules = [import_module(f"glassgpt.cli.commands.{path.stem}") for path in COMMANDS.glob("[a-z]*.py")]
    parameters = {
        name
        for module in modules
        for function in vars(module).values()
        if inspect.isfunction(function) and function.__module__ == module.__name__
        for name in inspect.signature(function).parameters
    }
    assert not set(OPTIONS) - parameters


def test_errors_notes_and_validation_are_translated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import glassgpt.cli.main as command_line

    def fail(*_: object, **__: object) -> None:
        warnings.warn("`seed` is ignored", stacklevel=1)
        raise UserError("`micro_batch_size` is too large")

    with warnings.catch_warnings():  # `main` sets warnings.showwarning
        warnings.simplefilter("always")
        monkeypatch.setattr(command_line, "parse", lambda *_: fail)
        told = run(tmp_path, "train", code=2)
    assert told == "glassgpt: note: --seed is ignored\nglassgpt: --batch-size is too large\n"


def test_validation_errors_name_flags(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[train]\nmicro_batch_size = 0\n")
    assert "--batch-size: input should be" in run(tmp_path, "train", "--config", "c.toml", code=2)


@pytest.mark.parametrize(
    ("words", "new"),
    [
        (["train", "a.tsv", "--skip-bad"], "--skip-bad is now --skip-invalid"),
        (["train", "a.tsv", "--skip-bad=true"], "--skip-bad is now --skip-invalid"),
        (
            ["look", "a", "b", "--view", "reading", "--out", "a.png"],
            "--view reading is now --view logit-lens",
        ),
    ],
)
def test_an_old_flag_names_the_new_one(tmp_path: Path, words: list[str], new: str) -> None:
    with pytest.raises(UserError, match=re.escape(new)):
        check_renamed_flags(words)
    assert new in run(tmp_path, *words, code=2)


@pytest.mark.parametrize(
    ("toml", "new"),
    [
        ('[tune]\nrun = "a"\n', "`tune` is now `init_from`: rename the table."),
        ("[data]\nskip_bad = true\n", "`[data] skip_bad` is now `[data] skip_invalid`: rename the setting."),
    ],
)
def test_an_old_setting_names_the_new_one(tmp_path: Path, toml: str, new: str) -> None:
    (tmp_path / "c.toml").write_text(toml)
    assert new in run(tmp_path, "train", "--config", "c.toml", code=2)


def test_new_names_pass() -> None:
    check_renamed({"init_from": {"run": "a"}, "data": {"skip_invalid": True}})
    check_renamed_flags(["train", "a.tsv", "--skip-invalid"])
