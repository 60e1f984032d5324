"""The learning path: chapters and practice in order, from the first line of the notes to a GPT of your own.

A chapter measures one line of the notes. In a practice step you train a model and look at it. Nothing here
keeps progress: the command line does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from glassgpt.checkpoint import Run, run_folders, steps
from glassgpt.errors import UserError, shell_word
from glassgpt.language import N_, translator
from glassgpt.language import _ as say
from glassgpt.language import language as chosen
from glassgpt.tables import as_html

DATA = "data"
MODULES = {DATA: ("babel", "sklearn", "PIL")}
"""Modules of an extra."""


@dataclass(frozen=True)
class LearningStep:
    """One step of the path: a chapter, or practice with a run that it makes."""

    name: str
    title: str
    seconds: int
    """Rough time of its commands on two quiet cores, without reading (benchmarks/learn.py)."""
    torch: str
    """Function of torch, or class, that the step is about."""
    after: tuple[str, ...] = ()
    """Earlier steps that it builds on."""
    extra: str = ""
    """Extra of the package that it needs."""
    train: str = ""
    """Command that makes the run of a practice step."""
    use: str = ""
    """Command that looks at this run, `{run}`, and completes the step."""
    family: str = ""
    """Family of the model that a practice step trains."""
    run: Path | None = None
    """Run of this family, if there is one."""
    done: bool = False

    @property
    def is_chapter(self) -> bool:
        return not self.train

    @property
    def command(self) -> str:
        """The command to type next for this step."""
        if self.is_chapter:
            return f"glassgpt explain {self.name}"
        return self.train if self.run is None else self.use_command

    @property
    def use_command(self) -> str:
        """The command that looks at the run, with the folder that `train` makes if there is no run yet."""
        return self.use.format(run=shell_word(self.run or default_run(self.train)))

    @property
    def extra_is_missing(self) -> bool:
        return any(find_spec(module) is None for module in MODULES.get(self.extra, ()))

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return {
            "name": self.name,
            "kind": "chapter" if self.is_chapter else "practice",
            "title": self.title,
            "torch": self.torch,
            "seconds": self.seconds,
            "after": list(self.after),
            "extra": self.extra or None,
            "extra_is_missing": self.extra_is_missing,
            "run": None if self.run is None else str(self.run),
            "done": self.done,
            "command": self.command,
        }


@dataclass(frozen=True)
class LearningPath:
    """All steps in order. Shows itself in a notebook."""

    steps: tuple[LearningStep, ...]

    @property
    def next(self) -> LearningStep | None:
        """The first step that is not done."""
        return next((step for step in self.steps if not step.done), None)

    @property
    def n_done(self) -> int:
        return sum(step.done for step in self.steps)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(step.name for step in self.steps)

    def __iter__(self) -> Iterator[LearningStep]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, name: str) -> LearningStep:
        """Return a step by its name. Raises UserError for an unknown one."""
        if name not in self.names:
            raise UserError(
                "there is no step {name!r}{hint}. Choose one of {names}.",
                name=name,
                hint=near_hint(name, self.names),
                names=", ".join(self.names),
            )
        return self.steps[self.names.index(name)]

    def before(self, name: str) -> LearningStep | None:
        """Return the step before a step."""
        at = self.names.index(name)
        return self.steps[at - 1] if at else None

    def following(self, name: str) -> LearningStep | None:
        """Return the step after a step."""
        at = self.names.index(name) + 1
        return self.steps[at] if at < len(self) else None

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return {
            "steps": [step.to_dict() for step in self],
            "done": self.n_done,
            "next": None if self.next is None else self.next.name,
            "command": None if self.next is None else self.next.command,
        }

    def _repr_html_(self) -> str:
        rows = [["✓" if step.done else "", step.name, step.title, step.command] for step in self]
        return as_html(["", "", "", ""], rows)


PATH = (
    LearningStep("loss", N_("cross-entropy: the cost of a guess"), 5, "F.cross_entropy"),
    LearningStep("sampling", N_("multinomial: draw the next token"), 5, "torch.multinomial", ("loss",)),
    LearningStep(
        "temperature", N_("logits / T: bolder or more careful"), 5, "F.softmax(z / T)", ("sampling",)
    ),
    LearningStep(
        "bigram",
        N_("train a bigram table, let it write"),
        30,
        "nn.Embedding(V, V)",
        ("loss", "sampling"),
        train="glassgpt train python --model bigram --lr 0.1 --steps 300 --out runs/bigram",
        use="glassgpt sample {run} --max-new-tokens 200",
        family="bigram",
    ),
    LearningStep("weighted-sum", N_("W @ x: weighted sums of tokens"), 5, "W @ x", ("bigram",)),
    LearningStep("query-key", N_("Q @ Kᵀ: every query meets every key"), 5, "q @ k.mT", ("weighted-sum",)),
    LearningStep("scale", N_("/ √d: the softmax stays soft"), 5, "q @ k.mT / d**0.5", ("query-key",)),
    LearningStep("mask", N_("encoder, decoder: who sees whom"), 5, "masked_fill(…, -inf)", ("query-key",)),
    LearningStep("graph", N_("attention as communication in a graph"), 5, "autograd.grad", ("mask",)),
    LearningStep("positions", N_("positions: attention has no space"), 5, "nn.Embedding(T, C)", ("graph",)),
    LearningStep("qkv", N_("one product makes Q, K and V"), 5, "nn.Linear(C, 3 * C)", ("query-key",)),
    LearningStep("buffers", N_("buffers: kept, moved, not trained"), 5, "register_buffer", ("mask",)),
    LearningStep("block", N_("a block: residual stream, norm, MLP"), 5, "nn.LayerNorm", ("qkv",)),
    LearningStep(
        "gpt",
        N_("train a GPT of your own, see its heads"),
        190,
        "F.scaled_dot_product_attention",
        ("scale", "mask", "qkv"),
        train="glassgpt train python --minutes 3",
        use='glassgpt look {run} "the first argument"',
        family="gpt",
    ),
    LearningStep("cross", N_("cross-attention: Q from here, K, V there"), 5, "q @ memory_k.mT", ("gpt",)),
    LearningStep(
        "dates",
        N_("train a translator, see its alignment"),
        190,
        "F.scaled_dot_product_attention",
        ("cross",),
        DATA,
        train="glassgpt train dates --minutes 3",
        use='glassgpt look {run} "de: 14. März 2024"',
        family="seq2seq",
    ),
    LearningStep(
        "scenes",
        N_("train a model that sees, ask it"),
        610,
        "nn.Conv2d(…, stride=patch)",
        ("cross",),
        DATA,
        train="glassgpt train scenes --minutes 10",
        use='glassgpt ask {run} {run}/samples/held-out.png "what is at the top left?"',
        family="captioner",
    ),
    LearningStep("ladder", N_("bigram → head → heads → block → GPT"), 6, "nn.Module", ("bigram", "gpt")),
)
"""Every step in the order of learning."""


def learning_path(
    runs: Path | str = "runs", *, done: Collection[str] = (), language: str | None = None
) -> LearningPath:
    """Return the steps from the first line of the notes to models of your own.

    runs: folder whose runs fulfil practice steps. done: names of finished steps. language: `en` or `zh`; by
    default that of `gg.set_language`.

    >>> path = learning_path("nowhere", done=["loss"])
    >>> path.next.name, path.next.command, path["bigram"].command[:21]
    ('sampling', 'glassgpt explain sampling', 'glassgpt train python')
    """
    _, found = translator(language or chosen()), _runs_by_family(Path(runs))
    return LearningPath(
        tuple(
            replace(step, title=_(step.title), run=found.get(step.family), done=step.name in done)
            for step in PATH
        )
    )


def default_run(train: str) -> str:
    """Return the folder of the run that a training command makes.

    >>> default_run("glassgpt train dates --minutes 3")
    'runs/dates'
    """
    named = re.search(r"--out (\S+)", train)
    return named[1] if named else f"runs/{train.split()[2]}"


def near_hint(name: str, names: Collection[str]) -> str:
    """Return a question with the name that was meant, or an empty text."""
    near = get_close_matches(name, names, n=1)
    return say(" (did you mean {near}?)", near=near[0]) if near else ""


def _runs_by_family(folder: Path) -> dict[str, Path]:
    """Return the newest run with a checkpoint of each family."""
    found: dict[str, tuple[float, Path]] = {}
    for path in run_folders(folder):
        try:
            run = Run.open(path)
            changed = run.config_file.stat().st_mtime
            family = run.config().model.family
        except (UserError, OSError):  # a damaged run is no practice
            continue
        if steps(run.checkpoints):
            found[family] = max((changed, run.path), found.get(family, (0.0, run.path)))
    return {family: path for family, (_, path) in found.items()}
