"""Lines about a session: before it trains, and at its end."""

from __future__ import annotations

import math
from pathlib import Path

from rich.panel import Panel
from rich.text import Text

from glassgpt.cli.flags import field_flags, with_flags
from glassgpt.cli.view.render import verdict_table
from glassgpt.cli.view.terminal import Terminal, printable
from glassgpt.config import ModelConfig
from glassgpt.diagnose import Verdict, expected_initial_loss, is_at_limit
from glassgpt.errors import command_line, shell_word
from glassgpt.language import _
from glassgpt.tokenizers import CharTokenizer
from glassgpt.train import Session, ends_by_epochs, longer
from glassgpt.units import count


def _shape(config: ModelConfig) -> str:
    """Return the model family and, for a transformer, its layers and width.

    >>> _shape(ModelConfig.model_validate({"family": "seq2seq", "n_encoder_layer": 3}))
    'seq2seq modern 3 + 4 × 128'
    """
    if config.family == "bigram":
        return config.family
    encoder = f"{config.encoder_layers} + " if config.family in ("seq2seq", "captioner") else ""
    return f"{config.family} {config.preset} {encoder}{config.n_layer} × {config.n_embd}"


def about(session: Session) -> list[str]:
    """Return the lines shown before training: data, tokenizer, model, run."""
    trainer = session.trainer
    config, n_params = trainer.config, count(trainer.model.n_params)
    dtype = str(trainer.learner.dtype).removeprefix("torch.")
    asked = session.resolved is None or session.resolved.is_given("data.sources")
    return [
        *([_("no text was given: this learns the documentation of Python")] if not asked else []),
        *(_("note: {note}", note=note) for note in session.notes),
        *session.data.describe(),
        _("tokenizer  {tokenizer}", tokenizer=session.data.tokenizer.describe()),
        *_start(session),
        _(
            "model      {shape}, {n_params} parameters, block {block_size}, on {device} in {dtype}",
            shape=_shape(config.model),
            n_params=n_params,
            block_size=config.model.block_size,
            device=trainer.learner.device,
            dtype=dtype,
        ),
        *_base_run(session),
        _("run        {path}", path=session.folder.path),
        "",
    ]


def _start(session: Session) -> list[str]:
    """Return the expected loss of a model before its first step, and why it lies above the uniform guess."""
    tokenizer = session.data.tokenizer
    if session.trainer.config.init_from.run is not None or session.trainer.config.model.labels:
        return []
    V = tokenizer.n_vocab
    line = _(
        "start      a new model guesses among {n_vocab:,} tokens: ln {n_vocab} = {loss:.2f} nats per token",
        n_vocab=V,
        loss=math.log(V),
    )
    if variance := session.trainer.model.expected_logit_variance():
        expected = expected_initial_loss(V, variance)
        line += _(
            ", and {more:.2f} more for logits that are random: {expected:.2f}",
            more=variance / 2,
            expected=expected,
        )
    n = len(tokenizer.chars) if isinstance(tokenizer, CharTokenizer) else V
    if n == V:
        return [line]
    return [
        _(
            "{start}. The baseline uniform guesses among the {n:,} characters: ln {n} = {loss:.2f}",
            start=line,
            n=n,
            loss=math.log(n),
        )
    ]


def _base_run(session: Session) -> list[str]:
    """Return lines about the base run, if there is one, and the number of trained weights."""
    config, model = session.trainer.config, session.trainer.model
    if config.init_from.run is None:
        return []
    lines = [_("from       {step} of {run}", step=config.init_from.step, run=config.init_from.run)]
    if rank := config.model.lora_rank:
        n = sum(p.numel() for p in model.parameters() if p.requires_grad)
        lines.append(
            _(
                "adapters   of rank {rank}: {n_weights} weights are trained, the others stay as they are",
                rank=rank,
                n_weights=count(n),
            )
        )
    return lines


def print_end(console: Terminal, session: Session, sample: str, forecast: str = "") -> None:
    """Print the sample, the verdict, the forecast's line and the next commands."""
    verdict = session.verdict()
    path = session.folder.path
    if sample:
        console.print(panel(sample, 12))
    console.table(verdict_table(verdict))
    console.print(f"\n{with_flags(verdict.sentence)}\n")
    if forecast:
        console.print(f"{forecast}\n")
    if verdict.copying:
        console.print(f"{_('copying: {line}', line=verdict.copying.line)}\n")
    console.notes(verdict.notes)
    more = (
        _("Go on         {command}\n", command=command_line("resume", path, *_longer(session)))
        if _may_go_on(session, verdict)
        else ""
    )
    console.say(
        _(
            "{usage}\n{more}Compare runs  {runs}\nGive it away  {share}   (without the training text)",
            usage=_(session.task.usage, run=shell_word(path)),
            more=more,
            runs=command_line("runs", *_parent(path)),
            share=command_line("share", path),
        ),
        "dim",
    )


def _may_go_on(session: Session, verdict: Verdict) -> bool:
    """Return False if more steps would not help."""
    trainer = session.trainer
    if ends_by_epochs(trainer.config, trainer.budget, trainer.step):
        return False
    if trainer.config.model.family == "bigram" and is_at_limit(verdict.model, verdict.baselines):
        return False
    return verdict.trend is None or verdict.trend.direction in ("falling", "unknown")


def _longer(session: Session) -> tuple[str, str]:
    """Return the option that doubles the length of a run."""
    trainer = session.trainer
    name, value = longer(trainer.config, trainer.budget, trainer.step)
    return field_flags()[name], value


def _parent(run: Path) -> list[Path]:
    """Return the folder to name for `glassgpt runs`; none if it is the default."""
    return [] if run.parent == Path("runs") else [run.parent]


def panel(sample: str, lines: int, style: str = "") -> Panel:
    """Return the first lines of a sample in a frame."""
    text = "\n".join(printable(sample).strip("\n").split("\n")[:lines])
    return Panel(Text(text, overflow="fold"), title=_("it writes"), title_align="left", style=style)
