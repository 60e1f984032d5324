"""Lesson `loss`: the cross-entropy of a uniform guess, of a new table and of a trained model."""

# %% [markdown]
# A model gives each of V tokens a probability. The loss is −ln of the one that the right token got. A
# guess without a preference gives each token 1/V, and costs ln V.

# %%
import torch
import torch.nn.functional as F

V = 65  # characters of tinyshakespeare
logits = torch.zeros(1, V)  # (1, V): no preference
target = torch.tensor([0])
uniform = F.cross_entropy(logits, target)

print(f"A uniform guess over {V} tokens costs {uniform:.2f} nats: ln {V}.")

# %% [markdown]
# A bigram model is a table: row i holds the logits of the token after token i. A new table is drawn from
# N(0, 1). It knows nothing, and yet it has strong opinions; so it pays more than a uniform guess.

# %%
torch.manual_seed(1337)
table = torch.nn.Embedding(V, V)  # V rows of V logits from N(0, 1)
tokens, targets = torch.randint(V, (2, 32))  # (32,) each, at random
loss = F.cross_entropy(table(tokens), targets)

print(f"This new table costs {loss:.2f} nats on {len(tokens)} tokens: {loss - uniform:+.2f} next to ln V.")

# %% [markdown]
# How much more? For logits from N(0, σ²), about σ²/2. One batch says little, so draw many.

# %%
sigma = 1.0
z = sigma * torch.randn(300, 32, V)  # 300 batches of 32 rows of logits
y = torch.randint(V, (300, 32))
losses = F.cross_entropy(z.mT, y, reduction="none").mean(1)  # (300,)

print(
    f"{len(losses)} batches cost {losses.mean():.2f} ± {losses.std():.2f} nats (mean ± standard deviation)."
)
print(f"Theory: ln V + σ²/2 = {uniform:.2f} + {sigma**2 / 2:.2f} = {uniform + sigma**2 / 2:.2f}.")
print(f"The 4.87 of the notes is one batch, {(4.87 - losses.mean()) / losses.std():+.1f} deviations away.")

# %% [markdown]
# ## The same on a run
#
# A trained model has learned which token comes next, and pays less. The text comes from the held-out part of
# the run's data.

# %%
import glassgpt as gg
from glassgpt.explain import BUILTIN, held_out_text

RUN = BUILTIN / "text"  # or the folder of your own run: "runs/notes"
model, tokenizer = gg.load_run(RUN)
ids = torch.tensor([tokenizer.encode(held_out_text(RUN))])  # (1, T)
with torch.no_grad():
    own = F.cross_entropy(model(ids[:, :-1]).mT, ids[:, 1:])
n_vocab = tokenizer.n_vocab
ln_V = torch.tensor(n_vocab).log()

print(
    f"The trained model pays {own:.2f} nats a token. A uniform guess over its {n_vocab} tokens would "
    f"cost {ln_V:.2f}."
)
print(f"Its right tokens got the probability {torch.exp(-own):.2f} (geometric mean), not 1/{n_vocab}.")
