"""Each layer gives what its weights say; the attention that a model returns is one."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glassgpt.doctor import Subject
from glassgpt.doctor.attention import MASK, ROWS
from glassgpt.doctor.layers import LAYERS
from glassgpt.doctor.parts import RESIDUAL
from glassgpt.doctor.weights import WEIGHTS
from glassgpt.doctor.wiring import DETERMINISM
from helpers.small_gpt import SmallGPT

V = 65


def tokens() -> Tensor:
    return torch.randint(0, V, (4, 24), generator=torch.Generator().manual_seed(1))


def small_gpt() -> SmallGPT:
    torch.manual_seed(0)
    model = SmallGPT(V)
    for p in model.parameters():
        nn.init.normal_(p, std=0.1) if p.ndim == 2 else nn.init.normal_(p, 1.0, 0.05)
    return model


def changed(module: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
    module.register_forward_hook(lambda _, args, output: change(output))


def noisy(x: Tensor) -> Tensor:
    return x + 0.1 * torch.randn_like(x)


def inside_blocks(model: SmallGPT) -> list[nn.Module]:
    return [m for path, m in model.named_modules() if path.startswith("h.") and path.count(".") > 1]


def half_logits(model: SmallGPT) -> None:
    changed(model.lm_head, lambda x: x / 2)


def shifted_logits(model: SmallGPT) -> None:
    changed(model.lm_head, lambda x: x.roll(1, -1))


def no_position_vectors(model: SmallGPT) -> None:
    changed(model.wpe, torch.zeros_like)


def doubled_mlp_matrix(model: SmallGPT) -> None:
    changed(model.h[1].mlp.c_fc, lambda x: 2 * x)


def replaced_projection(model: SmallGPT) -> None:
    changed(model.h[0].attn.c_proj, lambda x: x.flip(-1))


def half_of_each_block(model: SmallGPT) -> None:
    for module in [*inside_blocks(model), *model.h]:
        changed(module, lambda x: x / 2)


def silent_blocks(model: SmallGPT) -> None:
    for module in [*inside_blocks(model), *model.h]:
        changed(module, torch.zeros_like)


def noise_in_blocks(model: SmallGPT) -> None:
    for module in inside_blocks(model):
        changed(module, noisy)


@pytest.mark.parametrize(
    ("plant", "check", "category", "cause"),
    [
        (half_logits, LAYERS, "output", "logits have the wrong size"),
        (shifted_logits, LAYERS, "output", "logits are shifted against the tokens"),
        (no_position_vectors, LAYERS, "positions", "position vectors are zero"),
        (doubled_mlp_matrix, LAYERS, "mlp", "the MLP's output has the wrong size"),
        (replaced_projection, LAYERS, "projections", "a layer does not use its weights"),
        (half_of_each_block, RESIDUAL, "residual", "the skip connection is scaled"),
        (half_of_each_block, LAYERS, "residual", "a layer's output is scaled"),
        (silent_blocks, RESIDUAL, "residual", "the skip connection is missing"),
        (noise_in_blocks, DETERMINISM, "residual", "noise is added"),
    ],
)
def test_a_layer_that_gives_something_else(
    plant: Callable[[SmallGPT], None], check: Any, category: str, cause: str
) -> None:
    model = small_gpt()
    model.eval()
    assert all(each.is_healthy for each in check.run(Subject(model, tokens())))
    plant(model)
    (found,) = [each for each in check.run(Subject(model, tokens())) if not each.is_healthy]
    assert (found.category, found.cause) == (category, cause)


def test_the_part_with_most_empty_matrices_is_named_first() -> None:
    model = small_gpt()
    for block in model.h:
        for part in (block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj):
            nn.init.zeros_(part.weight)
    found = [each.category for each in WEIGHTS.run(Subject(model, tokens())) if not each.is_healthy]
    assert found == ["mlp", "projections"]


class Windowed(SmallGPT):
    """Its first layer sees the last `window` tokens only; it returns its attention weights if asked."""

    def __init__(
        self, types: tuple[str, str], reported: Callable[[Tensor], Tensor] = torch.Tensor.exp
    ) -> None:
        super().__init__(V)
        self.config = SimpleNamespace(sliding_window=6, layer_types=types)
        self.h[0].attn.mask &= torch.ones_like(self.h[0].attn.mask).triu(-5)
        self.reported = reported

    def forward(self, idx: Tensor, targets: Tensor | None = None, output_attentions: bool = False) -> Any:
        logits, _ = super().forward(idx, idx)
        weights = torch.full((len(idx), 2, 24, 24), 1 / 24).log()
        return SimpleNamespace(
            logits=logits, attentions=[self.reported(weights)] if output_attentions else None
        )


@pytest.mark.parametrize("layer", [0, 1])
def test_a_window_belongs_to_its_layer(layer: int) -> None:
    types = ("sliding_attention", "full_attention")
    model = Windowed(types if layer == 0 else types[::-1])
    found = [each.cause for each in MASK.run(Subject(model, tokens())) if not each.is_healthy]
    assert found == ([] if layer == 0 else ["a window is in the wrong layer"])


@pytest.mark.parametrize(
    ("reported", "is_wrong"), [(torch.Tensor.exp, False), (lambda w: w.logsumexp(-1), True)]
)
def test_returned_attention_weights_add_up(reported: Callable[[Tensor], Tensor], is_wrong: bool) -> None:
    model = Windowed(("sliding_attention", "full_attention"), reported)
    found = [each.cause for each in ROWS.run(Subject(model, tokens())) if not each.is_healthy]
    assert found == ["rows of the attention weights do not add up to 1"] * is_wrong


def test_a_softmax_over_the_heads_is_none() -> None:
    model = small_gpt()
    assert all(each.is_healthy for each in ROWS.run(Subject(model, tokens())))
    for block in model.h:
        block.attn.masked = lambda scores, old=block.attn.masked: old(scores).softmax(1).nan_to_num(0).log()
    assert model(tokens(), tokens())[0].isfinite().all()
