"""Lesson `positions`: attention over a set, a learned table, sines and cosines, and RoPE."""

# %% [markdown]
# Attention is a weighted sum over a set of tokens. Shuffle the tokens, and the same outputs come out,
# shuffled: nothing says where a token stands.

# %%
import torch
import torch.nn.functional as F

torch.manual_seed(0)
T = 8
C = 32
x = torch.randn(T, C).double()  # (T, C): tokens without positions


def attention(x):
    return F.softmax(x @ x.T / C**0.5, dim=-1) @ x  # (T, T) @ (T, C)


order = torch.randperm(T)
gap = (attention(x[order]) - attention(x)[order]).abs().max()

print(f"The tokens in the order {order.tolist()}: the outputs differ by {gap:.1g}, which is rounding.")

# %% [markdown]
# GPT-2 learns a vector for each position and adds it. The same word at another place is now another vector.

# %%
wpe = torch.nn.Embedding(T, C).double()  # T rows, trained like any weight
p = wpe(torch.arange(T))  # (T, C)
with torch.no_grad():
    gap = (attention(x[order] + p) - attention(x + p)[order]).abs().max()

print(f"With a table of {wpe.weight.numel()} trained numbers the outputs differ by {gap:.2f}.")
print(f"The table ends at position {T - 1}: a longer text has no row.")

# %% [markdown]
# Sines and cosines need no training. The product of two rows depends on their distance alone, since
# cos a cos b + sin a sin b = cos(a − b).

# %%
frequency = 10_000.0 ** (-torch.arange(0, C, 2).double() / C)  # (C / 2,)
angle = torch.arange(100)[:, None] * frequency  # (100, C / 2)
table = torch.cat([angle.sin(), angle.cos()], dim=1)  # (100, C)
d = 3  # distance
near, far = table[10] @ table[10 + d], table[90] @ table[90 + d]

print(f"Rows 10 and {10 + d}: {near:.6f}. Rows 90 and {90 + d}: {far:.6f}.")

# %% [markdown]
# RoPE puts the angle into attention itself: it rotates each pair of a query, and of a key, by the angle of
# its position. The norm stays, and the score depends on the distance.

# %%
q, k = torch.randn(2, C).double()


def rotate(v, position):
    a, b = v.chunk(2)  # pairs (a_i, b_i)
    cos, sin = angle[position].cos(), angle[position].sin()
    return torch.cat([a * cos - b * sin, a * sin + b * cos])


scores = [rotate(q, t) @ rotate(k, t - d) for t in (10, 50, 90)]

print(f"Distance {d}, at three places: {scores[0]:.6f}, {scores[1]:.6f}, {scores[2]:.6f}.")
print(f"The norm of q: {q.norm():.6f} before, {rotate(q, 50).norm():.6f} after.")

# %% [markdown]
# ## The same on a run
#
# Shuffle a text for a trained model. The same characters, in an order that it never saw, cost more.

# %%
import glassgpt as gg
from glassgpt.explain import BUILTIN, held_out_text

RUN = BUILTIN / "text"  # or the folder of your own run: "runs/notes"
model, tokenizer = gg.load_run(RUN)
ids = torch.tensor([tokenizer.encode(held_out_text(RUN))])  # (1, n)
mixed = ids[:, torch.randperm(ids.shape[1])]


@torch.no_grad()
def loss(ids):
    return F.cross_entropy(model(ids[:, :-1]).mT, ids[:, 1:]).item()


print(f"This model has positions of the kind “{model.config.position}”.")
print(f"It pays {loss(ids):.2f} nats a token for the text, and {loss(mixed):.2f} for the shuffled text.")
