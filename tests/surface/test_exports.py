"""The public surface: names, instant help, and command line flags."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import glassgpt
from glassgpt.cli.main import COMMANDS
from helpers import commands


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("name", glassgpt.__all__)
def test_every_public_name_exists_where_it_says(name: str) -> None:
    value = getattr(glassgpt, name)
    assert name in import_module(f"glassgpt.{glassgpt._HOME_OF[name]}").__all__
    assert value.__doc__


def test_the_list_of_names_is_complete() -> None:
    assert sorted(glassgpt._HOME_OF) == sorted(glassgpt.__all__)
    with pytest.raises(AttributeError):
        _ = glassgpt.nonsense  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["import", "--help"],
        ["train", "--n-layer", "0"],
        ["train", "--no-such"],
    ],
)
def test_help_and_config_errors_do_not_import_torch(arguments: list[str]) -> None:
    code = (
        "import sys; from glassgpt.cli.main import main\n"
        f"try: main({arguments!r})\n"
        "finally: print('torch' in sys.modules)"
    )
    assert run("-c", code).stdout.splitlines()[-1] == "False"


def test_the_version_is_that_of_the_package() -> None:
    assert glassgpt.__version__ == version("glassgpt")
    done = run("-c", "import sys, glassgpt; print('importlib.metadata' in sys.modules)")
    assert done.stdout.split() == ["False"]


def test_import_is_lazy() -> None:
    done = run("-c", "import sys, glassgpt; print('torch' in sys.modules, 'pydantic' in sys.modules)")
    assert done.stdout.split() == ["False", "False"]


def test_every_command_has_help(tmp_path: Path) -> None:
    for command in COMMANDS:
        assert COMMANDS[command] in commands.run(tmp_path, command, "--help")


FLAGS = {
    "train": "--seeds "
    "--out --config --resume --json --steps --minutes --tokens --tokenizer --vocab-size --model "
    "--preset --size --n-layer --n-head --n-kv-head --n-embd --block-size --dropout --optimizer --lr "
    "--muon-lr --batch-size --grad-accum-steps --evals --seed --device --dtype --threads --compile "
    "--tensorboard --trackio --column --encoding --from --lora-rank --lora-alpha --no-autopilot",
    "runs": "--sort --task --wide --json --csv --markdown --latex",
    "plot": "--out --x --by --dark --json",
    "plan": "--minutes --plot --json --size --exportable",
    "chat": "--system --adapter --max-new-tokens --temperature --top-k --top-p --min-p --seed --json",
    "sample": "--prompt --max-new-tokens --temperature --top-k --top-p --min-p --stop --until --seed "
    "--num-samples --lines --no-prompt --out --json",
    "baselines": "--json --column --encoding",
    "compare": "--pairs --minutes --steps --tokens --flops --held-out --config --out --keep --plot --json",
    "sweep": "--vary --pairs --minutes --steps --tokens --flops --held-out --out --keep --plot --json",
    "import": "--text --tokenizer --no-compare --out --device",
}


@pytest.mark.parametrize("command", FLAGS)
def test_flags_stay(command: str, tmp_path: Path) -> None:
    text = commands.run(tmp_path, command, "--help-all")
    assert not [flag for flag in FLAGS[command].split() if flag not in text]
