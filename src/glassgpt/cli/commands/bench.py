"""`glassgpt bench generate`: generation speed of a trained model, and its limit."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import Annotated, get_args

import torch
from cyclopts import Parameter
from rich.table import Table

from glassgpt.checkpoint import Run, run_tokens
from glassgpt.cli.arguments import Device, Draft, Json, RunFolder
from glassgpt.cli.commands.sample import make_draft
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.terminal import Terminal, print_json
from glassgpt.data import TokenData, eval_batches
from glassgpt.errors import UserError
from glassgpt.generate import Precision, Speed, measure_speed, rounded, why_not_native
from glassgpt.language import _
from glassgpt.models import Model
from glassgpt.objective import Measured, evaluate

EVAL_TOKENS = 20_000
"""Number of held-out tokens for the cost of rounding."""
PROMPT_TOKENS = 16


def generate(
    run: RunFolder,
    *,
    precision: Annotated[list[Precision] | None, Parameter(negative="")] = None,
    batch: Annotated[list[int] | None, Parameter(negative="")] = None,
    tokens: int = 200,
    rounds: int = 3,
    draft: Draft = "none",
    json: Json = False,
    device: Device = "cpu",
) -> None:
    """Measure generation speed: tokens per second, and time to the first token.

    Decoding one token reads all weights once, so the speed is also given as a share of the memory bandwidth.
    For rounded weights, the table has their cost in nats on held-out text.

    Parameters
    ----------
    precision
        Format of the weights; may be given several times (default: all three on a CPU).
    batch
        Number of sequences per batch; may be given several times (default: 1 and 16).
    tokens
        Length of each sequence, in tokens.
    rounds
        Number of measurements; their median counts.
    json
        Print the figures as JSON.
    """
    for name, value in (("tokens", tokens), ("rounds", rounds), *(("batch", b) for b in batch or ())):
        if value < 1:
            raise UserError("--{name} must be at least 1, got {value}", name=name, value=value)
    if tokens < 2:
        raise UserError("--tokens must be at least 2: the first is timed by itself")
    model = open_for("sample", run, device)[0]
    data = run_tokens(Run.open(run), model.n_vocab)
    prompt = data.val.ids[:PROMPT_TOKENS].tolist()
    precisions = precision or [p for p in get_args(Precision) if p != "int8" or model.device.type == "cpu"]
    guess = make_draft(draft, run, model.n_vocab)
    speeds: list[tuple[Speed, float]] = []
    measured = _measure(model, data)
    exact, n_measured = measured.nats_per_token, measured.n_tokens
    for each in precisions:
        nats = exact if each == "float32" else _measure(rounded(model, each), data).nats_per_token
        for B in batch or (1, 16):
            speed = measure_speed(
                model, prompt, n_tokens=tokens, batch=B, precision=each, draft=guess, rounds=rounds
            )
            speeds.append((speed, nats - exact))
    if json:
        rows = [
            {**asdict(s), "share_of_bandwidth": s.share, "nats_more": more, "nats_on_tokens": n_measured}
            for s, more in speeds
        ]
        print_json(rows, indent=1)
        return
    _print(
        model,
        speeds,
        exact,
        _(
            "the first {n_measured:,} of {n_val:,} held-out tokens",
            n_measured=n_measured,
            n_val=len(data.val),
        ),
    )


def _measure(model: Model, data: TokenData) -> Measured:
    """Measure the loss at the start of the held-out text, each block by itself."""
    T = model.config.block_size
    B = max(1, 4096 // T)
    batches = eval_batches(data, T, B)
    return evaluate(model, islice(batches, max(1, EVAL_TOKENS // (T * B))))


def _kernels(model: Model, speed: Speed) -> str:
    """Say if native kernels ran, and if not, why."""
    if speed.native:
        return _("written by code that was compiled for this processor")
    why = why_not_native() if model.device.type == "cpu" else None
    return _("written by torch's kernels") + (
        _("; compiled code would be faster: {why}", why=why) if why else ""
    )


def _print(model: Model, speeds: list[tuple[Speed, float]], exact: float, part: str) -> None:
    console = Terminal()
    bandwidth = sum(speed.bandwidth for speed, _ in speeds) / len(speeds)
    console.print(
        _(
            "{n_params:.1f} M parameters, {n_threads} threads; memory is read at {bandwidth:.0f} GB/s",
            n_params=model.n_params / 1e6,
            n_threads=torch.get_num_threads(),
            bandwidth=bandwidth / 1e9,
        ),
    )
    console.print(f"{_kernels(model, speeds[0][0])}\n")
    guessing = any(speed.accepted is not None for speed, _ in speeds)
    table = Table(box=None, pad_edge=False, header_style="dim")
    names = [_("texts"), _("tokens/s"), _("first token"), _("of memory's rate"), _("nats/token")]
    table.add_column(_("weights"))
    for name in [*names, *[_("guesses right")][:guessing]]:
        table.add_column(name, justify="right")
    for speed, more in speeds:
        nats = f"{exact:.4f}" if speed.precision == "float32" else f"{more:+.4f}"
        row = [
            speed.precision,
            str(speed.batch),
            f"{speed.tokens_per_s:,.0f}",
            f"{1000 * speed.first_token_s:.1f} ms",
            f"{speed.share:.0%}" if speed.accepted is None else "",
            nats,
        ]
        if guessing:
            row.append("" if speed.accepted is None else f"{speed.accepted:.0%}")
        table.add_row(*row)
    console.table(table)
    console.print(
        _(
            "\nof memory's rate: by reading the weights alone; above 100 % they stay in the "
            "processor's cache\nnats/token: on {part}, each block read by itself; the verdict "
            "reads more, with more context",
            part=part,
        ),
        style="dim",
    )
