"""Chapter `buffers`: tensors of a model that are not trained.

Rotary tables, masks and statistics: no gradient, not in the optimizer, yet they must go where the model goes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from glassgpt.checkpoint import read_tensors
from glassgpt.diagnose import Finding
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext, Demo
from glassgpt.models import build
from glassgpt.train import make_optimizers

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "Buffers: what belongs to a model and is not trained"

T = 8


class Masked(nn.Module):
    """Module with a causal mask, as a buffer or as a plain attribute."""

    mask: Tensor

    def __init__(self, *, registered: bool, persistent: bool = False) -> None:
        super().__init__()
        mask = torch.ones(T, T, dtype=torch.bool).tril()
        if registered:
            self.register_buffer("mask", mask, persistent=persistent)
        else:
            self.mask = mask

    def forward(self, scores: Tensor) -> Tensor:
        """(T, T) -> (T, T)."""
        return scores.where(self.mask, -torch.inf)


@dataclass(frozen=True)
class Fate:
    """Measured properties of one tensor of a module."""

    is_parameter: bool
    needs_gradient: bool
    in_optimizer: bool
    is_saved: bool
    moves: bool

    @property
    def row(self) -> tuple[float, ...]:
        return tuple(map(float, vars(self).values()))


def fates(module: nn.Module, paths: Iterable[str], optimized: set[int]) -> dict[str, Fate]:
    """Measure the properties of tensors by path.

    paths: such as `rope.cos`. optimized: ids of the tensors in an optimizer.
    """
    moved, saved = copy.deepcopy(module).to("meta"), module.state_dict()
    parameters = {id(p) for p in module.parameters()}
    found = {}
    for path in paths:
        tensor = _tensor(module, path)
        found[path] = Fate(
            is_parameter=id(tensor) in parameters,
            needs_gradient=tensor.requires_grad,
            in_optimizer=id(tensor) in optimized,
            is_saved=path in saved,
            moves=_tensor(moved, path).device.type == "meta",
        )
    return found


def _tensor(module: nn.Module, path: str) -> Tensor:
    owner, _, name = path.rpartition(".")
    return getattr(module.get_submodule(owner), name)


def optimized(module: nn.Module, demo: Demo) -> set[int]:
    """Return the ids of all tensors in the optimizers of this module."""
    optimizers = make_optimizers(module, demo.run.config().optim).values()
    return {id(p) for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}


def complaint(module: nn.Module) -> str:
    """Return the error of torch after a move to another device; empty if it works.

    The device is `meta`: every machine has it, and it computes shapes only.
    """
    try:
        module.to("meta")(torch.zeros(T, T, device="meta"))
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return ""


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    demo = _with_buffers(context)
    model = demo.model
    buffers = dict(model.named_buffers())
    held = optimized(model, demo)
    first = next(name for name, _ in model.named_parameters() if name.endswith("qkv.weight"))
    found = fates(model, [first, *buffers], held)
    of_buffers = {path: found[path] for path in buffers}
    plain = fates(Masked(registered=False), ["mask"], set())["mask"]
    saved = read_tensors(demo.run.best_checkpoint(), "model")
    torch.manual_seed(context.seed)
    fresh = dict(build(model.config, demo.tokenizer.n_vocab).named_buffers())
    error = complaint(Masked(registered=False))
    numbers = sum(buffer.numel() for buffer in buffers.values())
    statistics = nn.BatchNorm1d(4)
    properties = (_("parameter"), _("gradient"), _("optimizer"), _("saved"), _("moves"))
    shown = {
        _("{path}, a weight").format(path=first): found[first],
        **{_("{path}, a buffer").format(path=path): found[path] for path in list(buffers)[:4]},
        _("mask, a buffer that is saved"): fates(Masked(registered=True, persistent=True), ["mask"], set())[
            "mask"
        ],
        _("BatchNorm's running mean, a buffer that is saved"): fates(
            statistics, ["running_mean"], optimized(statistics, demo)
        )["running_mean"],
        _("mask, a plain attribute"): plain,
    }

    body = (
        _(
            "Some tensors belong to a model but must not be trained: masks, running statistics, tables of "
            "angles. In {name} there are {n}: {paths}. They hold {numbers:,} numbers, next to {weights:,} "
            "weights."
        ).format(
            name=demo.name,
            n=len(buffers),
            paths=_(", ").join(list(buffers)[:4]),
            numbers=numbers,
            weights=model.n_params,
        ),
        _(
            "Such a tensor is registered as a buffer. The next table shows the consequences, tried just "
            "now: 1 for yes, 0 for no. “Moves” says whether model.to(…) moves it to another device."
        ),
        Grid(
            _("properties of each tensor"),
            list(shown),
            properties,
            [each.row for each in shown.values()],
            decimals=0,
        ),
        _(
            "A mask that is only an attribute stays behind when the model moves, and the next step "
            "fails. Torch, on a model that was moved to another device: “{error}”. A parameter would "
            "move, but an optimizer would then change it; with weight decay even where its gradient is "
            "0."
        ).format(error=error),
        _(
            "A buffer that can be computed again need not be saved: persistent=False keeps it out of the "
            "checkpoint. This run's file has {n} tensors, and none is a buffer. Loading builds the model, "
            "which fills its tables, and then copies the weights. Values collected in training, such as "
            "BatchNorm's running mean, must be saved."
        ).format(n=len(saved)),
        _(
            "This model stores no mask: it tells the kernel “causal”, or builds the mask on the device of "
            "the tokens when needed."
        ),
    )
    everything = {id(p) for p in model.parameters()}
    findings = (
        Finding.near(
            _("buffers among the parameters"), sum(f.is_parameter for f in of_buffers.values()), 0, 0
        ),
        Finding.near(_("buffers with a gradient"), sum(f.needs_gradient for f in of_buffers.values()), 0, 0),
        Finding.near(_("buffers in the optimizer"), sum(f.in_optimizer for f in of_buffers.values()), 0, 0),
        Finding.near(_("weights in the optimizer"), len(held & everything), len(everything), 0),
        Finding.near(_("buffers in this run's file"), len(saved.keys() & buffers.keys()), 0, 0),
        Finding.near(
            _("buffers that move with the model"),
            sum(f.moves for f in of_buffers.values()),
            len(of_buffers),
            0,
        ),
        Finding.near(_("plain attributes that move"), int(plain.moves), 0, 0),
        Finding.near(
            _("computed again, largest difference"),
            max((buffer - fresh[path]).abs().max().item() for path, buffer in buffers.items()),
            0.0,
            0.0,
        ),
    )

    def draw() -> Plot:
        from glassgpt.explain.pictures.buffers import draw

        return draw(_, properties, {name: [value > 0 for value in each.row] for name, each in shown.items()})

    return Chapter("buffers", _(TITLE), body, findings, draw, _)


def _with_buffers(context: ChapterContext) -> Demo:
    """Return the user's model if it has buffers, or the built-in GPT.

    Learned positions are weights, not buffers.
    """
    own = context.demo("gpt", "seq2seq", "captioner", "encoder")
    return own if any(True for _ in own.model.buffers()) else ChapterContext(seed=context.seed).demo("gpt")
