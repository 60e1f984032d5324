"""Lesson `scale`: the variance of q · k, its noise, and a softmax that saturates."""

# %% [markdown]
# Let q and k have components of mean 0 and variance 1. A product q · k sums D of them, so its variance is
# about D.

# %%
import torch

torch.manual_seed(1337)
B, T, D = 4, 8, 16
q = torch.randn(B, T, D)
k = torch.randn(B, T, D)
scores = q @ k.mT  # (B, T, D) @ (B, D, T) -> (B, T, T)

print(f"The variance of q is {q.var():.2f}, that of k {k.var():.2f}, that of q · k {scores.var():.2f}.")

# %% [markdown]
# Division by √D divides the variance by D.

# %%
scaled = scores * D**-0.5

print(f"After division by √{D} the variance is {scaled.var():.2f}, near 1.")

# %% [markdown]
# The notes measured 14.1379, not 16. Nothing is wrong with that: one batch has few queries and keys, and its
# variance is noisy. Draw many batches.

# %%
N = 500
qs, ks = torch.randn(2, N, B, T, D)  # (N, B, T, D) each
variances = (qs @ ks.mT).flatten(1).var(1)  # (N,)
z = (14.1379 - variances.mean()) / variances.std()

print(f"{N} batches: variance {variances.mean():.2f} ± {variances.std():.2f} (mean ± standard deviation).")
print(f"The 14.1379 of the notes lies {z:+.1f} deviations away.")

# %% [markdown]
# Why it matters: the softmax of large scores saturates. A query and its keys, 1000 times:

# %%
SIZE, N_KEYS = 64, 16
q = torch.randn(1000, 1, SIZE)
k = torch.randn(1000, N_KEYS, SIZE)
scores = (q @ k.mT)[:, 0]  # (1000, N_KEYS): 1000 rows
sharp = scores.softmax(-1)
soft = (scores * SIZE**-0.5).softmax(-1)
most, soft_most = sharp.amax(-1), soft.amax(-1)  # (1000,) each
top, soft_top = sharp[0].topk(3).values, soft[0].topk(3).values  # (3,) each

print(f"The largest weights of one row: {top.numpy().round(3)}; with scaling {soft_top.numpy().round(3)}.")
print(f"The largest, mean over {len(q)} rows: {most.mean():.2f}; with scaling {soft_most.mean():.2f}.")

# %% [markdown]
# A saturated softmax passes on almost no gradient: the derivative of a weight p for its own score is p (1 −
# p), near 0 for p near 0 or 1.

# %%
slopes = (sharp * (1 - sharp)).amax(-1)  # (1000,): the largest of a row
soft_slopes = (soft * (1 - soft)).amax(-1)
dead = (slopes < 0.01).float().mean()
soft_dead = (soft_slopes < 0.01).float().mean()

print(f"Rows where no weight has a derivative of 0.01: {dead:.0%}; with scaling {soft_dead:.0%}.")

# %% [markdown]
# ## The same on a run
#
# The scores of a trained head on held-out text. Training fits queries to keys, so the variance need not be
# D.

# %%
import glassgpt as gg
from glassgpt.explain import BUILTIN, held_out_text

RUN = BUILTIN / "text"  # or the folder of your own run: "runs/notes"
trace = gg.trace(*gg.load_run(RUN), held_out_text(RUN))
attn = "blocks.0.attn"
q = trace.tensors[f"{attn}.q"][0]  # (T, D): head 0
k = trace.tensors[f"{attn}.k"][0]  # (T, D)
raw = q @ k.mT  # (T, T)
d = q.shape[1]
largest = trace.tensors[f"{attn}.weights"][0, -1].max()

print(
    f"Head size {d}: the variance of q · k is {raw.var():.1f}, after division by √{d}: {raw.var() / d:.3f}."
)
print(f"The largest weight of the last query is {largest:.2f}, of {len(k)} keys.")
