"""The parts of any language model, found by shape and name: blocks, attention, MLPs, norms, tables, head."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from torch import Tensor, nn

PATTERNS: tuple[tuple[str, str], ...] = (
    ("normalization", r"norm|(^|[._])ln(_|$|\d)"),
    ("positions", r"wpe|position|rotary|rope|pos_emb"),
    ("embedding", r"wte|embed|tok_emb"),
    ("output", r"lm_head|(^|\.)head$|unembed|output_head|(^|\.)output$"),
    ("mlp", r"mlp|ffn|feed_forward|(^|\.)ff(\.|$)|c_fc"),
    ("attention", r"attn|attention|qkv"),
)
"""Category and pattern of its modules' names."""


def category_of(path: str, module: nn.Module | None = None) -> str:
    """Return the category of a module or parameter by its path: "mlp", "attention" …, else "residual".

    >>> category_of("transformer.h.0.attn.c_attn.weight"), category_of("transformer.h.0")
    ('attention', 'residual')
    """
    if module is not None and "Norm" in type(module).__name__:
        return "normalization"
    path = path.removesuffix(".weight").removesuffix(".bias")
    last = path.rpartition(".")[2]
    for category, pattern in PATTERNS:
        if re.search(pattern, last):
            return category
    return next((category for category, pattern in PATTERNS if re.search(pattern, path)), "residual")


@dataclass(frozen=True)
class NamedModule:
    """A module with its path."""

    path: str
    module: nn.Module

    @property
    def weight(self) -> Tensor:
        """The matrix of a table or of a linear layer."""
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return weight


class ModelParts:
    """Blocks, attentions, MLPs, norms, tables and head of a model."""

    def __init__(self, model: nn.Module, n_vocab: int) -> None:
        self.model, self.n_vocab = model, n_vocab
        self.paths = {module: path for path, module in model.named_modules()}

    @cached_property
    def blocks(self) -> list[NamedModule]:
        """The repeated layers: the longest list of modules of one type that have parameters."""
        lists = [
            [NamedModule(f"{path}.{i}", each) for i, each in enumerate(module)]
            for path, module in self.model.named_modules()
            if isinstance(module, nn.ModuleList | nn.Sequential)
        ]
        alike = [
            parts
            for parts in lists
            if parts
            and all(type(a.module) is type(b.module) for a, b in pairwise(parts))
            and self._is_block(parts[0].module)
        ]
        return max(alike, key=len, default=[])

    @property
    def above_blocks(self) -> nn.Module | None:
        """The list that holds the blocks."""
        return self.model.get_submodule(self.blocks[0].path.rpartition(".")[0]) if self.blocks else None

    @staticmethod
    def _is_block(module: nn.Module) -> bool:
        return len(list(module.children())) >= 2 and any(p.ndim >= 2 for p in module.parameters())

    def _in_blocks(self, category: str) -> list[NamedModule]:
        """Return the outermost module of a category in each block."""
        found: list[NamedModule] = []
        for block in self.blocks:
            for name, child in block.module.named_children():
                if category_of(name, child) == category and any(True for _ in child.parameters()):
                    found.append(NamedModule(f"{block.path}.{name}", child))
                    break
        return found

    @cached_property
    def attentions(self) -> list[NamedModule]:
        """The self-attention of each block."""
        return self._in_blocks("attention")

    @cached_property
    def mlps(self) -> list[NamedModule]:
        """The MLP of each block."""
        return self._in_blocks("mlp")

    @cached_property
    def norms(self) -> list[NamedModule]:
        """Every norm over the whole width."""
        return [
            NamedModule(path, module)
            for path, module in self.model.named_modules()
            if "Norm" in type(module).__name__ and not list(module.children())
        ]

    @cached_property
    def embeddings(self) -> list[NamedModule]:
        """Tables of the size of the vocabulary."""
        return [
            NamedModule(path, module)
            for path, module in self.model.named_modules()
            if isinstance(module, nn.Embedding) and category_of(path) != "positions"
        ]

    @cached_property
    def positions(self) -> list[NamedModule]:
        """Tables of learned positions."""
        return [
            NamedModule(path, module)
            for path, module in self.model.named_modules()
            if isinstance(module, nn.Embedding) and category_of(path) == "positions"
        ]

    @cached_property
    def head(self) -> NamedModule | None:
        """The last linear layer whose output has the size of the vocabulary."""
        found = [
            NamedModule(path, module)
            for path, module in self.model.named_modules()
            if isinstance(module, nn.Linear) and module.out_features == self.n_vocab
        ]
        return found[-1] if found else None
