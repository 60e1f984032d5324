"""The GPT of a "build it from scratch" lecture, in the lecture's own steps.

    python examples/lecture_gpt.py notes.txt 1000          # the whole GPT
    python examples/lecture_gpt.py notes.txt 1000 head     # a lower rung: bigram, head, heads, block

It needs torch alone. The architecture is that of GPT-2, the `gpt2` preset of GlassGPT: learned positions,
LayerNorm, GELU. A test holds that both compute the same logits. `gpt_in_one_file.py` has a newer one, which
learns faster; `glassgpt explain ladder` trains the same five rungs and compares them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    """B is the batch, T a sequence's length, C = n_embd, H = n_head, D = C / H, V = n_vocab."""

    n_vocab: int
    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 128
    block_size: int = 64


class Bigram(nn.Module):
    """Rung 1: a table. Row i holds the logits of the token that follows token i."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.table = nn.Embedding(config.n_vocab, config.n_vocab)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.table(tokens)  # (B, T) -> (B, T, V)


class Head(nn.Module):
    """Rung 2: attention. Each token gathers from itself and the tokens before it."""

    tril: Tensor

    def __init__(self, config: Config, head_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(config.n_embd, head_size)
        self.key = nn.Linear(config.n_embd, head_size)
        self.value = nn.Linear(config.n_embd, head_size)
        # A buffer moves with the model and is no parameter: nothing trains it.
        self.register_buffer("tril", torch.ones(config.block_size, config.block_size).tril())

    def forward(self, x: Tensor) -> Tensor:
        T = x.shape[1]
        q, k, v = self.query(x), self.key(x), self.value(x)  # (B, T, D) each
        weights = q @ k.mT * q.shape[-1] ** -0.5  # (B, T, D) @ (B, D, T) -> (B, T, T)
        weights = weights.masked_fill(self.tril[:T, :T] == 0, float("-inf"))
        weights = weights.softmax(dim=-1)  # each row sums to 1
        return weights @ v  # (B, T, T) @ (B, T, D) -> (B, T, D): weighted sums of the values


class MultiHead(nn.Module):
    """Rung 3: several heads side by side, each with its own question, and a matrix that mixes them."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        head_size = config.n_embd // config.n_head
        self.heads = nn.ModuleList(Head(config, head_size) for _ in range(config.n_head))
        self.proj = nn.Linear(config.n_embd, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(torch.cat([head(x) for head in self.heads], dim=-1))  # H of (B, T, D) -> (B, T, C)


class FeedForward(nn.Module):
    """Computation: each token works alone on what it has gathered."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.proj = nn.Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(F.gelu(self.fc(x), approximate="tanh"))  # the lecture has a ReLU here


class Block(nn.Module):
    """Rung 4: communication, then computation, each added to the residual stream x."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(config.n_embd)
        self.attn = MultiHead(config)
        self.norm_2 = nn.LayerNorm(config.n_embd)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


def blocks(config: Config) -> nn.Module:
    """Rung 5: a stack of blocks, and a norm before the head."""
    return nn.Sequential(*(Block(config) for _ in range(config.n_layer)), nn.LayerNorm(config.n_embd))


class GPT(nn.Module):
    """Tokens (B, T) in, logits of the next token (B, T, V) out; `body` is the rung."""

    def __init__(self, config: Config, body: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.n_vocab, config.n_embd)  # what the token is
        self.wpe = nn.Embedding(config.block_size, config.n_embd)  # where it stands
        self.body = body
        self.lm_head = nn.Linear(config.n_embd, config.n_vocab, bias=False)
        for p in self.parameters():
            if p.ndim == 2:
                nn.init.normal_(p, std=0.02)  # small logits: the first loss is about ln V

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.wte(tokens) + self.wpe(places)  # (B, T, C) + (T, C)
        return self.lm_head(self.body(x))


RUNGS = {
    "bigram": Bigram,
    "head": lambda config: GPT(config, Head(config, config.n_embd)),
    "heads": lambda config: GPT(config, MultiHead(config)),
    "block": lambda config: GPT(config, Block(config)),
    "gpt": lambda config: GPT(config, blocks(config)),
}
RATES = {"bigram": 0.1, "head": 0.01, "heads": 0.01, "block": 0.003, "gpt": 0.003}


def batch(ids: Tensor, T: int, B: int = 16) -> tuple[Tensor, Tensor]:
    """Draw B windows of T tokens; the targets are the same windows one token later."""
    starts = torch.randint(len(ids) - T, (B, 1))
    rows = ids[starts + torch.arange(T + 1)]  # (B, T + 1)
    return rows[:, :-1], rows[:, 1:]


def loss_of(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy: the mean of −ln p(target), in nats."""
    return F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())  # (B · T, V) and (B · T,)


@torch.no_grad()
def evaluate(model: nn.Module, ids: Tensor, T: int) -> float:
    """Loss on a whole text, in windows of T tokens that do not overlap."""
    n = (len(ids) - 1) // T * T
    return loss_of(model, ids[:n].view(-1, T), ids[1 : n + 1].view(-1, T)).item()


@torch.no_grad()
def generate(model: nn.Module, tokens: Tensor, n: int, block_size: int, temperature: float = 1.0) -> Tensor:
    """Continue each row of tokens (B, T) by n tokens, one after the other."""
    for _ in range(n):
        logits = model(tokens[:, -block_size:])[:, -1]  # (B, V): the last position predicts the new token
        probabilities = (logits / temperature).softmax(dim=-1)
        tokens = torch.cat((tokens, torch.multinomial(probabilities, num_samples=1)), dim=1)
    return tokens


def train(text: str, steps: int, rung: str = "gpt") -> tuple[nn.Module, list[str]]:
    """Train a rung on the characters of a text; its last tenth is held out."""
    characters = sorted(set(text))
    id_of = {character: i for i, character in enumerate(characters)}
    ids = torch.tensor([id_of[character] for character in text])
    split, config = int(0.9 * len(ids)), Config(n_vocab=len(characters))
    model = RUNGS[rung](config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATES[rung])
    for step in range(steps):
        if step % 100 == 0:
            print(f"step {step:4}  held-out loss {evaluate(model, ids[split:], config.block_size):.3f} nats")
        loss = loss_of(model, *batch(ids[:split], config.block_size))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"step {steps:4}  held-out loss {evaluate(model, ids[split:], config.block_size):.3f} nats")
    return model, characters


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or (sys.argv[3:] and sys.argv[3] not in RUNGS):
        sys.exit(f"usage: python lecture_gpt.py TEXT_FILE STEPS [{'|'.join(RUNGS)}]")
    trained, characters = train(Path(sys.argv[1]).read_text("utf-8"), int(sys.argv[2]), *sys.argv[3:])
    drawn = generate(trained, torch.zeros(1, 1, dtype=torch.long), 300, Config.block_size)[0].tolist()
    print("".join(characters[i] for i in drawn))
