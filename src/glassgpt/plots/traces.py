"""Plots of a trace: its heads, alignment, image and logit lens."""

from __future__ import annotations

import torch

from glassgpt.errors import UserError
from glassgpt.language import N_, _
from glassgpt.lens import Trace, clearest_head
from glassgpt.plots.alignment import alignment_map
from glassgpt.plots.graph import attention_graph, bipartite_graph
from glassgpt.plots.heat import head_grid, heat_map
from glassgpt.plots.image import over_image
from glassgpt.plots.logit_lens import logit_lens_table
from glassgpt.plots.style import Plot

KINDS = {
    "attn": N_("self-attention"),
    "cross": N_("cross-attention"),
    "encoder": N_("attention in the encoder"),
}


def plot_heads(trace: Trace, layer: int | None = None, kind: str | None = None) -> Plot:
    """Draw all heads of one kind of attention: a row of heat maps for each layer."""
    path = trace.attention(layer or 0, kind)
    kind = _place(trace, path)[0]
    paths = trace.kinds[kind] if layer is None else [path]
    grids = torch.stack([trace.tensors[f"{each}.weights"].float() for each in paths])  # (L, H, T, S)
    layers = [_place(trace, each)[1] for each in paths]
    names = [_place_name(each, head) for each in layers for head in range(grids.shape[1])]
    rows, columns = trace.labels(path)
    return head_grid(
        grids if layer is None else grids[0],
        rows,
        columns,
        titles=names,
        title=_("{kind}: query (row), key (column)", kind=KINDS[kind]),
        hidden=_hidden(trace, path),
    )


def plot_head(trace: Trace, layer: int, head: int, kind: str | None = None) -> Plot:
    """Draw one head as a heat map."""
    path = trace.attention(layer, kind)
    rows, columns = trace.labels(path)
    weights = trace.weights(layer, head, kind)
    return heat_map(weights, rows, columns, title=_title(trace, path, head), hidden=_hidden(trace, path))


def plot_graph(trace: Trace, layer: int, head: int, kind: str | None = None) -> Plot:
    """Draw one head as a directed graph; cross-attention has two lines of tokens."""
    path = trace.attention(layer, kind)
    rows, columns = trace.labels(path)
    weights, title = trace.weights(layer, head, kind), _title(trace, path, head)
    if path.endswith(".cross_attn"):
        return bipartite_graph(weights, rows, columns, title=title)
    return attention_graph(weights, rows, title=title)


def plot_alignment(trace: Trace, layer: int | None = None, head: int | None = None) -> Plot:
    """Draw the attention from each generated token to the source.

    Raises UserError without one.
    """
    layer, head = _cross_head(trace, layer, head)
    rows, columns = trace.labels(trace.attention(layer, "cross"))
    title = _title(trace, trace.attention(layer, "cross"), head)
    return alignment_map(trace.weights(layer, head, "cross"), columns, rows, title=title)


def plot_image(trace: Trace, layer: int | None = None, head: int | None = None) -> Plot:
    """Draw attention over the image, one panel for each token of the answer."""
    if trace.image is None:
        raise UserError("there is no image in this trace. Trace a captioner with an image.")
    layer, head = _cross_head(trace, layer, head)
    start = max(trace.n_prompt - 1, 0)  # the last prompt token generates the first answer token
    weights = trace.weights(layer, head, "cross")[start:]
    title = _title(trace, trace.attention(layer, "cross"), head)
    return over_image(trace.image, weights, titles=list(trace.next_tokens[start:]), title=title)


def plot_logit_lens(trace: Trace) -> Plot:
    """Draw the logit lens, from the embedding (top) to the model's output."""
    lens = trace.logit_lens
    if lens is None:
        raise UserError(
            "there is no logit lens in this trace. Record the residual stream of a model with an output head."
        )
    # The first state is the input of the blocks, each other one the output of a block.
    rows = [_("embedding"), *(_("layer {n}", n=n) for n in range(len(lens.states) - 1))]
    return logit_lens_table(
        lens.tokens,
        torch.tensor(lens.probabilities),
        trace.tokens,
        rows,
        title=_("logit lens: the prediction after each layer"),
        column_title=_("token"),
        bar_title=_("probability"),
    )


def _place(trace: Trace, path: str) -> tuple[str, int]:
    """Return the kind and the layer of an attention module."""
    return next((kind, paths.index(path)) for kind, paths in trace.kinds.items() if path in paths)


def _title(trace: Trace, path: str, head: int) -> str:
    """Return the title of a head; layers and heads count from 0, as the flags of `look` do."""
    kind, layer = _place(trace, path)
    return _("{place}, {kind}", place=_place_name(layer, head), kind=KINDS[kind])


def _place_name(layer: int, head: int) -> str:
    return _("layer {layer}, head {head}", layer=layer, head=head)


def _hidden(trace: Trace, path: str) -> torch.Tensor | None:
    """Return (T, S), True for masked cells; None if masked scores were not recorded."""
    masked = trace.tensors.get(f"{path}.masked_scores")
    return None if masked is None else masked[0] == -torch.inf


def _cross_head(trace: Trace, layer: int | None, head: int | None) -> tuple[int, int]:
    if "cross" not in trace.kinds:
        raise UserError("there is no cross-attention in this trace. Trace a seq2seq or a captioner.")
    clear = clearest_head(trace, "cross")
    return clear[0] if layer is None else layer, clear[1] if head is None else head
