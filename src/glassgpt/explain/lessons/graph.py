"""Lesson `graph`: attention as messages between nodes; the batch, the order, and a convolution next to it."""

# %% [markdown]
# Tokens are the nodes of a directed graph. Each gathers from the nodes that point to it: a weighted sum of
# their vectors, with weights from the data.

# %%
import torch
import torch.nn.functional as F

torch.manual_seed(1337)
B, T, C = 3, 8, 16
x = torch.randn(B, T, C)
mask = torch.ones(T, T).tril() == 0  # True: no edge


def attend(x, mask):  # (B, T, C) -> (B, T, C)
    scores = (x @ x.mT * C**-0.5).masked_fill(mask, float("-inf"))
    return scores.softmax(dim=-1) @ x


y = attend(x, mask)
n_edges = int((~mask).sum())

print(f"A decoder's graph of {T} nodes has {n_edges} edges: T(T + 1)/2. An encoder's has {T * T}.")

# %% [markdown]
# Nothing crosses the batch: each sequence is a graph of its own. Replace the last sequence, and only its own
# outputs change.

# %%
other = x.clone()
other[-1] = torch.randn(T, C)
changed = (attend(other, mask) - y).abs().amax((1, 2)) > 0  # (B,)

print(f"The last of {B} sequences was replaced: number {B - 1}, counted from 0.")
print(f"Outputs that changed: {changed.nonzero().flatten().tolist()}.")

# %% [markdown]
# A message takes one step along an edge. Change one node, and only the nodes that it points to notice it.

# %%
node = 5
other = x.clone()
other[0, node] += 1
moved = (attend(other, mask) - y)[0].abs().amax(1) > 0  # (T,)

print(f"Node {node} changed. Nodes that noticed it: {moved.nonzero().flatten().tolist()}.")

# %% [markdown]
# The weights come from the data. Two texts have different ones; a convolution has the same for each text.

# %%
W = (x @ x.mT * C**-0.5).masked_fill(mask, float("-inf")).softmax(-1)
kernel = torch.randn(C, C, 3)  # weights: one left, here, one right
rows = W[:2, -1]  # (2, T): the last node of two texts

print(f"Text 0: the last node gathers by {rows[0].numpy().round(2)}.")
print(
    f"Text 1: by {rows[1].numpy().round(2)}. The convolution has the same {kernel.numel()} weights for both."
)

# %% [markdown]
# A graph has no notion of space. Without a mask, shuffled tokens give the same outputs, shuffled. A
# convolution knows left from right, and gives others. So a transformer has to be told the positions.

# %%
everyone = torch.zeros(T, T) == 1  # an encoder: all edges
order = torch.randperm(T)


def convolve(x):  # (B, T, C) -> (B, T, C)
    return F.conv1d(x.mT, kernel, padding=1).mT


def change(f):  # f of shuffled tokens, next to the shuffled f
    return (f(x[:, order]) - f(x)[:, order]).norm()


blind = change(lambda x: attend(x, everyone))
conv = change(convolve)
places = torch.randn(T, C)  # a vector for each position
told = change(lambda x: attend(x + places, everyone))

print(f"Shuffled by {order.tolist()}, attention differs by {blind:.1g}: rounding.")
print(f"The convolution differs by {conv:.1f}, attention with positions by {told:.1f}.")

# %% [markdown]
# ## The same on a run
#
# A head of a trained model draws a graph for each text. Here are two held-out texts.

# %%
import glassgpt as gg
from glassgpt.explain import BUILTIN, held_out_text

RUN = BUILTIN / "text"  # or the folder of your own run: "runs/notes"
model, tokenizer = gg.load_run(RUN)
shares, sources = [], []
for seed in (0, 1):
    trace = gg.trace(model, tokenizer, held_out_text(RUN, seed=seed))
    W = trace.tensors["blocks.0.attn.weights"][0]  # (T, T): head 0
    shares.append(W[-1].max())
    sources.append(trace.tokens[int(W[-1].argmax())])
n_edges = int((W > 0).sum())

print(f"In one text the last token gathers {shares[0]:.0%} from {sources[0]!r}.")
print(f"In the other it gathers {shares[1]:.0%} from {sources[1]!r}.")
print(f"The second text has {len(W)} nodes and {n_edges} edges.")
