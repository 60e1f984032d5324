"""The pictures of a trace: which numbers and labels go into which drawing of `pictures`."""

from __future__ import annotations

import torch

from glassgpt.errors import UserError
from glassgpt.lens import Trace, clearest_head
from glassgpt.plots.alignment import alignment
from glassgpt.plots.graph import attention_graph, bipartite_graph
from glassgpt.plots.heat import head_grid, heat_map
from glassgpt.plots.image import over_image
from glassgpt.plots.logit_lens import logit_lens_table
from glassgpt.plots.style import Plot


def plot_heads(trace: Trace, layer: int | None = None, kind: str | None = None) -> Plot:
    """All heads of a kind of attention: a row of heat maps for each layer."""
    path = trace.attention(layer or 0, kind)
    kind = next(name for name, paths in trace.kinds.items() if path in paths)
    paths = trace.kinds[kind] if layer is None else [path]
    grids = torch.stack([trace.tensors[f"{each}.weights"].float() for each in paths])  # (L, H, T, S)
    names = [f"{each} · {head}" for each in paths for head in range(grids.shape[1])]
    rows, columns = trace.labels(path)
    return head_grid(
        grids if layer is None else grids[0], rows, columns, titles=names, hidden=_hidden(trace, path)
    )


def plot_head(trace: Trace, layer: int, head: int, kind: str | None = None) -> Plot:
    """One head as a heat map."""
    path = trace.attention(layer, kind)
    rows, columns = trace.labels(path)
    weights = trace.weights(layer, head, kind)
    return heat_map(weights, rows, columns, title=f"{path} · {head}", hidden=_hidden(trace, path))


def plot_graph(trace: Trace, layer: int, head: int, kind: str | None = None) -> Plot:
    """One head as a directed graph; of two lines of tokens under cross-attention."""
    path = trace.attention(layer, kind)
    rows, columns = trace.labels(path)
    weights, title = trace.weights(layer, head, kind), f"{path} · {head}"
    if path.endswith(".cross_attn"):
        return bipartite_graph(weights, rows, columns, title=title)
    return attention_graph(weights, rows, title=title)


def plot_alignment(trace: Trace, layer: int | None = None, head: int | None = None) -> Plot:
    """What each written token looks at in the source."""
    layer, head = _cross_head(trace, layer, head)
    rows, columns = trace.labels(trace.attention(layer, "cross"))
    title = f"{trace.attention(layer, 'cross')} · {head}"
    return alignment(trace.weights(layer, head, "cross"), columns, rows, title=title)


def plot_image(trace: Trace, layer: int | None = None, head: int | None = None) -> Plot:
    """Attention over the image from each place that writes the answer, the question's end first."""
    if trace.image is None:
        raise UserError("there is no image in this trace: look at one with a captioner")
    layer, head = _cross_head(trace, layer, head)
    weights = trace.weights(layer, head, "cross")[trace.begins :]
    title = f"{trace.attention(layer, 'cross')} · {head}"
    return over_image(trace.image, weights, titles=list(trace.written[trace.begins :]), title=title)


def plot_logit_lens(trace: Trace) -> Plot:
    """The logit lens: from the embedding, on top, down to what the model says."""
    read = trace.reading
    if read is None:
        raise UserError("this trace has no states to read: record the residual stream of a model with a head")
    # The first state is what goes into the blocks, each other what comes out of one.
    rows = [
        state.removesuffix(".resid_post").replace("blocks.0.resid_pre", "→ blocks") for state in read.states
    ]
    return logit_lens_table(read.tokens, torch.tensor(read.probabilities), trace.tokens, rows)


def _hidden(trace: Trace, path: str) -> torch.Tensor | None:
    """True where nobody may look, where that was recorded: in all heads alike."""
    masked = trace.tensors.get(f"{path}.masked_scores")
    return None if masked is None else masked[0] == -torch.inf


def _cross_head(trace: Trace, layer: int | None, head: int | None) -> tuple[int, int]:
    if "cross" not in trace.kinds:
        raise UserError("there is no cross-attention in this trace: it takes a seq2seq or a captioner")
    clear = clearest_head(trace, "cross")
    return clear[0] if layer is None else layer, clear[1] if head is None else head
