"""`glassgpt look`: what happens inside a trained model as it reads, in the terminal or as a picture."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from glassgpt.checkpoint import Run
from glassgpt.cli.numbers import cell, label, numbers_table
from glassgpt.data import read_image
from glassgpt.errors import UserError
from glassgpt.lens import Ablation, Trace, clearest_head, describe_heads, held_out_figures
from glassgpt.lens import ablate as ablate_heads
from glassgpt.lens import look as look_into
from glassgpt.lens.ablation import Figures
from glassgpt.models import Model
from glassgpt.tokenizers import Tokenizer
from glassgpt.train.device import choose_device

if TYPE_CHECKING:
    from glassgpt.lens.pictures import Picture

Kind = Literal["attn", "cross", "encoder"]
View = Literal["heads", "head", "graph", "alignment", "image", "reading"]
IN_TERMINAL = 16
"""Columns of a head's weights that fit into a terminal."""


def look(
    run: Path,
    text: str = "",
    *,
    image: Path | None = None,
    target: str | None = None,
    hide: str | None = None,
    layer: int | None = None,
    head: int | None = None,
    kind: Kind | None = None,
    view: View | None = None,
    out: Path | None = None,
    trace: Path | None = None,
    precision: Literal["float16", "float32"] = "float16",
    ablate: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    device: str = "cpu",
) -> None:
    """Look inside a trained model as it reads a text, asks an image, or does without a head.

    Parameters
    ----------
    run
        Folder of a run.
    text
        What the model reads, translates, or is asked about the image.
    image
        What a captioner looks at.
    target
        What a translator or captioner is to write, instead of what it would.
    hide
        A part of the text at which the decoder of a translator may not look.
    layer
        Only this layer; they are numbered from 0.
    head
        Only this head; they are numbered from 0.
    kind
        Self-attention (attn), cross-attention (cross), or that of the encoder or the eye (encoder).
    view
        What the picture shows: all heads as heat maps, one head as a heat map or as a directed graph, the
        alignment of a translation, attention over the image, or what each layer would say next (reading).
    out
        Write a picture to this file: png, svg or pdf (needs matplotlib).
    trace
        Write everything that was recorded to this safetensors file.
    precision
        Of the numbers in that file.
    ablate
        Switch each head off in turn, and measure on held-out data what the model then gets wrong.
    json
        Print the figures as JSON.
    device
        `cpu`, `cuda`, `mps` or `auto`.
    """
    opened = Run.open(run)
    model, tokenizer = opened.model(choose_device(device)), opened.tokenizer()
    if ablate:
        _ablation(opened, model, tokenizer, json)
        return
    pixels = None if image is None else read_image(image, model.config.image_size, model.config.channels)
    seen = look_into(model, tokenizer, text, image=pixels, target=target, hide=hide)
    if layer is not None:
        seen.attention(layer, kind)  # asked before anything is written: there may be no such layer
    if json:
        print(json_format.dumps(_as_json(seen, kind), ensure_ascii=False, indent=1))
    else:
        _show(seen, layer, head, kind)
    if trace is not None:
        seen.save(trace, precision)
        _say(f"trace    {trace}  ({trace.stat().st_size / 1e6:.1f} MB)", json)
    if out is not None:
        from glassgpt.lens.pictures import save

        save(_picture(seen, view, layer, head, kind), out)
        _say(f"picture  {out}", json)
    elif not json and seen.attentions:
        hint = f'\nA picture:  glassgpt look {run} "…" --out heads.svg   (--layer, --head, --view graph …)'
        Console().print(hint, style="dim", highlight=False, markup=False, soft_wrap=True)


def _say(message: str, as_json: bool) -> None:
    if not as_json:
        print(message)


def _picture(
    seen: Trace, view: View | None, layer: int | None, head: int | None, kind: Kind | None
) -> Picture:
    """The view that was asked for, else the one that shows most of such a model."""
    if view is None:
        view = "head" if head is not None else _usual_view(seen, kind)
    if view in ("head", "graph"):
        kind = kind or _usual_kind(seen)
        clear = clearest_head(seen, kind)
        layer, head = (clear[0] if layer is None else layer), (clear[1] if head is None else head)
        return seen.plot_head(layer, head, kind) if view == "head" else seen.plot_graph(layer, head, kind)
    views: dict[str, Callable[[], Picture]] = {
        "heads": lambda: seen.plot_heads(layer, kind),
        "alignment": lambda: seen.plot_alignment(layer, head),
        "image": lambda: seen.plot_image(layer, head),
        "reading": seen.plot_reading,
    }
    return views[view]()


def _usual_view(seen: Trace, kind: Kind | None) -> View:
    if not seen.attentions:
        raise UserError("a bigram has no attention to draw: its only tensor is a table of logits")
    if kind is None and "cross" in seen.kinds:
        return "alignment" if seen.image is None else "image"
    return "heads"


def _usual_kind(seen: Trace) -> Kind:
    if not seen.attentions:
        raise UserError("a bigram has no attention to draw: its only tensor is a table of logits")
    return "cross" if "cross" in seen.kinds else "attn" if "attn" in seen.kinds else "encoder"


