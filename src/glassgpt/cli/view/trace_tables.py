"""Tables of a trace in a terminal: its output, its heads, the weights of one head."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from glassgpt.cli.view.numbers import cell, numbers_table
from glassgpt.language import N_, _
from glassgpt.lens import HeadSummary, Trace, visible_label

CELL = 6
"""Width of a weight in a table, in columns of a terminal."""
ROLES = {
    "itself": N_("itself"),
    "previous": N_("previous"),
    "next": N_("next"),
    "first": N_("first"),
    "copy": N_("copies"),
    "induction": N_("after copies"),
    "place": N_("one place"),
    "mixed": N_("mixed"),
}
"""Words for the role of a head."""
SHARES = {
    "itself": N_("self"),
    "previous": N_("prev"),
    "next": N_("next"),
    "first": N_("first"),
    "copy": N_("copy"),
    "induction": N_("after"),
}
"""Headings of the shares of a head."""


def output_line(seen: Trace) -> Text:
    """Return the model's answer, its fillings of gaps, or its next token."""
    if seen.source and seen.answer:
        return Text.assemble((_("it writes  "), "dim"), "".join(seen.answer).removesuffix("<eos>"))
    if seen.logit_lens is None:
        return Text("")
    tokens, probabilities = seen.logit_lens.tokens[-1], seen.logit_lens.probabilities[-1]
    gaps = [i for i, token in enumerate(seen.tokens) if token == "<mask>"]
    if seen.config.get("family") != "encoder":
        name, places = _("next token  "), [len(tokens) - 1]
    else:
        name, places = _("in the gaps  "), gaps
    parts = [
        piece
        for i in places
        for piece in ("“", visible_label(tokens[i]), "”", (f" {probabilities[i]:.0%}   ", "dim"))
    ]
    return (
        Text.assemble((name, "dim"), *parts) if parts else Text(_("no gap to fill: write [?] for one"), "dim")
    )


def heads_table(heads: Sequence[HeadSummary]) -> Table:
    """Return a table of heads: their role, and the shares that any of them has."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    shares = [name for name in SHARES if any(getattr(each, name) is not None for each in heads)]
    table.add_column(_("attention"), no_wrap=True)
    table.add_column(_("head"), justify="right", no_wrap=True)
    table.add_column(_("role"), no_wrap=True)
    for name in (*(SHARES[name] for name in shares), N_("spread")):
        table.add_column(_(name), justify="right", no_wrap=True)
    before = ""
    for each in heads:
        name, before = "" if each.attention == before else each.attention, each.attention
        cells = [_share(getattr(each, share)) for share in shares]
        table.add_row(name, str(each.head), _(ROLES[each.role]), *cells, f"{each.spread:.1f}")
    return table


def _share(value: float | None) -> Text:
    return Text("") if value is None else cell(value, 2, value)[1:-1]


def heads_note(heads: Sequence[HeadSummary]) -> str:
    """Return the meaning of the shares, or a hint if the text shows no copying."""
    if any(each.induction is not None for each in heads):
        return _("copy: the same token elsewhere; after: the tokens that followed it (induction)")
    if any(each.copy is not None for each in heads):
        return _("copy: the token that is written, in the source")
    if any(each.attention.startswith("blocks.") and each.previous is not None for each in heads):
        return _("no token comes twice: repeat the text to see which head copies")
    return ""


def weights_table(seen: Trace, layer: int, head: int, kind: str | None, width: int) -> Table:
    """Return a head's weights as a table: all if they fit, else the largest three of each row."""
    path = seen.attention(layer, kind)
    rows, columns = seen.labels(path)
    weights, title = seen.weights(layer, head, kind), _("{attention}, head {head}", attention=path, head=head)
    widest = max(cell_len(visible_label(name)) for name in rows)
    if sum(max(CELL, 1 + cell_len(visible_label(name))) for name in columns) + widest + 1 <= width:
        return numbers_table(title, rows, columns, weights.tolist(), 2)
    table = Table(
        box=None,
        pad_edge=False,
        title=Text(_("{title}: strongest places", title=title), "italic"),
        title_justify="left",
    )
    table.add_column(_("place"), style="dim", justify="right")
    table.add_column(_("token"), style="dim")
    table.add_column(_("looks at"))
    for place, (name, row) in enumerate(zip(rows, weights, strict=True)):
        top = row.topk(min(3, len(columns)))
        pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        parts = [
            ((f"{i} ", "dim"), f"{visible_label(columns[i])} ", (f"{v:.2f}   ", "cyan"))
            for i, v in pairs
            if v >= 0.05
        ]
        table.add_row(
            str(place), visible_label(name), Text.assemble(*(piece for part in parts for piece in part))
        )
    return table
