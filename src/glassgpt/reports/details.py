"""Sections about how a run came about: data, settings and their origins, machine, hashes, commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glassgpt.checkpoint import Run, chosen_settings, read_manifest, read_state
from glassgpt.config import RunConfig, fields, flat_name, origin_in_words, setting_in_words
from glassgpt.errors import command_line, shell_word
from glassgpt.language import _
from glassgpt.reports.blocks import Block, Command, Facts, Prose, Section, Table
from glassgpt.safe_io import MAX_LIST, read_json
from glassgpt.tasks import task_of
from glassgpt.units import data_size

MAX_DOCUMENTS = 12


def data_section(run: Run) -> Section:
    """Return the documents of a run, its split and its tokenizer."""
    return Section("data", _("Data"), list(_data_blocks(run)))


def _data_blocks(run: Run) -> Iterator[Block]:
    yield Facts([(_("tokenizer"), _(run.tokenizer().describe())), (_("task"), run.config().task or "")])
    manifest = run.data / "manifest.json"
    if not manifest.is_file():
        sources = ", ".join(Path(source).name for source in run.config().data.sources)
        yield Prose(_("Sources: {sources}", sources=sources or _("not recorded")))
        return
    about = read_json(manifest, MAX_LIST)
    train, held_out = (about[name]["n_chars"] for name in ("train", "val"))
    yield Facts(
        [
            (_("to learn"), _("{n:,} characters", n=int(train))),
            (_("held out"), _("{n:,} characters", n=int(held_out))),
        ]
    )
    documents = list(about.get("documents", []))
    rows = [
        (Path(str(d["name"])).name, str(d["encoding"]), f"{int(d['n_chars']):,}", str(d["sha256"])[:16])
        for d in documents[:MAX_DOCUMENTS]
    ]
    head = (_("document"), _("encoding"), _("characters"), "SHA-256")
    yield Table(_("documents"), head, rows, (2,), small=True)
    if len(documents) > MAX_DOCUMENTS:
        yield Prose(_("and {n:,} more documents", n=len(documents) - MAX_DOCUMENTS), "faint")


def settings_section(run: Run) -> Section:
    """Return every setting with its value and its origin, those that somebody chose first and in bold."""
    origins = run.origins()
    values = dict(fields(run.config().model_dump(mode="json")))
    chosen = {f"{table}.{field}" for table, given in chosen_settings(run).items() for field in given}
    others = sorted((name for name in values if origins.get(name)), key=lambda name: name not in chosen)
    rows = [
        (flat_name(RunConfig, name), _value(name, values[name]), _(origin_in_words(origins[name])))
        for name in others
    ]
    marked = [i for i, name in enumerate(others) if name in chosen]
    head = (_("setting"), _("value"), _("from"))
    defaults = [
        (flat_name(RunConfig, name), _value(name, value))
        for name, value in values.items()
        if not origins.get(name)
    ]
    blocks: list[Block] = []
    if rows:
        blocks.append(Table(_("settings and where they come from"), head, rows, (), marked, small=True))
        blocks.append(Prose(_("All others have their defaults:"), "faint"))
    else:
        blocks.append(Prose(_("This run is older than the record of origins."), "faint"))
    return Section("settings", _("Settings"), [*blocks, Facts(defaults, small=True)])


def _value(name: str, value: Any) -> str:
    """Return the value of a setting as text; of a source its name without folders."""
    if name == "data.sources":
        return ", ".join(Path(source).name for source in value) or "–"
    return setting_in_words(value)


def machine_section(run: Run) -> Section:
    """Return the machine that trained the best step, and the hashes of weights and data."""
    return Section("machine", _("Machine and files"), list(_machine_blocks(run)))


def _machine_blocks(run: Run) -> Iterator[Block]:
    step = run.best_checkpoint()
    state: dict[str, Any] = read_state(step)
    facts = [(_(str(name)), str(value)) for name, value in dict(state.get("environment") or {}).items()]
    yield Facts([(_("best step"), step.name), *facts])
    hashes = [
        (f"{step.name}/{name}", data_size(int(about["bytes"])), str(about["sha256"]))
        for name, about in read_manifest(step)["files"].items()
    ]
    if run.data_hashes.is_file():
        hashes += [
            (f"data/{name}", data_size(int(about["bytes"])), str(about["sha256"]))
            for name, about in read_json(run.data_hashes).items()
        ]
    head = (_("file"), _("size"), "SHA-256")
    yield Table(_("hashes of files"), head, hashes, (1,), small=True)


def repeat_section(run: Run, shown: str) -> Section:
    """Return the command that trains the run again, and those that use it. shown: path of the run."""
    config = run.config()
    blocks: list[Block] = []
    if config.data.sources:
        blocks = [Prose(_("The same settings on the same text:")), Command(train_command(run))]
    else:
        blocks = [Prose(_("The training text is not recorded: the run was imported or shared without it."))]
    task = task_of(config)
    blocks += [
        Prose(_("Use the model, and check its files:")),
        Command(
            "\n".join(
                [
                    f"glassgpt {task.usage.partition('glassgpt ')[2].format(run=shell_word(shown))}",
                    command_line("verify", Path(shown)),
                ]
            )
        ),
    ]
    return Section("repeat", _("Repeat it"), blocks)


def train_command(run: Run) -> str:
    """Return the command that trains a run again with the settings that somebody chose.

    Raises UserError if config.json is damaged.
    """
    words, sources = list[str](), run.config().data.sources
    for table, values in chosen_settings(run).items():
        for field, value in values.items():
            if f"{table}.{field}" not in (
                "data.sources",
                "init_from.step",
                "init_from.sha256",
                "model.prompt",
            ):
                words += _flag(f"{table}.{field}", value)
    automatic = "autopilot" in run.origins().values()
    return command_line("train", *map(Path, sources), *words, *(["--no-autopilot"] if automatic else []))


def _flag(name: str, value: Any) -> list[str]:
    """Return a setting as words of a command line."""
    flag = f"--{flat_name(RunConfig, name).rstrip('_').replace('_', '-')}"
    if value is None or value == []:
        return []
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    if isinstance(value, list):
        return [word for each in value for word in (flag, str(each))]
    return [flag, f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)]