def _show(seen: Trace, layer: int | None, head: int | None, kind: Kind | None) -> None:
    """The figures, as far as a terminal holds them."""
    console = Console()
    if any(seen.written) and seen.source:
        console.print(
            Text.assemble(("it writes  ", "dim"), "".join(seen.written[seen.begins :]).removesuffix("<eos>"))
        )
    elif seen.reading:
        last = seen.reading.tokens[-1][-1], seen.reading.probabilities[-1][-1]
        console.print(
            Text.assemble(("next token  ", "dim"), label(last[0]), (f"  {last[1]:.0%} sure", "dim"))
        )
    if layer is not None and head is not None:
        console.print(_weights(seen, layer, head, kind))
        return
    if seen.attentions:
        console.print()
        console.print(_heads(seen, layer, kind))


def _heads(seen: Trace, layer: int | None, kind: Kind | None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("attention", no_wrap=True)
    for name in ("head", "spread over", "strongest", "itself", "previous", "first"):
        table.add_column(name, justify="right")
    before = ""
    for each in describe_heads(seen, kind):
        if layer is not None and seen.kinds[_kind_of(seen, each.attention)].index(each.attention) != layer:
            continue
        name, before = "" if each.attention == before else each.attention, each.attention
        shares = (each.strongest, each.itself, each.previous, each.first)
        cells = [Text("") if v is None else cell(v, 2, v) for v in shares]
        table.add_row(name, str(each.head), f"{each.spread:.1f} places", *cells)
    return table


def _kind_of(seen: Trace, path: str) -> str:
    return next(kind for kind, paths in seen.kinds.items() if path in paths)


def _weights(seen: Trace, layer: int, head: int, kind: Kind | None) -> Table:
    """A head's weights: all of them where they fit, else the three strongest of each row."""
    path = seen.attention(layer, kind)
    rows, columns = seen.labels(path)
    weights = seen.weights(layer, head, kind)
    if len(columns) <= IN_TERMINAL:
        return numbers_table(f"{path}, head {head}", rows, columns, weights.tolist(), 2)
    table = Table(box=None, pad_edge=False, title=f"{path}, head {head}", title_justify="left")
    table.add_column("token", style="dim")
    table.add_column("looks at")
    for name, row in zip(rows, weights, strict=True):
        top = row.topk(min(3, len(columns)))
        pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        parts = [
            Text.assemble(f"{label(columns[i])} ", (f"{v:.2f}  ", "cyan")) for i, v in pairs if v >= 0.05
        ]
        table.add_row(label(name), Text.assemble(*parts))
    return table


def _as_json(seen: Trace, kind: Kind | None) -> dict[str, Any]:
    return {**seen.header(), "heads": [vars(each) for each in describe_heads(seen, kind)]}


def _ablation(run: Run, model: Model, tokenizer: Tokenizer, as_json: bool) -> None:
    """Which head does what: the loss or the right answers without it."""
    measure = held_out_figures(run, model, tokenizer)
    whole, found = measure(), ablate_heads(model, measure)
    if as_json:
        rows = [{"attention": a.attention, "head": a.head, **a.figures} for a in found]
        print(json_format.dumps({"all heads": dict(whole), "without": rows}, indent=1))
        return
    if not found:
        raise UserError(f"{run.path} is a {model.config.family}: it has no heads to switch off")
    names = [name for name in whole if name != "nats/token"]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("without", no_wrap=True)
    for name in ("head", "nats/token", *names):
        table.add_column(name, justify="right")
    table.add_row("(all heads on)", "", f"{whole['nats/token']:.3f}", *(f"{whole[n]:.1%}" for n in names))
    before = ""
    for each in found:
        name, before = "" if each.attention == before else each.attention, each.attention
        more = each.figures["nats/token"] - whole["nats/token"]
        losses = Text(f"+{more:.3f}" if more >= 0.0005 else f"{more:.3f}", "red" if more > 0.1 else "")
        drops = [_drop(each.figures[n] - whole[n]) for n in names]
        table.add_row(name, str(each.head), losses, *drops)
    console = Console()
    console.print(table)
    console.print(f"\n{_worst(whole, found, [n for n in names if n != 'exact'])}", highlight=False)


def _drop(change: float) -> Text:
    """A change of a share, in percentage points."""
    if change > -0.005:
        return Text("·", "dim")
    return Text(f"−{-100 * change:.0f}", "bold red" if change < -0.3 else "red" if change < -0.05 else "")


def _worst(whole: Figures, found: Sequence[Ablation], parts: Sequence[str]) -> str:
    """One sentence about the head that does one thing most clearly, else about the one missed most."""

    def drop(each: Ablation, part: str) -> float:
        return whole[part] - each.figures[part]

    def alone(each: Ablation, part: str) -> float:
        return drop(each, part) - max((drop(each, other) for other in parts if other != part), default=0.0)

    pairs = [(each, part) for part in parts for each in found]
    each, part = max(pairs, key=lambda pair: alone(*pair), default=(None, ""))
    if each is not None and alone(each, part) >= 0.05:
        others = ", ".join(f"{other} {100 * drop(each, other):.0f}" for other in parts if other != part)
        return (
            f"{each.attention} head {each.head} is the one for “{part}”: without it the share that is right "
            f"falls by {100 * drop(each, part):.0f} points" + (f" ({others})." if others else ".")
        )
    worst = max(found, key=lambda each: each.figures["nats/token"])
    more = worst.figures["nats/token"] - whole["nats/token"]
    if more < 0.01:
        return "No single head is missed: what each does, others do too."
    return (
        f"Missed most is {worst.attention} head {worst.head}: without it the loss rises by {more:.2f} nats."
    )
