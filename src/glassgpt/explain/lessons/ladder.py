"""Lesson `ladder`: from a bigram table to a GPT, the steps of examples/lecture_gpt.py in small."""

# %% [markdown]
# Five models learn the same text, each with one part more than the one before. The text here is made of
# random words: inside a word the next character is almost certain, if a model remembers how the word began.

# %%
import torch
import torch.nn.functional as F
from torch import Tensor, nn

torch.manual_seed(1337)
torch.set_num_threads(1)  # such small models gain nothing from more
WORDS = "the moon sees seven green boats on a cold river".split()
picks = torch.randint(len(WORDS), (3000,)).tolist()
text = " ".join([WORDS[i] for i in picks])
characters = sorted(set(text))
V = len(characters)
ids = torch.tensor([characters.index(c) for c in text])  # (n,)
uniform = torch.tensor(V).log()
floor = len(picks) * torch.tensor(len(WORDS)).log() / len(ids)

print(f"“{text[:40]}…”: {len(ids):,} characters, {V} different.")
print(f"A uniform guess costs {uniform:.2f} nats. The words are random, so no model gets below {floor:.2f}.")

# %% [markdown]
# Rung 1, a bigram table: row i holds the logits of the character after character i. The last tenth of the
# text is held out, to measure.

# %%
STEPS, B, T, C = 150, 32, 8, 32


def train(model, ids, rate):  # ids: (n,); returns the held-out loss
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    end = len(ids) * 9 // 10
    for _ in range(STEPS):
        rows = ids[torch.randint(end - T, (B, 1)) + torch.arange(T + 1)]
        optimizer.zero_grad()
        F.cross_entropy(model(rows[:, :-1]).mT, rows[:, 1:]).backward()
        optimizer.step()
    rows = ids[end:].unfold(0, T + 1, T)  # (N, T + 1)
    with torch.no_grad():
        return F.cross_entropy(model(rows[:, :-1]).mT, rows[:, 1:]).item()


bigram = train(nn.Embedding(V, V), ids, 0.1)  # (B, T) -> (B, T, V)

print(f"Bigram: {bigram:.3f} nats after {STEPS} steps of {B * T} characters.")

# %% [markdown]
# A character becomes a vector of C numbers, its position another one. Without anything between, the head that
# predicts sees no more than the table did, and where in the window it stands.


# %%
class GPT(nn.Module):
    def __init__(self, V, body):
        super().__init__()
        self.wte = nn.Embedding(V, C)  # the token
        self.wpe = nn.Embedding(T, C)  # its position
        self.body = body
        self.lm_head = nn.Linear(C, V)

    def forward(self, tokens):  # (B, T) -> (B, T, V)
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        return self.lm_head(self.body(x))


vectors = train(GPT(V, nn.Identity()), ids, 0.01)

print(f"Vectors and positions alone: {vectors:.3f} nats, {vectors - bigram:+.3f} next to the bigram.")

# %% [markdown]
# Rung 2, a head of attention: each character gathers from itself and those before it.


# %%
class Head(nn.Module):
    tril: Tensor

    def __init__(self, D):
        super().__init__()
        self.qkv = nn.Linear(C, 3 * D)
        self.register_buffer("tril", torch.ones(T, T).tril())

    def forward(self, x):  # (B, T, C) -> (B, T, D)
        q, k, v = self.qkv(x).chunk(3, dim=-1)  # (B, T, D) each
        scores = q @ k.mT * q.shape[-1] ** -0.5  # (B, T, T)
        scores = scores.masked_fill(self.tril == 0, float("-inf"))
        return scores.softmax(dim=-1) @ v


head = train(GPT(V, Head(C)), ids, 0.01)

print(f"One head: {head:.3f} nats, {head - vectors:+.3f} next to the rung below.")

# %% [markdown]
# Rung 3, several heads: each gathers with its own weights, in a part of the width.

# %%
H = 4


class MultiHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList(Head(C // H) for _ in range(H))
        self.proj = nn.Linear(C, C)

    def forward(self, x):  # (B, T, C) -> (B, T, C)
        y = [head(x) for head in self.heads]  # (B, T, C / H) each
        return self.proj(torch.cat(y, dim=-1))


heads = train(GPT(V, MultiHead()), ids, 0.01)

print(f"{H} heads: {heads:.3f} nats, {heads - head:+.3f} next to the rung below.")

# %% [markdown]
# Rung 4, a block: attention, then an MLP, each after a norm and added to the residual stream.


# %%
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = nn.Sequential(nn.LayerNorm(C), MultiHead())
        wide = 4 * C
        mlp = [nn.Linear(C, wide), nn.GELU(), nn.Linear(wide, C)]
        self.mlp = nn.Sequential(nn.LayerNorm(C), *mlp)

    def forward(self, x):  # (B, T, C) -> (B, T, C)
        x = x + self.attn(x)  # communication
        return x + self.mlp(x)  # computation


block = train(GPT(V, Block()), ids, 0.01)

print(f"A block: {block:.3f} nats, {block - heads:+.3f} next to the rung below.")

# %% [markdown]
# Rung 5, a GPT: several blocks, and a norm before the head.

# %%
N_LAYER = 2
blocks = [Block() for _ in range(N_LAYER)]
model = GPT(V, nn.Sequential(*blocks, nn.LayerNorm(C)))
gpt = train(model, ids, 0.01)
n_params = sum(p.numel() for p in model.parameters())

print(
    f"{N_LAYER} blocks: {gpt:.3f} nats, {gpt - block:+.3f} next to the rung below; {n_params:,} parameters."
)
print(f"From the first rung to the last, {bigram - gpt:.2f} nats.")

# %% [markdown]
# ## The same on a run
#
# The first and the last rung, on the text of a run. Its own model learned longer and sees more than T
# tokens.

# %%
import glassgpt as gg
from glassgpt.explain import BUILTIN, ChapterContext

RUN = BUILTIN / "text"  # or the folder of your own run: "runs/notes"
tokenizer = gg.load_run(RUN)[1]
demo = ChapterContext(RUN).demo("gpt", "bigram", "encoder")
own = torch.from_numpy(demo.tokens.train.ids[:20_000].astype("int64"))
start = tokenizer.decode(own[:40].tolist())
kinds, own = own.unique(return_inverse=True)  # (V,), (n,)
own_bigram = train(nn.Embedding(len(kinds), len(kinds)), own, 0.1)
body = nn.Sequential(Block(), Block(), nn.LayerNorm(C))
own_gpt = train(GPT(len(kinds), body), own, 0.01)

print(f"{start!r}…: {len(own):,} tokens, {len(kinds)} different.")
print(f"The bigram costs {own_bigram:.2f} nats a token, the GPT {own_gpt:.2f}.")
