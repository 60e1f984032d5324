"""Planted bugs, the first set: mistakes that people make in a model, a loss or a training step.

Written from the mistakes, not from the checks that may find them; but the checks were changed with these bugs
at hand. The second set is in `doctor_model_bugs.py`, `doctor_training_bugs.py` and `doctor_run_bugs.py`.
"""

# Bugs change models in ways that types forbid.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportIndexIssue=false, reportOperatorIssue=false, reportOptionalCall=false
# pyright: reportOptionalMemberAccess=false, reportReturnType=false

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from doctor_cases import Bug, Case, T, V, after, before, bugs_into, cross_entropy, make_case, with_loss

BUGS: list[Bug] = []
bug = bugs_into(BUGS)


@bug("mask")
def attention_adds_the_next_state(c: Case) -> None:
    after(c.attn[0], lambda y, x: y + 0.3 * x.roll(-1, 1))


@bug("mask", "embedding")
def inputs_are_shifted_into_the_future(c: Case) -> None:
    before(c.wte, lambda ids: ids.roll(-1, 1))


@bug("mask", "normalization")
def states_are_centered_over_time(c: Case) -> None:
    after(c.last_norm, lambda y, x: y - y.mean(1, keepdim=True))


@bug("batch", "normalization")
def states_are_centered_over_the_batch(c: Case) -> None:
    after(c.last_norm, lambda y, x: y - y.mean(0, keepdim=True))


@bug("batch")
def attention_mixes_rows(c: Case) -> None:
    after(c.attn[1], lambda y, x: y + 0.2 * y.roll(1, 0))


@bug("positions", kinds=("plain", "transformers"))
def position_table_is_zero(c: Case) -> None:
    assert c.wpe is not None
    c.wpe.weight.data.zero_()


@bug("positions", kinds=("plain", "transformers"))
def all_positions_are_the_first(c: Case) -> None:
    assert c.wpe is not None
    before(c.wpe, torch.zeros_like)


