"""`glassgpt look`: the inside of a trained model during one forward pass, as tables or plots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from glassgpt.checkpoint import Run
from glassgpt.cli.progress import record_use
from glassgpt.cli.view.ablation import show_ablation
from glassgpt.cli.view.html_page import check_html, write_html
from glassgpt.cli.view.open_run import note_guesses
from glassgpt.cli.view.terminal import Terminal, print_json, print_line
from glassgpt.cli.view.trace_tables import heads_note, heads_table, output_line, weights_table
from glassgpt.data import read_image
from glassgpt.device import choose_device
from glassgpt.errors import UserError, command_line
from glassgpt.language import _
from glassgpt.lens import Trace, clearest_head, describe_heads
from glassgpt.lens import trace as trace_model
from glassgpt.units import data_size

if TYPE_CHECKING:
    from glassgpt.plots import Plot

Kind = Literal["attn", "cross", "encoder"]
View = Literal["heads", "head", "graph", "alignment", "image", "logit-lens", "forward"]
WHOLE = ("heads", "logit-lens", "forward")
"""Views that show no single head."""


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
    dark: Annotated[bool, Parameter(negative="")] = False,
    html: Path | None = None,
    trace: Path | None = None,
    precision: Literal["float16", "float32"] = "float16",
    ablate: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    device: str = "cpu",
) -> None:
    """Look inside a trained model: its attention on a text or an image, or the effect of each head.

    The table has a row for each head: its role, and means over all queries. They are the weights of the
    query's own position, the previous, the next and the first one, of copies of the token, and of tokens
    after a copy. The last column is the number of positions with weight.

    Parameters
    ----------
    run
        Folder of a run.
    text
        Text for the model to read or to translate, or a question about the image.
    image
        Image for a captioner.
    target
        Answer of a translator or captioner, instead of its own.
    hide
        Part of the text that a translator's decoder may not attend to, at every occurrence.
    layer
        Only this layer, numbered from 0.
    head
        Only this head of that layer, numbered from 0.
    kind
        Self-attention (attn), cross-attention (cross), or attention in the encoder (encoder).
    view
        Content of the plot: all heads as heat maps (heads), one head as a heat map (head) or a directed graph
        (graph), the alignment of a translation, attention over the image, the predictions of each layer
        (logit-lens), or the whole forward pass with shapes and numbers (forward). A plot of one head shows
        the head with the largest weights unless you name one.
    out
        Write the plot to this file: png, svg or pdf (needs matplotlib).
    dark
        Draw the plot on a dark ground.
    html
        Write the lab's views of this text to one HTML file, for any browser (needs the extra [lab]).
    trace
        Write all recorded activations to this safetensors file.
    precision
        Precision of the numbers in that file.
    ablate
        Switch off each head in turn and measure the model on held-out data.
    json
        Print the figures as JSON.
    device
        `cpu`, `cuda`, `mps` or `auto`.
    """
    _check_options(text, image, layer, head, view, out, trace, ablate)
    if html is not None:
        check_html(html, ablate)
    if dark and out is None:
        raise UserError("--dark: there is no file for the plot. Add --out.")
    opened = Run.open(run)
    model, tokenizer = opened.model(choose_device(device)), opened.tokenizer()
    if ablate:
        show_ablation(opened, model, tokenizer, json)
        return
    pixels = None if image is None else read_image(image, model.config.image_size, model.config.channels)
    seen = trace_model(model, tokenizer, text, image=pixels, target=target, hide=hide)
    chosen = _choose(seen, view, layer, head, kind)  # before any output: the head may not exist
    plot = chosen.draw(seen, "dark" if dark else "light") if out is not None else None
    if json:
        print_json(_as_json(seen, kind), indent=1)
    else:
        _show(seen, layer, head, kind)
    note_guesses(run)
    record_use("look", model.config.family)
    if trace is not None:
        seen.save(trace, precision)
        _say(_("trace    {trace}  ({size})", trace=trace, size=data_size(trace.stat().st_size)), json)
    if html is not None:
        write_html(seen, model, tokenizer, html)
        _say(_("page     {html}  ({size})", html=html, size=data_size(html.stat().st_size)), json)
    if plot is not None and out is not None:
        from glassgpt.plots import save

        save(plot, out)
        _say(_("plot     {out}  ({chosen})", out=out, chosen=chosen), json)
    elif not json and seen.attentions:
        hint = _(
            "\nA plot:  {command} --out heads.svg   (--layer, --head, --view graph …)",
            command=command_line("look", run, "…"),
        )
        Terminal().say(hint, "dim")


def _check_options(
    text: str,
    image: Path | None,
    layer: int | None,
    head: int | None,
    view: View | None,
    out: Path | None,
    trace: Path | None,
    ablate: bool,
) -> None:
    """Refuse options without effect, before any work."""
    if ablate and (text or image or out or trace or layer is not None or view):
        raise UserError(
            "--ablate: takes no text, image, layer, view or file, since it measures on held-out data. "
            "Leave them out."
        )
    if head is not None and layer is None:
        raise UserError("--head {head}: the layer is missing. Add --layer.", head=head)
    if view is not None and out is None:
        raise UserError("--view {view}: there is no file for the plot. Add --out.", view=view)
    if trace is not None and trace.is_dir():
        raise UserError("--trace {trace}: this is a folder. Give the name of a file.", trace=trace)
    if out is not None:
        from glassgpt.plots import check_suffix

        check_suffix(out)


def _say(message: str, as_json: bool) -> None:
    if not as_json:
        print_line(message)


@dataclass(frozen=True)
class Chosen:
    """Choice of a view and its head."""

    view: View
    layer: int | None
    head: int | None
    kind: Kind | None

    def __str__(self) -> str:
        if self.view in WHOLE:
            return self.view
        return _(
            "{view} of {kind}, layer {layer}, head {head}",
            view=self.view,
            kind=self.kind,
            layer=self.layer,
            head=self.head,
        )

    def draw(self, seen: Trace, theme: str) -> Plot:
        """Draw a trace in a theme, `light` or `dark`."""
        from glassgpt import plots

        with plots.theme(theme):
            return self._drawn(seen)

    def _drawn(self, seen: Trace) -> Plot:
        from glassgpt import plots

        layer, head, kind = self.layer, self.head, self.kind
        if self.view == "heads":
            return plots.plot_heads(seen, layer, kind)
        if self.view == "logit-lens":
            return plots.plot_logit_lens(seen)
        if self.view == "forward":
            return plots.plot_forward(seen)
        assert layer is not None and head is not None
        if self.view == "alignment":
            return plots.plot_alignment(seen, layer, head)
        if self.view == "image":
            return plots.plot_image(seen, layer, head)
        return (
            plots.plot_head(seen, layer, head, kind)
            if self.view == "head"
            else plots.plot_graph(seen, layer, head, kind)
        )


def _choose(seen: Trace, view: View | None, layer: int | None, head: int | None, kind: Kind | None) -> Chosen:
    """Complete the options with the view and head that show most.

    Raises UserError if the trace does not have them.
    """
    if layer is not None or kind is not None:
        seen.attention(layer or 0, kind)
    if layer is not None and head is not None:
        seen.weights(layer, head, kind)
    if not seen.attentions:
        if view == "forward":
            return Chosen(view, layer, head, kind)
        if view not in (None, "heads"):
            raise UserError("--view {view}: a bigram has no attention to draw. Use --view heads.", view=view)
        return Chosen("heads", layer, head, kind)
    usual: Kind = "cross" if "cross" in seen.kinds else "attn" if "attn" in seen.kinds else "encoder"
    if view is None:
        crosses = usual == "cross" and kind in (None, "cross")
        view = (
            ("alignment" if seen.image is None else "image")
            if crosses
            else "heads"
            if head is None
            else "head"
        )
    if view in WHOLE:
        return Chosen(view, layer, head, kind)
    if view in ("alignment", "image"):
        if usual != "cross":
            raise UserError(
                "--view {view}: there is no cross-attention in this model. Use --view head.", view=view
            )
        if view == "image" and seen.image is None:
            raise UserError("--view image: there is no image. Ask a captioner about one.")
        kind = "cross"
    kind = kind or usual
    clear = clearest_head(seen, kind)
    return Chosen(view, clear[0] if layer is None else layer, clear[1] if head is None else head, kind)


def _as_json(seen: Trace, kind: Kind | None) -> dict[str, Any]:
    return {**seen.header(), "heads": [each.to_dict() for each in describe_heads(seen, kind)]}


def _show(seen: Trace, layer: int | None, head: int | None, kind: Kind | None) -> None:
    """Print the model's output and a table of heads or weights."""
    console = Terminal()
    console.print(output_line(seen))
    if layer is not None and head is not None:
        console.table(weights_table(seen, layer, head, kind, console.width))
    elif seen.attentions:
        heads = [
            each
            for each in describe_heads(seen, kind)
            if layer is None or seen.layer(each.attention) == layer
        ]
        console.print()
        console.table(heads_table(heads))
        if note := heads_note(heads):
            console.say(note, "dim")
