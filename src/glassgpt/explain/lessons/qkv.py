"""Lesson `qkv`: queries, keys and values from one product, `nn.Linear(C, 3 * C)`."""

# %% [markdown]
# Three layers make queries, keys and values of the same x. These are the shapes of GPT-2 small.

# %%
import torch
from torch import nn

torch.manual_seed(1337)
T, C = 6, 768
x = torch.randn(T, C)
query, key, value = [nn.Linear(C, C, bias=False) for _ in range(3)]
q, k, v = query(x), key(x), value(x)  # (T, C) each

print(f"Three products: ({T}, {C}) @ ({C}, {C}) → {tuple(q.shape)}.")

# %% [markdown]
# One layer with the three matrices one above the other does all of it; its result is then split in three.

# %%
qkv = nn.Linear(C, 3 * C, bias=False)
weights = [query.weight, key.weight, value.weight]  # (C, C) each
qkv.weight.data = torch.cat(weights)  # (3C, C)
fused = qkv(x)  # (T, C) @ (C, 3C) -> (T, 3C)
q1, k1, v1 = fused.split(C, dim=-1)  # (T, C) each
difference = (fused - torch.cat([q, k, v], dim=-1)).abs().max()

print(f"One product: ({T}, {C}) @ ({C}, {3 * C}) → {tuple(fused.shape)}.")
print(f"Split in three, it differs by {difference:.1g}, in numbers up to {fused.abs().max():.1f}: rounding.")

# %% [markdown]
# It has no more weights, and no more multiplications. It saves two calls of three, and two reads of x.

# %%
n_three = sum(weight.numel() for weight in weights)
n_fused = qkv.weight.numel()
n_products = T * n_fused

print(
    f"Weights: {n_three:,} in three layers, {n_fused:,} in one. Multiplications: {n_products:,} either way."
)

# %% [markdown]
# Then each head takes its part of the columns: C numbers are H heads of size D.

# %%
H = 12
D = C // H
heads = q1.view(T, H, D).transpose(0, 1)  # (T, C) -> (H, T, D)
scores = heads @ k1.view(T, H, D).transpose(0, 1).mT * D**-0.5  # (H, T, T)
last = q1[:, -D:]  # (T, D): the last columns
same = bool((heads[-1] == last).all())

print(f"{H} heads of {D}: {tuple(heads.shape)}, scores {tuple(scores.shape)}.")
print(f"The last head has the last {last.shape[1]} columns of the queries: {same}.")

# %% [markdown]
# With grouped queries several heads share keys and values. Then the matrix has (H + 2 · H_kv) · D rows.

# %%
H_kv = 4
grouped = nn.Linear(C, (H + 2 * H_kv) * D, bias=False)
q, k, v = grouped(x).split([H * D, H_kv * D, H_kv * D], dim=-1)
saved = 1 - grouped.weight.numel() / n_fused

print(f"{H} heads, {H_kv} for keys and values: q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}.")
print(f"The matrix has {grouped.out_features} rows instead of {3 * C}: {saved:.0%} fewer weights.")

# %% [markdown]
# ## The same on a run
#
# The first attention of a trained model. Its last columns are the values that its heads used.

# %%
import glassgpt as gg
from glassgpt.explain import BUILTIN, held_out_text

RUN = BUILTIN / "text"  # or the folder of your own run: "runs/notes"
model, tokenizer = gg.load_run(RUN)
seen = gg.trace(model, tokenizer, held_out_text(RUN)).tensors
norm = model.get_submodule("blocks.0.norm_1")
qkv = model.get_submodule("blocks.0.attn.qkv")
with torch.no_grad():
    fused = qkv(norm(seen["blocks.0.resid_pre"]))  # (T, rows)
v = seen["blocks.0.attn.v"]  # (H_kv, T, D)
v = v.transpose(0, 1).flatten(1)  # (T, H_kv · D)
error = (fused[:, -v.shape[1] :] - v).abs().max()

print(f"({len(v)}, {model.config.n_embd}) → {tuple(fused.shape)} in one product.")
print(f"The last {v.shape[1]} columns differ from the values of the heads by {error:.1g}.")
