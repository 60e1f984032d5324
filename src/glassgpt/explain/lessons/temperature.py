"""Lesson `temperature`: logits divided by T before the softmax."""

# %% [markdown]
# The softmax turns logits into probabilities. The temperature T divides the logits first: above 1 it makes
# the distribution flatter, below 1 sharper.

# %%
import torch
import torch.nn.functional as F

LOGITS = [0.1, 0.7, 0.2]
logits = torch.tensor(LOGITS)  # (V,)
HOT, COLD = 1.5, 0.5
plain = F.softmax(logits, dim=0)
flat = F.softmax(logits / HOT, dim=0)
sharp = F.softmax(logits / COLD, dim=0)

print(f"T = {HOT}: {flat.numpy().round(3)}, flatter.")
print(f"T = 1: {plain.numpy().round(3)}, the plain softmax.")
print(f"T = {COLD}: {sharp.numpy().round(3)}, sharper.")

# %% [markdown]
# The ratio of two probabilities is exp((z₁ − z₂) / T). So the ratio at T is the ratio at 1 to the power 1/T.

# %%
high, low = plain.argmax(), plain.argmin()
ratio = plain[high] / plain[low]
sharp_ratio = sharp[high] / sharp[low]

print(
    f"The largest probability is {ratio:.3f} times the smallest at T = 1, and {sharp_ratio:.3f} times at T = "
    f"{COLD}: {ratio:.3f} to the power {1 / COLD:g} is {ratio ** (1 / COLD):.3f}."
)

# %% [markdown]
# The entropy H = −Σ p ln p says how open the choice is. It rises with T, up to ln V.

# %%
T = torch.linspace(0.1, 5, 50)  # (50,) temperatures
p = F.softmax(logits / T[:, None], dim=1)  # (50, V): a row for each
H = -(p * p.log()).sum(1)  # (50,) nats
n_rises = int((H.diff() > 0).sum())

print(f"From T = {T[0]:.1f} to {T[-1]:.1f} the entropy rises in {n_rises} of {len(H) - 1} steps.")
print(
    f"It goes from {H[0]:.3f} to {H[-1]:.3f} nats; ln {len(logits)} = {torch.tensor(len(logits)).log():.3f}."
)

# %% [markdown]
# Towards T = 0 the largest logit takes all: that is greedy decoding, `argmax`. T = 0 itself divides by zero.

# %%
greedy = F.softmax(logits / 0.01, dim=0)
at_zero = F.softmax(logits / 0.0, dim=0)
n_undefined = int(at_zero.isnan().sum())

print(f"T = 0.01: {greedy.numpy().round(3)}. Token {logits.argmax()} has it all.")
print(f"T = 0: {n_undefined} of {len(at_zero)} probabilities have no value.")

# %% [markdown]
# ## The same on a run
#
# A trained model, and the token after a held-out text. e^H is the number of equally probable tokens with the
# same entropy.

# %%
import glassgpt as gg
from glassgpt.explain import BUILTIN, held_out_text

RUN = BUILTIN / "text"  # or the folder of your own run: "runs/notes"
model, tokenizer = gg.load_run(RUN)
tokens = torch.tensor([tokenizer.encode(held_out_text(RUN))])  # (1, T)
with torch.no_grad():
    z = model(tokens)[0, -1]  # (V,)
p = F.softmax(z / torch.tensor([[COLD], [1.0], [HOT]]), dim=1)  # (3, V)
most = p.amax(1)  # (3,)
choices = torch.special.entr(p).sum(1).exp()  # (3,)

print(
    f"The most probable token, {tokenizer.decode([int(z.argmax())])!r}, has the probability {most[0]:.2f} at "
    f"T = {COLD}, {most[1]:.2f} at 1 and {most[2]:.2f} at {HOT}."
)
print(
    f"That is as open as {choices[0]:.1f}, {choices[1]:.1f} and {choices[2]:.1f} equally probable tokens, of "
    f"{len(z)}."
)
