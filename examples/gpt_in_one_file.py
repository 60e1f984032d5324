"""A whole GPT in one reading: the `modern` model of GlassGPT, its training and its sampling.

    python gpt_in_one_file.py notes.txt 1000

It needs torch alone. Everything here has a home of its own in the library, where it is faster and can do
more; the names are the same, so weights move from one to the other, and a test holds that both compute the
same logits.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    """B is the batch, T the length of a sequence, C = n_embd, H = n_head, D = C / H, V = n_vocab."""

    n_vocab: int
    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 128
    block_size: int = 64
    n_hidden: int = 352  # about 8/3 · n_embd: three matrices as large as the usual two of 4 · n_embd


def rotate(x: Tensor) -> Tensor:
    """Rotary positions: turn each pair of coordinates of x (B, H, T, D) by an angle that grows with place.

    The product of a turned query with a turned key depends on how far apart they are, and on nothing else of
    where they stand.
    """
    T, D = x.shape[-2:]
    frequency = 10_000.0 ** (-torch.arange(0, D, 2, device=x.device).float() / D)  # (D / 2,)
    angle = torch.outer(torch.arange(T, device=x.device).float(), frequency)  # (T, D / 2)
    a, b = x.chunk(2, dim=-1)  # (B, H, T, D / 2) each
    return torch.cat((a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()), dim=-1)


class Attention(nn.Module):
    """Communication: each token gathers from itself and the tokens before it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.n_head, C = config.n_head, config.n_embd
        self.qkv = nn.Linear(C, 3 * C, bias=False)
        self.proj = nn.Linear(C, C, bias=False)
        self.q_norm = nn.RMSNorm(C // config.n_head, eps=1e-6)
        self.k_norm = nn.RMSNorm(C // config.n_head, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        heads = self.qkv(x).view(B, T, 3, self.n_head, C // self.n_head)  # (B, T, 3, H, D)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # (B, H, T, D) each
        q, k = rotate(self.q_norm(q)), rotate(self.k_norm(k))
        scores = q @ k.mT / q.shape[-1] ** 0.5  # (B, H, T, T): how well each query agrees with each key
        future = torch.ones(T, T, dtype=torch.bool, device=x.device).triu(1)
        weights = scores.masked_fill(future, -torch.inf).softmax(dim=-1)  # each row sums to 1
        y = weights @ v  # (B, H, T, D): each row a weighted sum of the values
        return self.proj(y.transpose(1, 2).reshape(B, T, C))


class MLP(nn.Module):
    """Computation: what each token does with what it has gathered."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.fc = nn.Linear(config.n_embd, 2 * config.n_hidden, bias=False)
        self.proj = nn.Linear(config.n_hidden, config.n_embd, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.fc(x).chunk(2, dim=-1)  # (B, T, n_hidden) each
        return self.proj(F.silu(gate) * up)


class Block(nn.Module):
    """Communication, then computation, each added to what was there: x is the residual stream."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norm_1 = nn.RMSNorm(config.n_embd, eps=1e-6)
        self.attn = Attention(config)
        self.norm_2 = nn.RMSNorm(config.n_embd, eps=1e-6)
        self.mlp = MLP(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


class GPT(nn.Module):
    """Tokens (B, T) in, logits of the next token (B, T, V) out."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.n_vocab, config.n_embd)
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.n_layer)))
        self.norm_f = nn.RMSNorm(config.n_embd, eps=1e-6)
        self.lm_head = nn.Linear(config.n_embd, config.n_vocab, bias=False)
        # Each block begins as the identity and each logit as 0, so the first loss is exactly ln V.
        nn.init.zeros_(self.lm_head.weight)
        for name, p in self.named_parameters():
            if name.endswith("proj.weight"):
                nn.init.zeros_(p)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.lm_head(self.norm_f(self.blocks(self.wte(tokens))))

    @torch.no_grad()
    def generate(self, tokens: Tensor, n: int, temperature: float = 0.8) -> Tensor:
        """Continue each row of tokens (B, T) by n tokens, one after the other."""
        for _ in range(n):
            logits = self(tokens[:, -self.config.block_size :])[:, -1]  # (B, V): only the last place is new
            drawn = torch.multinomial((logits / temperature).softmax(dim=-1), 1)  # (B, 1)
            tokens = torch.cat((tokens, drawn), dim=1)
        return tokens


def batch(ids: Tensor, T: int, B: int) -> tuple[Tensor, Tensor]:
    """B random windows of T tokens, and the same windows one token later: what the model should say."""
    starts = torch.randint(len(ids) - T, (B,))
    rows = ids[starts[:, None] + torch.arange(T + 1)]  # (B, T + 1)
    return rows[:, :-1], rows[:, 1:]


def loss_of(model: GPT, tokens: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy: the mean of −ln p(target), in nats."""
    return F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())


@torch.no_grad()
def evaluate(model: GPT, ids: Tensor) -> float:
    """Loss on a whole text, in windows that do not overlap."""
    T = model.config.block_size
    n = (len(ids) - 1) // T * T
    return loss_of(model, ids[:n].view(-1, T), ids[1 : n + 1].view(-1, T)).item()


def train(text: str, steps: int, B: int = 16, lr: float = 0.004) -> tuple[GPT, list[str]]:
    """A model of the characters of a text, its last tenth held out."""
    characters = sorted(set(text))
    id_of = {character: i for i, character in enumerate(characters)}
    ids = torch.tensor([id_of[character] for character in text])
    split = int(0.9 * len(ids))
    model = GPT(Config(n_vocab=len(characters)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.99), fused=True)
    began = time.monotonic()
    for step in range(steps):
        if step % 100 == 0:
            val, seconds = evaluate(model, ids[split:]), time.monotonic() - began
            print(f"step {step:4}  val {val:.3f} nats  {seconds:.0f} s")
        for group in optimizer.param_groups:
            group["lr"] = lr * min((step + 1) / 50, 1 - step / steps)  # a short rise, a straight line to zero
        loss = loss_of(model, *batch(ids[:split], model.config.block_size, B))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    print(f"step {steps:4}  val {evaluate(model, ids[split:]):.3f} nats")
    return model, characters


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python gpt_in_one_file.py TEXT_FILE STEPS")
    trained, characters = train(Path(sys.argv[1]).read_text("utf-8"), int(sys.argv[2]))
    drawn = trained.generate(torch.zeros(1, 1, dtype=torch.long), 500)[0].tolist()
    print("".join(characters[i] for i in drawn))
