"""Lesson `block`: the residual stream, a norm, an MLP, and a stack of blocks with and without the path."""

# %% [markdown]
# Attention lets tokens talk. A block adds what else a transformer needs: a stream that keeps what was there,
# a norm in front of each part, and an MLP that works on what attention gathered.

# %%
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
B, T = 4, 8
C = 64
x = 3 * torch.randn(B, T, C)  # (B, T, C): the stream, here with RMS 3
norm = nn.LayerNorm(C)
read = norm(x)  # (B, T, C)

print(
    f"The stream has RMS {x.square().mean().sqrt():.2f}. A part reads RMS {read.square().mean().sqrt():.2f}."
)
print(f"Half the stream gives the same: the difference is {(norm(x / 2) - read).abs().max():.1g}.")

# %% [markdown]
# An MLP widens each token to 4C numbers, drops the negative ones, and returns to C. No token sees another.

# %%
mlp = nn.Sequential(nn.Linear(C, 4 * C), nn.ReLU(), nn.Linear(4 * C, C))
written = mlp(read)  # (B, T, C) -> (B, T, 4C) -> (B, T, C)
x_after = x + written  # the residual path: add, and do not replace
alone = mlp(read[:, :1])  # the first token without the others
gap = (alone - written[:, :1]).abs().max()
n_weights = sum(p.numel() for p in mlp.parameters())

print(f"The MLP has {n_weights:,} weights for C = {C}: about 8C².")
print(f"The first token alone gives the same up to {gap:.1g}: tokens do not meet in an MLP.")
print(f"It adds RMS {written.square().mean().sqrt():.2f} to a stream of RMS 3: the token stays itself.")

# %% [markdown]
# Now many blocks. At a ReLU half of the gradient's square is lost: without the path it falls like 2^(−L/2).
# With the path it arrives whole, and each part adds to it.

# %%
L = 32  # layers


def gradient(with_path):
    torch.manual_seed(1)
    x0 = torch.randn(64, C, requires_grad=True)
    x = x0
    for _ in range(L):
        W = torch.randn(C, C) * C**-0.5
        out = F.relu(F.layer_norm(x, (C,)) @ W if with_path else x @ W)
        x = x + out if with_path else out
    g = torch.randn(x.shape)
    return torch.autograd.grad((x * g).sum(), x0)[0].norm() / g.norm()


without, with_path = gradient(False), gradient(True)

print(f"{L} layers without the path leave {without:.1e} of the gradient; theory: {2 ** (-L / 2):.1e}.")
print(f"With the path, {with_path:.2f} times as much arrives as was sent.")

# %% [markdown]
# ## The same on a run
#
# Take parts away from a trained model: an edit replaces what a part writes by zeros.

# %%
import glassgpt as gg
from glassgpt.explain import BUILTIN, held_out_text

RUN = BUILTIN / "text"  # or the folder of your own run: "runs/notes"
model, tokenizer = gg.load_run(RUN)
ids = torch.tensor([tokenizer.encode(held_out_text(RUN))])  # (1, T)


@torch.no_grad()
def loss(edits):
    with gg.edit(model, edits):
        return F.cross_entropy(model(ids[:, :-1]).mT, ids[:, 1:]).item()


whole = loss({"blocks.0.mlp.out": lambda out: out})
no_mlp = loss({"blocks.*.mlp.out": torch.zeros_like})
no_attention = loss({"blocks.*.attn.out": torch.zeros_like})

print(f"The model pays {whole:.2f} nats a token on a held-out text.")
print(f"Without its MLPs it pays {no_mlp:.2f}, without attention {no_attention:.2f}.")
