"""What is said of a session before it trains and after."""

from __future__ import annotations

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from glassgpt.cli.view.open_run import command_for
from glassgpt.cli.view.render import printable, verdict_table
from glassgpt.config import DataConfig, ModelConfig
from glassgpt.data import EVAL_MASK_FRACTION
from glassgpt.train import AnswerTask, ChatTask, MaskedLMTask, Session, TextTask
from glassgpt.units import count

USES = {
    "chat": "ChatSession to it    glassgpt chat {}",
    "sample": "Let it write  glassgpt sample {}",
    "translate": 'Use it        glassgpt translate {} "a text like those it learned from"',
    "ask": 'Use it        glassgpt ask {0} {0}/samples/held-out.png "a question"',
    "fill": 'Use it        glassgpt fill {} "a text with [?] gaps"',
    "classify": 'Use it        glassgpt classify {} "a text"',
}
"""What to do with a finished run, by the command that is for it."""


def _material(session: Session) -> list[str]:
    """What is learned from, a line each."""
    match session.task:
        case AnswerTask(data=data) as task:
            images = f", {count(len(data.train.images))} images" if data.train.images is not None else ""
            labels = task.config.model.labels
            classes = f", {len(labels)} classes" if labels else ""
            n_train, n_val = count(len(data.train)), count(len(data.val))
            return [f"examples   {n_train} to learn{images}{classes}, {n_val} held out"]
        case ChatTask(data=data) as task:
            n_train, n_val = count(len(data.train)), count(len(data.val))
            said = f"{count(data.train.n_chars)} characters of the assistant"
            return [f"chat       {n_train} conversations to learn ({said}), {n_val} held out"]
        case TextTask(data=data) as task:
            n_train, n_val = count(data.train.n_chars), count(data.val.n_chars)
            lines = [f"text       {n_train} characters to learn, {n_val} held out"]
            if isinstance(task, MaskedLMTask):
                hidden = f"{task.config.train.mask_fraction:.0%} of the tokens hidden to learn"
                lines.append(f"gaps       {hidden}, {EVAL_MASK_FRACTION:.0%} to measure")
            return lines
        case _:
            return []


def _shape(config: ModelConfig) -> str:
    """The family and, of a transformer, its layers and width.

    >>> _shape(ModelConfig.model_validate({"family": "seq2seq", "n_encoder_layer": 3}))
    'seq2seq modern 3 + 4 × 128'
    """
    if config.family == "bigram":
        return config.family
    encoder = f"{config.encoder_layers} + " if config.family in ("seq2seq", "captioner") else ""
    return f"{config.family} {config.preset} {encoder}{config.n_layer} × {config.n_embd}"


def about(session: Session) -> list[str]:
    trainer = session.trainer
    config, n_params = trainer.config, count(trainer.model.n_params)
    dtype = str(trainer.learner.dtype).removeprefix("torch.")
    unasked = config.data == DataConfig()
    return [
        *(["no text was given: this learns the documentation of Python"] if unasked else []),
        *(f"note: {note}" for note in session.notes),
        *_material(session),
        f"tokenizer  {session.task.tokenizer.describe()}",
        f"model      {_shape(config.model)}, {n_params} parameters, block {config.model.block_size}, "
        f"on {trainer.learner.device} in {dtype}",
        *_beginning(session),
        f"run        {session.folder.path}",
        "",
    ]


def _beginning(session: Session) -> list[str]:
    """What the run begins with, where that is another run, and how much of it is trained."""
    config, model = session.trainer.config, session.trainer.model
    if config.init_from.run is None:
        return []
    lines = [f"from       {config.init_from.step} of {config.init_from.run}"]
    if rank := config.model.lora_rank:
        n = sum(p.numel() for p in model.parameters() if p.requires_grad)
        lines.append(
            f"adapters   of rank {rank}: {count(n)} weights are trained, the others stay as they are"
        )
    return lines


def print_end(console: Console, session: Session, sample: str) -> None:
    verdict = session.verdict()
    path = session.folder.path
    if sample:
        console.print(panel(sample, 12))
    console.print(verdict_table(verdict))
    console.print(f"\n{verdict.sentence}\n", markup=False, highlight=False)
    console.print(
        f"{USES[_command(session)].format(path)}\n"
        f"Go on         glassgpt resume {path} {_longer(session)}\n"
        "Compare runs  glassgpt runs",
        style="dim",
        markup=False,
        highlight=False,
    )


def _command(session: Session) -> str:
    """The command that uses what was trained."""
    chats = isinstance(session.task, ChatTask)
    return "chat" if chats else command_for(session.trainer.config.model)


def _longer(session: Session) -> str:
    """The options that double the length of a run."""
    budget = session.trainer.budget
    return f"--steps {2 * budget.steps}" if budget.steps else f"--minutes {(budget.seconds or 0) / 30:g}"


def panel(sample: str, lines: int, style: str = "") -> Panel:
    """The first lines of a sample in a frame."""
    text = "\n".join(printable(sample).strip("\n").split("\n")[:lines])
    return Panel(Text(text, overflow="fold"), title="it writes", title_align="left", style=style)
