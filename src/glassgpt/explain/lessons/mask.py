"""Lesson `mask`: the causal mask of a decoder, and the softmax after it."""

# %% [markdown]
# An encoder attends to all tokens: the softmax of all scores.

# %%
import torch

torch.manual_seed(1337)
T = 4
scores = torch.randn(T, T)  # row t: the scores of query t
encoder = scores.softmax(dim=-1)
seen = (encoder > 0).sum(1)  # (T,)

print(f"Encoder: the {T} tokens see {seen.tolist()} tokens.")

# %% [markdown]
# A decoder fills the future with −∞ before the softmax. exp(−∞) is 0, so the future gets no weight.

# %%
tril = torch.ones(T, T).tril()
masked = scores.masked_fill(tril == 0, float("-inf"))
decoder = masked.softmax(dim=-1)
seen = (decoder > 0).sum(1)
print(decoder)

print(f"Decoder: the {T} tokens see {seen.tolist()} tokens. Each row sums to {decoder.sum(1).mean():.2f}.")

# %% [markdown]
# The notes say that a decoder looks at T − 1 tokens. It is one more: the last of T tokens sees all T, itself
# included. Without the diagonal the first row would be −∞ alone, and its softmax has no value.

# %%
strict = torch.ones(T, T).tril(-1)
broken = scores.masked_fill(strict == 0, float("-inf")).softmax(dim=-1)
n_broken = int(broken.isnan().all(1).sum())

print(f"Last row: {int(seen[-1])} of {T}. Without the diagonal, {n_broken} row of {T} has no value.")

# %% [markdown]
# The order matters. Zero in place of −∞ gives the future the weight of a score of 0. Zero after the softmax
# leaves rows that do not sum to 1; divide by their sums, and they are the masked weights again.

# %%
zeros = (scores * tril).softmax(dim=-1)  # wrong
leak = zeros.triu(1).sum() / T
late = encoder * tril
again = late / late.sum(1, keepdim=True)
difference = (again - decoder).abs().max()

print(f"Scores set to 0: {leak:.0%} of the weight goes to the future.")
print(f"Weights set to 0: the first row sums to {late[0].sum():.2f}.")
print(f"Divided by their sums, the rows differ from the masked ones by {difference:.1g}.")

# %% [markdown]
# The mask pays off in training: one pass over T tokens gives the same outputs as T passes over longer and
# longer prefixes. So training learns from all T predictions at once.

# %%
C = 8
x = torch.randn(T, C)


def attend(x):  # (T, C) -> (T, C)
    mask = torch.ones(len(x), len(x)).tril() == 0
    scores = (x @ x.mT * C**-0.5).masked_fill(mask, float("-inf"))
    return scores.softmax(dim=-1) @ x


prefixes = torch.stack([attend(x[: t + 1])[-1] for t in range(T)])
gap = (attend(x) - prefixes).abs().max()

print(f"One pass ↔ {T} passes: the largest difference is {gap:.1g}, in numbers up to {x.abs().max():.2f}.")

# %% [markdown]
# ## The same on a run
#
# The share of the weight on the token itself and on later tokens, in each self-attention: of a decoder, and
# of a translator, which has an encoder, too.

# %%
import glassgpt as gg
from glassgpt.explain import BUILTIN, held_out_text

RUN = BUILTIN / "text"  # or the folder of your own run: "runs/notes"
shares = []
for run in (RUN, BUILTIN / "dates"):
    trace = gg.trace(*gg.load_run(run), held_out_text(run))
    for attn in trace.kinds.get("encoder", []) + trace.kinds["attn"]:
        W = trace.tensors[f"{attn}.weights"].mean(0)  # (T, T)
        own, later = W.diagonal().mean(), W.triu(1).sum(1).mean()
        shares.append(f"{attn} {own:.0%} / {later:.0%}")
n_encoder = len(trace.kinds["encoder"])

print(f"Itself / later: {', '.join(shares)}.")
print(f"The last run has {n_encoder} layers with an encoder's attention: only they look ahead.")
