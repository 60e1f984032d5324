"""Lesson `sampling`: `torch.multinomial` with and without replacement, from a vector and from a matrix."""

# %% [markdown]
# A model outputs a probability for each token. `torch.multinomial` draws ids from them. Without replacement,
# a drawn id is gone, and the other probabilities are normalized again.

# %%
import torch

torch.manual_seed(1337)
PROBS = [0.2, 0.5, 0.3]
p = torch.tensor(PROBS)  # (3,)
ids = torch.multinomial(p, num_samples=len(p))  # without replacement
n_different = len(ids.unique())

print(
    f"{len(p)} draws gave {ids.tolist()}: {n_different} different ids of {len(p)}. Only the order is random."
)

# %% [markdown]
# One draw more has nothing left.

# %%
refusal = ""
try:
    torch.multinomial(p, num_samples=len(p) + 1)
except RuntimeError as error:
    refusal = str(error).partition("\n")[0]

print(f"Torch refuses {len(p) + 1} draws: “{refusal}”.")

# %% [markdown]
# With replacement an id can come again. A matrix holds one distribution in each row, and each row is drawn
# from by itself.

# %%
SECOND_ROW = [0.6, 0.1, 0.3]
matrix = torch.tensor([PROBS, SECOND_ROW])  # (2, 3)
ids = torch.multinomial(matrix, num_samples=2, replacement=True)  # (2, 2)

print(f"Two draws from each row: {ids[0].tolist()} from the first, {ids[1].tolist()} from the second.")

# %% [markdown]
# The orders of draws without replacement are not equally probable. First i, then j, has the probability
# p_i · p_j / (1 − p_i): once i is gone, the rest must sum to 1 again. Count them:

# %%
N = 4000
orders = torch.multinomial(p.expand(N, -1), num_samples=2)  # (N, 2)
i, j = 1, 2
share = ((orders[:, 0] == i) & (orders[:, 1] == j)).float().mean()
theory = p[i] * p[j] / (1 - p[i])

print(f"First {i}, then {j}: in {share:.3f} of {N} pairs without replacement. Theory: {theory:.3f}.")

# %% [markdown]
# With replacement, both draws of a pair are alike with the probability Σ p².

# %%
pairs = torch.multinomial(p, 2 * N, replacement=True).view(N, 2)
alike = (pairs[:, 0] == pairs[:, 1]).float().mean()
expected = (p**2).sum()

print(f"The same id twice: in {alike:.3f} of {N} pairs with replacement. Theory: {expected:.3f}.")

# %% [markdown]
# ## The same on a run
#
# The probabilities of a trained model are such a vector, only longer. These are for the token after a
# held-out text.

# %%
import glassgpt as gg
from glassgpt.explain import BUILTIN, held_out_text

RUN = BUILTIN / "text"  # or the folder of your own run: "runs/notes"
model, tokenizer = gg.load_run(RUN)
tokens = torch.tensor([tokenizer.encode(held_out_text(RUN))])  # (1, T)
with torch.no_grad():
    next_p = model(tokens)[0, -1].softmax(-1)  # (V,)
drawn = torch.multinomial(next_p, N, replacement=True)
best = int(next_p.argmax())
drawn_best = (drawn == best).float().mean()

print(
    f"The most probable of {len(next_p)} tokens is {tokenizer.decode([best])!r}: it has the probability "
    f"{next_p[best]:.3f}, and came in {drawn_best:.3f} of {N} draws."
)
print(f"The draws gave {len(drawn.unique())} different tokens.")
