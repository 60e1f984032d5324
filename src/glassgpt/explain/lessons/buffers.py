"""Lesson `buffers`: `register_buffer`, next to a parameter and a plain attribute."""

# %% [markdown]
# A mask belongs to a head, but must not be trained. `register_buffer` says so.

# %%
import torch
from torch import Tensor, nn

T, D = 8, 16


class Head(nn.Module):
    tril: Tensor

    def __init__(self):
        super().__init__()
        self.key = nn.Linear(D, D, bias=False)  # its weight is a parameter
        self.register_buffer("tril", torch.ones(T, T).tril())
        self.plain = torch.ones(T, T).tril()  # an attribute like any other


head = Head()
parameters = dict(head.named_parameters())
buffers = dict(head.named_buffers())
n_trained = sum(p.numel() for p in parameters.values())

print(f"Parameters: {list(parameters)}, {n_trained} numbers.")
print(f"Buffers: {list(buffers)}, {head.tril.numel()} numbers. `plain` is neither.")

# %% [markdown]
# The optimizer gets the parameters. After a step with weight decay they differ; the buffer does not.

# %%
RATE = 0.1
weight = head.key.weight.detach().clone()
optimizer = torch.optim.AdamW(head.parameters(), lr=RATE)
head.key(torch.randn(T, D)).sum().backward()
optimizer.step()
moved = (head.key.weight - weight).abs().max()
mask_moved = (head.tril - torch.ones(T, T).tril()).abs().max()

print(f"After one step the weight moved by {moved:.2f}, the mask by {mask_moved:.2f}.")

# %% [markdown]
# A mask as a parameter would have been trained: weight decay alone shrinks all its ones.

# %%
mask = nn.Parameter(torch.ones(T, T).tril())
optimizer = torch.optim.AdamW([mask], lr=RATE, weight_decay=0.1)
mask.grad = torch.zeros(T, T)  # no gradient at all
optimizer.step()

print(f"As a parameter without any gradient, the mask's ones are {mask.max():.3f} after one step.")

# %% [markdown]
# `.to(…)` moves parameters and buffers. An attribute stays behind, and the next step fails. The device `meta`
# is there on each machine.

# %%
DEVICE = "meta"
there = Head().to(DEVICE)
scores = torch.zeros(T, T, device=DEVICE)
scores.masked_fill(there.tril == 0, float("-inf"))  # works
refusal = ""
try:
    scores.masked_fill(there.plain == 0, float("-inf"))
except RuntimeError as error:
    refusal = str(error).partition("\n")[0]

print(f"The buffer is on {there.tril.device}, the attribute on {there.plain.device}. Torch: “{refusal}”.")

# %% [markdown]
# A buffer is saved with the weights. `persistent=False` keeps it out of the file: good for all that can be
# computed again. Statistics cannot; BatchNorm saves them.

# %%
PERSISTENT = False
head.register_buffer("again", torch.ones(T, T).tril(), PERSISTENT)
saved = list(head.state_dict())
skipped = [name for name, _ in head.named_buffers() if name not in saved]
statistics = [name for name, _ in nn.BatchNorm1d(D).named_buffers()]

print(f"Saved: {saved}, not {skipped}.")
print(f"BatchNorm's buffers: {statistics}.")

# %% [markdown]
# ## The same on a run
#
# The buffers of a trained model. Rotary tables of angles are computed again, not saved.

# %%
import glassgpt as gg
from glassgpt.explain import BUILTIN

RUN = BUILTIN / "text"  # or the folder of your own run: "runs/notes"
model = gg.load_run(RUN)[0]
buffers = dict(model.named_buffers())
shapes = {name: tuple(buffer.shape) for name, buffer in buffers.items()}
n_saved = len(buffers.keys() & model.state_dict().keys())
n_trained = len(list(model.parameters()))

print(f"Buffers and their shapes: {shapes}. Saved with the weights: {n_saved} of {len(buffers)}.")
print(f"The model has {n_trained} parameters, {model.n_params:,} numbers.")
