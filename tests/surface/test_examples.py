"""The short examples run as their first paragraph says, and do what they are there to show."""

from __future__ import annotations

import importlib.util
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from glassgpt.config import ModelConfig
from glassgpt.models import build
from glassgpt.tasks import TASKS

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("examples") / "notes.txt"
    path.write_text("".join(f"{i} geese, {i * 7 % 31} swans, {i * 5 % 13} ashore.\n" for i in range(150)))
    return path


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ran(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Callable[..., list[str]]]:
    """Runs an example as a script, in this process; what it registers is gone afterwards."""
    tasks = dict(TASKS)

    def run(name: str, *arguments: object) -> list[str]:
        monkeypatch.setattr("sys.argv", [name, *map(str, arguments)])
        monkeypatch.chdir(tmp_path)
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    yield run
    TASKS.clear()
    TASKS.update(tasks)


@pytest.mark.parametrize(("name", "lines"), [("own_loop", 60), ("intervene", 61), ("own_task", 80)])
def test_it_is_short_and_says_what_it_is_not(name: str, lines: int) -> None:
    source = (EXAMPLES / f"{name}.py").read_text()
    assert len(source.splitlines()) <= lines
    about = source.split('"""')[1]
    assert "not" in about and f"python examples/{name}.py" in about


def test_a_loop_of_your_own_learns(ran: Callable[..., list[str]], text: Path) -> None:
    lines = ran("own_loop", text, 24)
    assert [line.split()[1] for line in lines] == ["6", "12", "18", "24"]
    losses = [float(line.split("held-out ")[1].split()[0]) for line in lines]
    assert losses[-1] < 1 and losses[-1] < losses[0]  # ln 291 = 5.7 before the first step


def test_an_observer_and_an_edit(ran: Callable[..., list[str]], text: Path, tmp_path: Path) -> None:
    shown = ran("intervene", text, 50, tmp_path / "run")
    lines = [line for line in shown if not line.startswith("doctor: ")]
    assert lines[0].startswith("step 50: gradient norms") and "blocks.0 " in lines[0] and "rest " in lines[0]
    costs = [float(line.split(": ")[1].split()[0]) for line in lines if line.endswith("without it")]
    assert len(costs) == len(lines) - 1 and costs == sorted(costs, reverse=True)
    assert costs[0] > 0.01, "no head matters"


def test_a_task_of_your_own_learns(ran: Callable[..., list[str]], text: Path, tmp_path: Path) -> None:
    lines = ran("own_task", text, 24)
    losses = [
        float(line.split("nats_per_char=")[1].split(",")[0]) for line in lines if "nats_per_char=" in line
    ]
    assert len(losses) == 4 and losses[-1] < 0.5 * losses[0]
    assert sum("both lines should be equal" in line for line in lines) == 4
    assert "unseen pieces" in lines[-1]
    assert '"task": "backwards"' in (tmp_path / "runs" / "notes" / "config.json").read_text()


def test_norms_by_layer_are_those_of_the_whole() -> None:
    module, model = load("intervene"), build(ModelConfig.model_validate({"size": "nano"}), 65)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    (event,) = module.LayerGradients().on_gradients(module.EVERY, model)
    told = event.message.split("norms")[1].split()
    squares = sum(float(norm) ** 2 for norm in told[1::2])
    assert squares == pytest.approx(sum(p.numel() for p in model.parameters()), rel=1e-4)
    assert not list(module.LayerGradients().on_gradients(module.EVERY + 1, model))
