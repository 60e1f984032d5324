"""Planted bugs, the second set, in models: mistakes in positions, heads, masks, norms, weights, caches.

Written after the checks, from what people get wrong, of kinds that the first set does not have. Their first
figures were taken before any check was changed for them (docs/experiments.md).
"""

# Bugs change models in ways that types forbid.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportIndexIssue=false, reportOperatorIssue=false, reportOptionalCall=false
# pyright: reportOptionalMemberAccess=false, reportReturnType=false

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from doctor_cases import Bug, Case, T, V, after, before, bugs_into
from glassgpt.nn import AttnMask
from glassgpt.nn.position import Rope

MODEL_BUGS: list[Bug] = []
bug = bugs_into(MODEL_BUGS)

# Positions


@bug("positions", kinds=("llama",))
def rotary_on_queries_only(c: Case) -> None:
    for attn in c.attn:
        old, calls = attn.rotate, [0]

        def rotate(x: Tensor, start: int, old: Any = old, calls: list[int] = calls) -> Tensor:
            calls[0] += 1
            return old(x, start) if calls[0] % 2 else x

        attn.rotate = rotate


@bug("positions", kinds=("llama",))
def rotary_turns_by_the_head(c: Case) -> None:
    """x has (B, H, T, D); the angles are taken along H."""
    for attn in c.attn:
        attn.rotate = lambda x, start, attn=attn: (
            type(attn).rotate(attn, x.transpose(1, 2), start).transpose(1, 2)
        )


