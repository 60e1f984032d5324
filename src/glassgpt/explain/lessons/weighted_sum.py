"""Lesson `weighted-sum`: the mean of the past as `W @ x`, then by a masked softmax."""

# %% [markdown]
# Each token becomes the mean of itself and the tokens before it. Two loops say it plainly.

# %%
import torch

torch.manual_seed(1337)
B, T, C = 2, 4, 2
x = torch.randn(B, T, C)
mean = torch.zeros(B, T, C)
for b in range(B):
    for t in range(T):
        mean[b, t] = x[b, : t + 1].mean(0)  # itself and the past

print(f"{B} sequences of {T} tokens with {C} numbers each: {B * T} means, one by one.")

# %% [markdown]
# One product does the same. Row t of W holds 1 / (t + 1) up to column t, then zeros.

# %%
W = torch.ones(T, T).tril()
W = W / W.sum(1, keepdim=True)  # each row sums to 1
y = W @ x  # (T, T) @ (B, T, C) -> (B, T, C)
difference = (y - mean).abs().max()
print(W)

print(
    f"W @ x gives all {y.numel()} numbers at once; the largest difference from the loops is {difference:.1g}."
)

# %% [markdown]
# Split W into rows and keep x whole: row t of W makes row t of the result, and needs no other row. It is a
# sum of token vectors, each times its weight.

# %%
t = 2
terms = W[t, :, None] * x[0]  # (T, 1) * (T, C): weight times vector
by_hand = terms.sum(0)  # (C,)
n_terms = int((W[t] > 0).sum())

print(f"Row {t}: {n_terms} vectors count. Their sum is {by_hand.numpy().round(3)}.")
print(f"Row {t} of W @ x: {y[0, t].numpy().round(3)}.")

# %% [markdown]
# The softmax writes the same weights in another way: zeros for all pairs, −∞ for the future, since exp(−∞) is
# 0. Here attention can put its scores in place of the zeros.

# %%
scores = torch.zeros(T, T)
tril = torch.ones(T, T).tril()
scores = scores.masked_fill(tril == 0, float("-inf"))
soft = scores.softmax(dim=-1)
gap = (soft - W).abs().max()

print(f"Row {T - 1}: {soft[T - 1].numpy().round(3)}. The largest difference from W is {gap:.1g}.")

# %% [markdown]
# Other scores give other weights. Still no weight is negative and each row sums to 1, so the result stays
# between the smallest and the largest of the numbers it gathers.

# %%
scores = torch.randn(T, T).masked_fill(tril == 0, float("-inf"))
W = scores.softmax(dim=-1)
last = (W @ x)[0, -1]  # (C,)
low, high = x[0].amin(0), x[0].amax(0)  # (C,)

print(f"The last row weighs {W[-1].numpy().round(2)}, in sum {W[-1].sum():.3f}.")
print(
    f"Its first number is {last[0]:.2f}, between {low[0]:.2f} and {high[0]:.2f}; the plain mean was "
    f"{mean[0, -1, 0]:.2f}."
)

# %% [markdown]
# ## The same on a run
#
# A head of a trained model on held-out text: its weights times its values are its output.

# %%
import glassgpt as gg
from glassgpt.explain import BUILTIN, held_out_text

RUN = BUILTIN / "text"  # or the folder of your own run: "runs/notes"
trace = gg.trace(*gg.load_run(RUN), held_out_text(RUN))
attn = "blocks.0.attn"
W = trace.tensors[f"{attn}.weights"][0]  # (T, T): head 0
v = trace.tensors[f"{attn}.v"][0]  # (T, D)
output = trace.tensors[f"{attn}.heads"][0]  # (T, D), from the fast kernel
error = (W @ v - output).abs().max() / v.abs().max()
source = int(W[-1].argmax())

print(
    f"{tuple(W.shape)} @ {tuple(v.shape)}: W @ v differs from the kernel by {error:.1g} of the largest value."
)
print(f"The last token gathers {W[-1, source]:.0%} from {trace.tokens[source]!r}, at position {source}.")
