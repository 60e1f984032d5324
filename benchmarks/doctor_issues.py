"""Eleven faults that were reported of other libraries, ported by their mechanism into small models.

The list is that of DEFault++ (arXiv 2604.28118), which detects 8 and names 4 causes. Each port changes one
step of a model as the issue describes it, and is examined as its user would do it. `causes` are the doctor's
words that name the mechanism; `categories` are the parts where a reader would look for it.
"""

# Bugs change models in ways that types forbid.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from doctor_cases import T, V, batch_of
from doctor_llama import IGNORE, Attention, LlamaConfig, Past, SmallLlama
from glassgpt.diagnose import Examination
from glassgpt.doctor import examine

CACHE = frozenset({"cached states are used wrongly", "the cache loses the beginning"})


@dataclass(frozen=True)
class Issue:
    """A reported fault: where it was reported, what should be named, and the visit of the ported mutant."""

    name: str
    what: str
    categories: frozenset[str]
    causes: frozenset[str]
    visit: Callable[[bool], Examination]
    """Examine the mutant, or with False its healthy twin."""


ISSUES: list[Issue] = []


def issue(
    name: str, what: str, categories: set[str], causes: set[str] | frozenset[str]
) -> Callable[[Callable[[bool], Examination]], None]:
    def add(visit: Callable[[bool], Examination]) -> None:
        ISSUES.append(Issue(name, what, frozenset(categories), frozenset(causes), visit))

    return add


def llama(seed: int = 3, **settings: Any) -> SmallLlama:
    torch.manual_seed(seed)
    return SmallLlama(LlamaConfig(vocab_size=V, max_position_embeddings=T, **settings))


def attentions(model: SmallLlama) -> list[Attention]:
    return [module for module in model.modules() if isinstance(module, Attention)]