@bug("positions", kinds=("llama",))
def rotary_angles_are_all_zero(c: Case) -> None:
    for attn in c.attn:
        attn.angles = lambda start, T, attn=attn: torch.zeros(T, attn.D // 2)


@bug("positions", kinds=("glassgpt",))
def rotary_is_forgotten_in_all_blocks(c: Case) -> None:
    c.model.rope = None


@bug("positions", kinds=("glassgpt",))
def rotary_begins_anew_every_eight_tokens(c: Case) -> None:
    rope = c.model.rope
    at = torch.arange(T) % 8
    rope.cos.data, rope.sin.data = rope.cos[at], rope.sin[at]


@bug("positions", "batch", kinds=("plain", "transformers"))
def position_is_the_row_of_the_batch(c: Case) -> None:
    drop = c.model.drop if c.kind == "plain" else c.model.transformer.drop
    before(drop, lambda x: x - c.wpe.weight[: x.shape[1]] + c.wpe.weight[: len(x)][:, None])


@bug("positions", "residual", "embedding", kinds=("plain", "transformers"))
def positions_in_training_only(c: Case) -> None:
    after(c.wpe, lambda y, ids: y if c.model.training else torch.zeros_like(y))


@bug("positions", "embedding", "residual", kinds=("plain",))
def positions_are_added_in_the_forward_pass_to_the_table(c: Case) -> None:
    def grow(y: Tensor, ids: Tensor) -> Tensor:
        with torch.no_grad():
            c.wpe.weight.add_(0.01)
        return y

    after(c.wpe, grow)


# Heads and scores


@bug("mask", "attention", "projections", kinds=("llama",))
def heads_by_view_without_transpose(c: Case) -> None:
    for attn in c.attn:
        attn.split = lambda x, n, attn=attn: x.view(len(x), n, -1, attn.D)


@bug("mask", "attention", "projections", kinds=("llama",))
def heads_joined_without_transpose(c: Case) -> None:
    c.attn[0].merge = lambda y: y.reshape(len(y), y.shape[2], -1)


@bug("attention scores", "mask", kinds=("llama", "plain"))
def softmax_over_the_queries(c: Case) -> None:
    for attn in c.attn:
        if c.kind == "llama":
            attn.weights = lambda scores: scores.softmax(-2)
        else:
            attn.masked = lambda s, old=attn.masked: old(s).softmax(-2).clamp(min=1e-9).log()


@bug("attention scores", "attention", kinds=("llama",))
def softmax_over_the_heads(c: Case) -> None:
    for attn in c.attn:
        attn.weights = lambda scores: scores.softmax(1).nan_to_num(0)


@bug("attention scores", kinds=("llama",))
def scores_without_softmax(c: Case) -> None:
    for attn in c.attn:
        attn.weights = lambda scores: scores.masked_fill(scores == float("-inf"), 0)


@bug("attention scores", kinds=("llama", "plain"))
def scores_times_root_of_width(c: Case) -> None:
    for attn in c.attn:
        if c.kind == "llama":
            attn.scale = lambda attn=attn: attn.D**0.5
        else:
            attn.scale = lambda q: q.shape[-1] ** 0.5


@bug("attention scores", kinds=("glassgpt", "llama"))
def scores_scaled_twice(c: Case) -> None:
    for attn in c.attn:
        if c.kind == "llama":
            attn.scale = lambda attn=attn: 1 / attn.D
        else:
            attn.sdpa.register_forward_pre_hook(lambda _, a: (a[0] * a[0].shape[-1] ** -0.5, *a[1:]))


@bug("projections", "attention", kinds=("llama",))
def keys_are_the_queries(c: Case) -> None:
    for attn in c.attn:
        old = attn.project

        def project(x: Tensor, attn: Any = attn, old: Any = old) -> tuple[Tensor, ...]:
            q, _, v = old(x)
            return q, q[:, : attn.n_kv], v

        attn.project = project


@bug("projections", "attention", "residual", kinds=("llama", "plain", "glassgpt"))
def output_projection_is_never_used(c: Case) -> None:
    for attn in c.attn:
        name = {"llama": "o_proj", "plain": "c_proj", "glassgpt": "proj"}[c.kind]
        getattr(attn, name).forward = lambda x: x


@bug("dropout", kinds=("llama", "plain"))
def dropout_of_weights_in_evaluation(c: Case) -> None:
    for attn in c.attn:
        if c.kind == "llama":
            attn.weights = lambda scores: F.dropout(scores.softmax(-1), 0.2, training=True)
        else:
            after(attn.c_proj, lambda y, x: F.dropout(y, 0.2, training=True))


@bug("dropout", kinds=("llama",))
def dropout_without_scaling(c: Case) -> None:
    """Weights are zeroed in training and not divided by the share that is kept."""
    for attn in c.attn:
        attn.weights = lambda s, attn=attn: (
            s.softmax(-1) * (torch.rand_like(s) > 0.5 if attn.training else 1.0)
        )


# Masks


@bug("mask", kinds=("llama", "plain"))
def mask_is_transposed(c: Case) -> None:
    for attn in c.attn:
        if c.kind == "llama":
            attn.allowed = lambda T, S: torch.ones(T, S).triu(S - T).bool()
        else:
            attn.mask = torch.ones(T, T).triu().bool()


@bug("mask", kinds=("llama", "plain"))
def mask_is_added_as_zeros_and_ones(c: Case) -> None:
    for attn in c.attn:
        if c.kind == "llama":
            attn.masked = lambda scores, allowed: scores + allowed.float()
        else:
            attn.masked = lambda s, a=attn: s + a.mask[: s.shape[-1], : s.shape[-1]].float()


@bug("mask", kinds=("llama", "plain"))
def masked_scores_are_a_tiny_number(c: Case) -> None:
    """1e-9 where −1e9 was meant."""
    for attn in c.attn:
        if c.kind == "llama":
            attn.masked = lambda scores, allowed: scores.masked_fill(~allowed, 1e-9)
        else:
            attn.masked = lambda s, a=attn: s.masked_fill(~a.mask[: s.shape[-1], : s.shape[-1]], 1e-9)


@bug("mask", kinds=("llama", "plain"))
def masked_scores_are_minus_five(c: Case) -> None:
    for attn in c.attn:
        if c.kind == "llama":
            attn.masked = lambda scores, allowed: scores.masked_fill(~allowed, -5.0)
        else:
            attn.masked = lambda s, a=attn: s.masked_fill(~a.mask[: s.shape[-1], : s.shape[-1]], -5.0)


@bug("mask", kinds=("llama",))
def mask_in_training_only(c: Case) -> None:
    for attn in c.attn:
        attn.masked = lambda s, allowed, a=attn: type(a).masked(a, s, allowed) if a.training else s


@bug("mask", kinds=("llama",))
def mask_in_evaluation_only(c: Case) -> None:
    for attn in c.attn:
        attn.masked = lambda s, allowed, a=attn: s if a.training else type(a).masked(a, s, allowed)


@bug("mask", kinds=("llama",))
def one_head_is_not_masked(c: Case) -> None:
    def masked(scores: Tensor, allowed: Tensor) -> Tensor:
        done = scores.masked_fill(~allowed, float("-inf"))
        return torch.cat([done[:, :-1], scores[:, -1:]], 1)

    c.attn[1].masked = masked


@bug("mask", kinds=("glassgpt",))
def kernel_without_causal_flag(c: Case) -> None:
    c.attn[1].sdpa.register_forward_pre_hook(lambda _, a: (*a[:3], AttnMask.full()))


@bug("mask", kinds=("llama",))
def mask_sees_blocks_of_four(c: Case) -> None:
    """Integer division lets a token see the rest of its group of four."""
    for attn in c.attn:
        attn.allowed = lambda T, S: torch.arange(S - T, S)[:, None] // 4 >= torch.arange(S)[None, :] // 4


# Residual stream, norms, MLP


@bug("attention", "residual", "projections", kinds=("plain",))
def attention_is_not_added(c: Case) -> None:
    block = c.blocks[0]
    block.forward = lambda x: x + block.mlp(block.ln_2(x + 0 * block.attn(block.ln_1(x))))


@bug("residual", kinds=("plain",))
def skip_is_added_twice(c: Case) -> None:
    block = c.blocks[0]
    block.forward = lambda x: type(block).forward(block, x) + x


@bug("residual", "normalization", kinds=("plain", "llama"))
def skip_starts_after_the_norm(c: Case) -> None:
    block = c.blocks[1]

    def plain(x: Tensor) -> Tensor:
        x = block.ln_1(x) + block.attn(block.ln_1(x))
        return block.ln_2(x) + block.mlp(block.ln_2(x))

    def llama(x: Tensor, past: Any, start: int, real: Any) -> Any:
        x = block.input_norm(x)
        y, present, weights = block.self_attn(x, past, start, real)
        x = block.post_norm(x + y)
        return x + block.mlp(x), present, weights

    block.forward = plain if c.kind == "plain" else llama


@bug("residual", "attention", kinds=("plain", "llama"))
def one_block_stands_in_for_all(c: Case) -> None:
    """[Block()] * n: every layer has the same weights."""
    if c.kind == "plain":
        c.model.h[1] = c.model.h[0]
    else:
        c.model.layers[1] = c.model.layers[0]


@bug("saving", "optimizer", "learning", "residual", "mlp", kinds=("plain",))
def parts_in_a_plain_list(c: Case) -> None:
    """The MLPs are in a list of Python: no parameters of the model, not trained, not saved."""
    for block in c.blocks:
        hidden = [block.mlp]
        del block.mlp
        object.__setattr__(block, "mlp", lambda x, hidden=hidden: hidden[0](x))


@bug("normalization", kinds=("plain", "llama", "transformers"))
def last_norm_is_forgotten(c: Case) -> None:
    c.last_norm.forward = lambda x: x


@bug("normalization", kinds=("llama",))
def norm_divides_by_the_square(c: Case) -> None:
    for norm in c.norm:
        norm.forward = lambda x, n=norm: x / (x.square().mean(-1, keepdim=True) + n.eps) * n.weight


@bug("normalization", "mask", "batch", kinds=("llama",))
def norm_over_everything(c: Case) -> None:
    for norm in c.norm:
        norm.forward = lambda x, n=norm: x * (x.square().mean() + n.eps).rsqrt() * n.weight


@bug("normalization", "batch", "residual", kinds=("plain",))
def batch_norm_for_layer_norm(c: Case) -> None:
    class Norm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(32)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(x.transpose(1, 2)).transpose(1, 2)

    for block in c.blocks:
        block.ln_2 = Norm()


@bug("mlp", kinds=("plain", "transformers", "glassgpt"))
def mlp_without_activation(c: Case) -> None:
    for mlp in c.mlp:
        if c.kind == "plain":
            mlp.forward = lambda x, m=mlp: m.c_proj(m.c_fc(x))
        elif c.kind == "transformers":
            mlp.act = nn.Identity()
        else:
            up, proj = next(mlp.children()), mlp.proj
            mlp.forward = lambda x, up=up, proj=proj: proj(up(x)[..., : proj.in_features])


@bug("mlp", kinds=("plain", "llama"))
def relu_at_the_end_of_the_mlp(c: Case) -> None:
    for mlp in c.mlp:
        after(mlp, lambda y, x: F.relu(y))


@bug("mlp", kinds=("plain",))
def hidden_units_never_fire(c: Case) -> None:
    for mlp in c.mlp:
        mlp.c_fc.bias.data.fill_(-12.0)


@bug("mlp", "attention", "projections", "residual", kinds=("plain", "llama", "glassgpt"))
def all_matrices_of_a_block_begin_at_zero(c: Case) -> None:
    for p in c.blocks[0].parameters():
        if p.ndim == 2:
            p.data.zero_()


# Embedding and head


@bug("embedding", "output", kinds=("plain", "transformers"))
def table_of_torch_with_unit_variance(c: Case) -> None:
    """nn.Embedding's own N(0, 1), tied to the head: the first loss is far above ln V."""
    c.wte.weight.data = torch.randn(V, 32)


@bug("embedding", kinds=("plain", "llama"))
def unknown_tokens_become_one(c: Case) -> None:
    before(c.wte, lambda ids: ids.clamp(max=V // 2))


@bug("embedding", "learning", kinds=("plain", "llama", "transformers", "glassgpt"))
def embedding_is_frozen(c: Case) -> None:
    c.wte.weight.requires_grad_(False)


@bug("embedding", "learning", kinds=("plain", "llama"))
def embedding_without_gradient(c: Case) -> None:
    after(c.wte, lambda y, x: y.detach())
    if c.kind == "plain":
        c.model.lm_head.weight = nn.Parameter(c.wte.weight.detach().clone())


@bug("embedding", kinds=("llama",))
def padding_index_is_a_letter(c: Case) -> None:
    c.wte.padding_idx = 5


@bug("output", "embedding", kinds=("glassgpt",))
def tied_weights_are_copies(c: Case) -> None:
    c.model.config = c.model.config.model_copy(update={"tie_embeddings": True})
    c.model.lm_head.weight = nn.Parameter(c.wte.weight.detach().clone())


@bug("output", "embedding", kinds=("llama",))
def tied_weights_are_copies_in_a_file(c: Case) -> None:
    c.model.config.tie_word_embeddings = True
    c.head.weight = nn.Parameter(c.wte.weight.detach().clone())


@bug("output", "objective", kinds=("plain", "llama", "transformers"))
def model_returns_probabilities(c: Case) -> None:
    after(c.head, lambda y, x: y.softmax(-1))


@bug("output", kinds=("llama", "transformers"))
def head_has_one_token_less(c: Case) -> None:
    """The last token of the vocabulary can never be predicted."""
    after(c.head, lambda y, x: torch.cat([y[..., :-1], torch.full_like(y[..., :1], -1e4)], -1))


@bug("output", "objective", "residual", "normalization", kinds=("llama", "plain"))
def head_reads_the_first_block(c: Case) -> None:
    """The hidden states of the wrong layer go to the head: the last block is unused."""
    kept: list[Tensor] = []
    after(c.blocks[0], lambda y, x: (kept.append(y), y)[1])
    before(c.last_norm, lambda x: kept.pop())


# Cache, precision, state


@bug("cache", kinds=("llama",))
def cached_positions_are_one_behind(c: Case) -> None:
    c.model.start = lambda past: past.seen - 1 if past else 0


@bug("cache", kinds=("llama",))
def cached_positions_begin_at_zero(c: Case) -> None:
    c.model.start = lambda past: 0


@bug("cache", kinds=("llama",))
def new_keys_are_put_first(c: Case) -> None:
    for attn in c.attn:
        attn.remember = lambda past, k, v: (
            (k, v) if past is None else (torch.cat([k, past[0]], 2), torch.cat([v, past[1]], 2))
        )
        attn.kept = lambda k, v: (k, v)


@bug("cache", kinds=("llama",))
def cached_keys_are_rotated_again(c: Case) -> None:
    for attn in c.attn:
        attn.remember = lambda past, k, v, a=attn: (
            (k, v) if past is None else (torch.cat([a.rotate(past[0], 0), k], 2), torch.cat([past[1], v], 2))
        )


@bug("cache", kinds=("llama",))
def values_of_one_layer_are_not_cached(c: Case) -> None:
    attn = c.attn[1]
    attn.kept = lambda k, v: (k, torch.zeros_like(v))


@bug("cache", kinds=("glassgpt",))
def rope_ignores_the_cache(c: Case) -> None:
    rope = c.model.rope
    rope.forward = lambda start, T: Rope(rope.cos[:T], rope.sin[:T])


@bug("numerics", kinds=("llama", "plain", "transformers", "glassgpt"))
def stream_passes_through_eight_bits(c: Case) -> None:
    after(c.blocks[0], lambda y, x: (y * 8).round() / 8 + (y - y.detach()))


@bug("numerics", "attention scores", kinds=("llama",))
def scores_overflow_in_half_precision(c: Case) -> None:
    for attn in c.attn:
        attn.scores = lambda q, k, start, a=attn: (
            ((1e4 * q).half() @ (1e4 * k).half().mT).float() * a.scale() / 1e8
        )


@bug("dropout", "cache", "residual", "batch", "normalization", kinds=("llama", "plain", "glassgpt"))
def a_state_stays_from_call_to_call(c: Case) -> None:
    kept: list[Tensor] = []

    def add(y: Tensor, x: Tensor) -> Tensor:
        last = kept[-1] if kept and kept[-1].shape == y.shape else torch.zeros_like(y)
        kept[:] = [y.detach()]
        return y + 0.2 * last

    after(c.mlp[0], add)


@bug("attention", "residual", "mlp", kinds=("llama",))
def gradient_is_stopped_between_blocks(c: Case) -> None:
    before_block = c.blocks[1].forward
    c.blocks[1].forward = lambda x, *a: before_block(x.detach(), *a)


@bug("embedding", "normalization", "residual", kinds=("llama", "plain"))
def embeddings_times_root_of_width_squared(c: Case) -> None:
    after(c.wte, lambda y, x: y * math.sqrt(32) ** 5)
