"""Lesson `query-key`: `q @ k.mT`, by pairs, by blocks, and what makes a product large."""

# %% [markdown]
# Each token has a query, what it looks for, and a key, what it offers. `q @ k.mT` multiplies each query with
# each key.

# %%
import torch

torch.manual_seed(1337)
T, D = 4, 16
q = torch.randn(T, D)  # a query in each row
k = torch.randn(T, D)  # a key in each row
scores = q @ k.mT  # (T, D) @ (D, T) -> (T, T)

print(
    f"{tuple(q.shape)} @ {tuple(k.mT.shape)} → {tuple(scores.shape)}: {scores.numel()} products of vectors."
)

# %% [markdown]
# Row t, column s is query t times key s: the row of one matrix, the column of the other.

# %%
t, s = 1, 3
one = (q[t] * k[s]).sum()  # D products, one sum

print(f"q[{t}] · k[{s}] = {one:.3f}. In the table: {scores[t, s]:.3f}.")

# %% [markdown]
# A product can be summed in blocks: this is how the hardware does it. Cut D into blocks, multiply each, and
# add the tables.

# %%
BLOCK = 4
qs, ks = q.split(BLOCK, dim=1), k.split(BLOCK, dim=1)  # (T, BLOCK) each
blocks = [qs[i] @ ks[i].mT for i in range(len(qs))]  # (T, T) each
parts = torch.stack([block[t, s] for block in blocks])  # one number each
difference = (torch.stack(blocks).sum(0) - scores).abs().max()

print(f"{len(blocks)} blocks of {BLOCK}: {parts.numpy().round(2)}, in sum {parts.sum():.3f}.")
print(f"The sum of the tables differs from q @ k.mT by {difference:.1g}.")

# %% [markdown]
# A product is large for long vectors in the same direction: |q| |k| cos θ. It is not symmetric: token t asks
# token s something else than s asks t.

# %%
cosine = torch.cosine_similarity(q[t], k[s], dim=0)
lengths = q[t].norm() * k[s].norm()

print(f"|q| |k| cos θ = {lengths:.2f} · {cosine:+.3f} = {lengths * cosine:.3f}.")
print(f"The other way round, q[{s}] · k[{t}] = {scores[s, t]:.3f}.")

# %% [markdown]
# Divided by √D and through a softmax, a row of scores becomes a row of weights.

# %%
weights = (scores * D**-0.5).softmax(dim=-1)  # (T, T)
best = int(weights[t].argmax())

print(f"Token {t} gives {weights[t].numpy().round(2)}, most to token {best}: {weights[t, best]:.2f}.")

# %% [markdown]
# ## The same on a run
#
# Queries and keys of a trained head on held-out text, and the scores that it computed.

# %%
import glassgpt as gg
from glassgpt.explain import BUILTIN, held_out_text

RUN = BUILTIN / "text"  # or the folder of your own run: "runs/notes"
trace = gg.trace(*gg.load_run(RUN), held_out_text(RUN))
attn = "blocks.0.attn"
q = trace.tensors[f"{attn}.q"][0]  # (T, D): head 0
k = trace.tensors[f"{attn}.k"][0]  # (T, D)
scores = q @ k.mT * q.shape[1] ** -0.5  # (T, T)
error = (scores - trace.tensors[f"{attn}.scores"][0]).abs().max()
W = trace.tensors[f"{attn}.weights"][0]  # (T, T), after mask and softmax
best = int(W[-1].argmax())

print(f"{len(q)} queries meet {len(k)} keys. The largest difference from the model's scores is {error:.1g}.")
print(f"The query of the last token, {trace.tokens[-1]!r}, gives the most weight to {trace.tokens[best]!r}.")