def taught(model: nn.Module, steps: int = 150) -> nn.Module:
    """Train on the pattern of the batches."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    for i in range(steps):
        optimizer.zero_grad()
        model(batch_of(1000 + i)[0], labels=batch_of(1000 + i)[0]).loss.backward()
        optimizer.step()
    return model


def visited(model: nn.Module, batch: Any = None) -> Examination:
    """Examine a model as one that was loaded to be used: without a loss and a training step."""
    return examine(model, batch_of(2)[0] if batch is None else batch)


class RelativeAttention(Attention):
    """Positions as in T5: a table of biases of the scores, one column a head, shared by no other layer."""

    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.relative_bias = nn.Embedding(config.max_position_embeddings, self.n_head)
        self.heads = list(range(self.n_head))

    def rotate(self, x: Tensor, start: int) -> Tensor:
        return x

    def distances(self, T: int, S: int) -> Tensor:
        return (torch.arange(S - T, S)[:, None] - torch.arange(S)).clamp(min=0)  # (T, S)

    def scores(self, q: Tensor, k: Tensor, start: int) -> Tensor:
        bias = self.relative_bias(self.distances(q.shape[2], k.shape[2]))[..., self.heads]  # (T, S, H)
        return super().scores(q, k, start) + bias.permute(2, 0, 1)

    def prune(self, heads: list[int], biases: list[int]) -> None:
        """Keep some heads, with these columns of the table."""
        rows = torch.cat([torch.arange(h * self.D, (h + 1) * self.D) for h in heads])
        for part in (self.q_proj, self.k_proj, self.v_proj):
            part.weight = nn.Parameter(part.weight[rows])
        self.o_proj.weight = nn.Parameter(self.o_proj.weight[:, rows])
        self.n_head = self.n_kv = len(heads)
        self.heads = biases


def relative(seed: int = 3) -> SmallLlama:
    model = llama(seed, num_key_value_heads=4)
    torch.manual_seed(seed)
    for i, block in enumerate(model.layers):
        block.self_attn = RelativeAttention(model.config, i)
        for p in block.self_attn.parameters():
            nn.init.normal_(p, std=0.02)
        nn.init.normal_(block.self_attn.relative_bias.weight, std=0.5)
    return model


@issue(
    "jax#23349",
    "lengths of keys are given and not used: padding is attended to",
    {"mask", "padding"},
    {"padding moves the logits", "the mask is not applied"},
)
def padding_is_attended(buggy: bool) -> Examination:
    model = llama()
    if buggy:
        model.real = lambda attention_mask: torch.ones_like(attention_mask).bool()
    tokens = batch_of(2)[0].clone()
    real = torch.ones_like(tokens)
    for row in range(len(tokens)):
        real[row, : 3 + row] = 0  # padded on the left, as for generation
    tokens[real == 0] = 0
    batch = {"input_ids": tokens, "attention_mask": real, "labels": tokens.where(real == 1, IGNORE)}
    return examine(model, batch, loss=lambda model, batch: model(**batch).loss)


@issue(
    "pytorch#103082",
    "a causal mask aligned to the upper left where queries are fewer than keys",
    {"cache", "mask"},
    CACHE,
)
def mask_aligned_to_the_left(buggy: bool) -> Examination:
    model = llama()
    for attn in attentions(model) if buggy else ():
        attn.allowed = lambda T, S: torch.ones(T, S).tril().bool()
    return visited(model)


@issue(
    "pytorch#116333",
    "a fast kernel refuses a valid layout: the stride of a dimension of size 1",
    {"cache", "attention", "kernel"},
    {"decoding with the cache fails"},
)
def kernel_refuses_a_stride(buggy: bool) -> Examination:
    def scores(attn: Attention, q: Tensor, k: Tensor, start: int) -> Tensor:
        turned = q.mT.contiguous()  # (B, H, D, T): with T = 1 "contiguous" keeps a stride of D
        if turned.stride(-1) != 1 and (buggy or turned.shape[-1] > 1):
            raise RuntimeError("the last dimension must be contiguous")
        return turned.mT @ k.mT * attn.D**-0.5

    model = llama()
    for attn in attentions(model):
        attn.scores = scores.__get__(attn)
    return visited(model)


@issue(
    "transformers#17886",
    "pruned heads keep the relative biases of the heads before the pruning",
    {"positions", "attention scores", "attention"},
    {"position biases belong to other heads", "a part of a table is not used", "position bias is misaligned"},
)
def biases_of_pruned_heads(buggy: bool) -> Examination:
    model = taught(relative())
    for attn in attentions(model):
        attn.prune([0, 2, 3], [0, 1, 2] if buggy else [0, 2, 3])
    return visited(model)


@issue(
    "transformers#19045",
    "with a cache, all relative distances are zero",
    {"cache", "positions"},
    CACHE,
)
def distances_collapse_with_a_cache(buggy: bool) -> Examination:
    model = relative()
    for attn in attentions(model) if buggy else ():
        old = attn.distances
        attn.distances = lambda T, S, old=old: old(T, S) if T == S else torch.zeros(T, S).long()
    return visited(model)


@issue(
    "transformers#35896",
    "a sliding window in the layers that should see all, and the reverse",
    {"mask", "attention"},
    {"the window is not the stated one", "a window is in the wrong layer", "a part of the past is not seen"},
)
def window_in_the_wrong_layers(buggy: bool) -> Examination:
    model = llama(sliding_window=8, layer_types=("sliding_attention", "full_attention"))
    for attn in attentions(model) if buggy else ():
        attn.layer = 1 - attn.layer
    return visited(model)


@issue(
    "transformers#36096",
    "log-sum-exp is returned where attention weights were asked for",
    {"attention", "attention scores", "output"},
    {"what is returned as attention weights are none", "rows of the attention weights do not add up to 1"},
)
def log_sum_exp_for_weights(buggy: bool) -> Examination:
    model = llama()
    for attn in attentions(model) if buggy else ():
        attn.reported = lambda scores, weights: scores.logsumexp(-1)
    return visited(model)


@issue("transformers#37574", "a window's cache drops its oldest token one step too early", {"cache"}, CACHE)
def window_rolls_too_early(buggy: bool) -> Examination:
    model = llama(sliding_window=24, layer_types=("sliding_attention", "sliding_attention"))

    def kept(attn: Attention, k: Tensor, v: Tensor) -> Past:
        n = attn.window or 0
        return (k[:, :, 2 - n :], v[:, :, 2 - n :]) if k.shape[2] >= n else (k, v)

    for attn in attentions(model) if buggy else ():
        attn.kept = kept.__get__(attn)
    return visited(model)


@issue(
    "ai-edge-torch#6",
    "saved weights have separate q, k, v; the loader looks for a fused matrix",
    {"saving", "projections"},
    {"a loaded model differs from the saved one", "saved weights cannot be loaded"},
)
def loader_looks_for_fused_weights(buggy: bool) -> Examination:
    model = llama()

    def look(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
        for name in [name for name in state if name.endswith("self_attn.q_proj.weight")]:
            path = name.removesuffix("q_proj.weight")
            fused = state.get(path + "qkv_proj.weight")
            parts = [path + f"{part}_proj.weight" for part in "qkv"]
            if fused is None and buggy:
                for part in parts:
                    del state[part]

    model.register_load_state_dict_pre_hook(look)
    return visited(model)


@issue("native-sparse-attention#20", "with a cache, the newest token is not among the keys", {"cache"}, CACHE)
def newest_token_is_left_out(buggy: bool) -> Examination:
    model = llama()

    def remember(attn: Attention, past: Past | None, k: Tensor, v: Tensor) -> Past:
        attn.now = (k, v) if past is None else (torch.cat([past[0], k], 2), torch.cat([past[1], v], 2))
        return attn.now if past is None else past

    for attn in attentions(model) if buggy else ():
        attn.remember = remember.__get__(attn)
        attn.kept = lambda k, v, attn=attn: attn.now
    return visited(model)


class Adapted(nn.Module):
    """A linear layer with an adapter of low rank; its own weight is frozen."""

    def __init__(self, linear: nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.weight = linear.weight.requires_grad_(False)
        self.lora_a = nn.Parameter(torch.randn(rank, linear.in_features) / linear.in_features**0.5)
        self.lora_b = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T + x @ self.lora_a.T @ self.lora_b.T


@issue(
    "diffusers#11903",
    "adapters train projections that the model no longer uses after it fused them",
    {"projections", "attention", "optimizer", "learning"},
    {"the gradient does not reach a parameter"},
)
def adapters_of_unused_projections(buggy: bool) -> Examination:
    model = llama().requires_grad_(False)
    for attn in attentions(model):
        parts = [attn.q_proj, attn.k_proj, attn.v_proj]
        weight = torch.cat([part.weight for part in parts])
        fused = nn.Linear(weight.shape[1], weight.shape[0], bias=False).requires_grad_(False)
        fused.weight.data = weight
        if buggy:
            attn.to_qkv = fused
            attn.q_proj, attn.k_proj, attn.v_proj = (Adapted(part) for part in parts)
        else:
            attn.to_qkv = Adapted(fused)
            attn.q_proj = attn.k_proj = attn.v_proj = None
        sizes = [attn.n_head * attn.D, attn.n_kv * attn.D, attn.n_kv * attn.D]

        def project(x: Tensor, attn: Attention = attn, sizes: list[int] = sizes) -> tuple[Tensor, ...]:
            q, k, v = attn.to_qkv(x).split(sizes, -1)
            return attn.split(q, attn.n_head), attn.split(k, attn.n_kv), attn.split(v, attn.n_kv)

        attn.project = project
    # the adapter of the MLP learns, so that the loss falls as the issue says
    model.layers[0].mlp.down_proj = Adapted(model.layers[0].mlp.down_proj)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return model(batch, labels=batch).loss

    def step(model: nn.Module, batch: Any) -> None:
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()

    return examine(model, batch_of(2)[0], loss=loss, train_step=step, optimizer=optimizer)