@bug("positions", kinds=("plain", "transformers"))
def positions_end_early(c: Case) -> None:
    assert c.wpe is not None
    before(c.wpe, lambda ids: ids.clamp(max=T // 3))


@bug("positions", kinds=("plain", "transformers"))
def positions_count_from_the_end(c: Case) -> None:
    assert c.wpe is not None
    before(c.wpe, lambda ids: ids.flip(-1))


@bug("residual")
def block_without_skip(c: Case) -> None:
    after(c.blocks[1], lambda y, x: y - x)


@bug("residual")
def skip_is_halved(c: Case) -> None:
    after(c.blocks[0], lambda y, x: y - 0.5 * x)


@bug("residual")
def skip_is_doubled(c: Case) -> None:
    after(c.blocks[0], lambda y, x: y + x)


@bug("residual", "mlp")
def noise_on_the_stream(c: Case) -> None:
    after(c.blocks[0], lambda y, x: y + 0.05 * torch.randn_like(y))


@bug("mlp", "residual")
def mlp_is_forgotten(c: Case) -> None:
    after(c.mlp[1], lambda y, x: torch.zeros_like(y))


@bug("attention", "projections", "residual", "mask")
def attention_is_forgotten(c: Case) -> None:
    for attn in c.attn:
        after(attn, lambda y, x: torch.zeros_like(y))


@bug("projections", "attention")
def attention_is_detached(c: Case) -> None:
    after(c.attn[0], lambda y, x: y.detach())


@bug("mlp")
def mlp_is_detached(c: Case) -> None:
    after(c.mlp[0], lambda y, x: y.detach())


@bug("projections")
def queries_are_zero(c: Case) -> None:
    c.qkv[0].data[:32] = 0


@bug("projections")
def keys_are_zero(c: Case) -> None:
    c.qkv[1].data[32:64] = 0


@bug("projections")
def values_are_zero(c: Case) -> None:
    c.qkv[0].data[64:] = 0


@bug("projections")
def heads_share_weights(c: Case) -> None:
    for part in range(3):
        rows = c.qkv[0].data[32 * part : 32 * part + 32]
        rows[16:] = rows[:16].clone()


@bug("mlp")
def hidden_units_are_cut(c: Case) -> None:
    c.fc[0].data[:20] = 0


@bug("mlp")
def first_matrix_is_constant(c: Case) -> None:
    c.fc[1].data.fill_(0.01)


@bug("mlp")
def hidden_units_are_equal(c: Case) -> None:
    c.fc[0].data[:] = c.fc[0].data[:1].clone()


@bug("normalization")
def gain_is_zero(c: Case) -> None:
    c.norm[0].weight.data.zero_()


@bug("normalization")
def norm_is_identity(c: Case) -> None:
    after(c.norm[1], lambda y, x: x)


@bug("normalization", "mask", "batch")
def norm_runs_over_time(c: Case) -> None:
    after(c.norm[0], lambda y, x: (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-5))


@bug("normalization", kinds=("plain", "transformers"))
def bias_of_a_norm_is_shifted(c: Case) -> None:
    c.norm[0].bias.data += 1


@bug("normalization", kinds=("plain", "transformers"))
def eps_is_one(c: Case) -> None:
    c.norm[0].eps = 1.0


@bug("output", "objective")
def logits_are_hot(c: Case) -> None:
    after(c.head, lambda y, x: 40 * y)


@bug("output", "embedding")
def some_tokens_have_no_weights(c: Case) -> None:
    c.head.weight.data[10:20] = 0


@bug("embedding", "output")
def tokens_share_a_vector(c: Case) -> None:
    c.wte.weight.data[5:30] = c.wte.weight.data[5:6].clone()


@bug("numerics")
def mlp_divides_by_zero(c: Case) -> None:
    after(c.mlp[1], lambda y, x: y / (y - y))


@bug("numerics")
def a_weight_is_nan(c: Case) -> None:
    c.fc[0].data[3, 3] = float("nan")


@bug("numerics")
def mlp_runs_in_half_precision(c: Case) -> None:
    after(c.mlp[0], lambda y, x: y.half())


@bug("dropout")
def dropout_never_ends(c: Case) -> None:
    after(c.blocks[0], lambda y, x: F.dropout(y, 0.2, training=True))


@bug("residual", "mlp", "attention")
def training_scales_the_stream(c: Case) -> None:
    after(c.blocks[0], lambda y, x: y * 1.5 if c.model.training else y)


@bug("attention scores", kinds=("plain",))
def scores_without_scale(c: Case) -> None:
    for attn in c.attn:
        attn.scale = lambda q: 1.0


@bug("attention scores", kinds=("plain",))
def scores_divided_by_the_width(c: Case) -> None:
    for attn in c.attn:
        attn.scale = lambda q: 1 / q.shape[-1]


@bug("attention scores", kinds=("transformers",))
def scores_are_not_scaled(c: Case) -> None:
    for attn in c.attn:
        attn.scaling = 1.0


@bug("mask", kinds=("plain",))
def mask_one_too_late(c: Case) -> None:
    c.attn[0].mask = torch.ones(T, T).tril(1).bool()


@bug("mask", kinds=("plain",))
def mask_hides_the_far_past(c: Case) -> None:
    for attn in c.attn:
        attn.mask = torch.ones(T, T).tril().triu(-3).bool()


@bug("mask", "numerics", kinds=("plain",))
def mask_hides_the_own_token(c: Case) -> None:
    mask = torch.ones(T, T).tril(-1).bool()
    mask[0, 0] = True
    for attn in c.attn:
        attn.mask = mask


@bug("mask", kinds=("plain",))
def no_mask_in_one_layer(c: Case) -> None:
    c.attn[1].masked = lambda scores: scores


@bug("mask", "attention scores", kinds=("plain",))
def mask_after_the_softmax(c: Case) -> None:
    c.attn[0].masked = lambda scores: scores.masked_fill(
        ~c.attn[0].mask[: scores.shape[-1], : scores.shape[-1]], 0.0
    )


@bug("attention scores", kinds=("plain",))
def dropout_on_scores(c: Case) -> None:
    for attn in c.attn:
        old = attn.masked
        attn.masked = lambda scores, attn=attn, old=old: F.dropout(old(scores), 0.2, attn.training)


@bug("output", "embedding", kinds=("transformers",))
def head_is_not_tied(c: Case) -> None:
    c.model.lm_head.weight = nn.Parameter(0.02 * torch.randn(V, 32))


@bug("mlp", kinds=("transformers",))
def activation_is_tanh(c: Case) -> None:
    for mlp in c.mlp:
        mlp.act = nn.Tanh()


@bug("objective")
def target_is_the_input(c: Case) -> None:
    with_loss(c, lambda z, x, y: cross_entropy(z, x))


@bug("objective")
def target_is_two_ahead(c: Case) -> None:
    with_loss(c, lambda z, x, y: cross_entropy(z[:, :-1], y[:, 1:]))


@bug("objective")
def target_is_the_previous_token(c: Case) -> None:
    with_loss(c, lambda z, x, y: cross_entropy(z[:, 1:], x[:, :-1]))


@bug("objective")
def targets_of_another_row(c: Case) -> None:
    with_loss(c, lambda z, x, y: cross_entropy(z, y.roll(1, 0)))


@bug("objective")
def loss_is_a_sum(c: Case) -> None:
    with_loss(c, lambda z, x, y: cross_entropy(z, y, reduction="sum"))


@bug("objective")
def softmax_before_the_loss(c: Case) -> None:
    with_loss(c, lambda z, x, y: cross_entropy(z.softmax(-1), y))


@bug("objective")
def ignored_targets_count(c: Case) -> None:
    with_loss(c, lambda z, x, y: F.cross_entropy(z.flatten(0, 1), y.clamp(min=0).flatten()))


@bug("objective")
def loss_only_of_the_last_token(c: Case) -> None:
    with_loss(c, lambda z, x, y: cross_entropy(z[:, -1:], y[:, -1:]))


@bug("objective")
def loss_in_bits(c: Case) -> None:
    with_loss(c, lambda z, x, y: cross_entropy(z, y) / 0.6931)


@bug("objective")
def loss_divided_by_the_batch_twice(c: Case) -> None:
    with_loss(c, lambda z, x, y: cross_entropy(z, y) / len(y))


@bug("optimizer")
def optimizer_misses_the_blocks(c: Case) -> None:
    c.optimizer = torch.optim.AdamW([*c.wte.parameters(), *c.last_norm.parameters()], lr=c.lr)


@bug("optimizer")
def optimizer_of_another_model(c: Case) -> None:
    c.optimizer = torch.optim.AdamW(make_case(c.kind, 1).model.parameters(), lr=c.lr)


@bug("optimizer")
def gradients_pile_up(c: Case) -> None:
    c.step_kind = "no zero_grad"


@bug("optimizer", "objective")
def accumulation_is_not_divided(c: Case) -> None:
    c.step_kind = "accumulate"


@bug("optimizer")
def learning_rate_of_one(c: Case) -> None:
    c.lr = 1.0


@bug("optimizer")
def learning_rate_of_zero(c: Case) -> None:
    c.lr = 0.0


@bug("optimizer")
def no_optimizer_step(c: Case) -> None:
    c.step_kind = "no step"


@bug("optimizer")
def zero_grad_after_backward(c: Case) -> None:
    c.step_kind = "zeroed too late"


@bug("optimizer")
def a_frozen_table_moves(c: Case) -> None:
    c.wte.weight.requires_grad_(False)
    c.frozen.append("wte")
    c.step_kind = "moves frozen"


@bug("optimizer", "objective")
def step_trains_on_an_old_batch(c: Case) -> None:
    c.step_kind = "old batch"
