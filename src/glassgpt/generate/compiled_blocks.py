"""The blocks of a GPT in one call of blocks.c, for new tokens of the slots of a cache.

torch_blocks.py has the form that reads like the model, and what this one does not know: memories, GPUs.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, byref, c_float, c_int32, c_void_p

import torch
from torch import Tensor, nn

from glassgpt.generate import compiled
from glassgpt.generate.compiled import Matrix
from glassgpt.generate.decoder import Rows
from glassgpt.generate.packing import PackedMatrix, Precision, has_quick_kernels
from glassgpt.models import GPT
from glassgpt.nn import Block, KVCache

MLP = {"swiglu": 0, "gelu": 1, "gelu_erf": 2}


class NormStruct(Structure):
    """`Norm` in blocks.c; the others are named in the same way."""

    _fields_ = (("gain", c_void_p), ("bias", c_void_p), ("eps", c_float), ("kind", c_int32))


class LayerStruct(Structure):
    _fields_ = (
        *((name, NormStruct) for name in ("norm_1", "norm_2", "q_norm", "k_norm")),
        *((name, Matrix) for name in ("qkv", "attn_proj", "fc", "mlp_proj")),
        *((name, c_void_p) for name in ("keys", "values")),
    )


SIZES = ("n_layer", "n_head", "n_kv_head", "head_dim", "n_embd", "hidden", "mlp", "max_len", "window")


class GPTStruct(Structure):
    _fields_ = (
        ("layers", POINTER(LayerStruct)),
        *((name, c_void_p) for name in ("cos", "sin")),
        ("norm_f", NormStruct),
        *((name, c_int32) for name in SIZES),
    )


class CompiledBlocks:
    """All blocks of a GPT and the norm after them, with the slots of a cache."""

    def __init__(self, library: ctypes.CDLL, model: GPT, cache: KVCache, precision: Precision) -> None:
        c, rope = model.config, model.rope
        self.library, self._kept = library, list[object]()
        blocks = [block for block in model.blocks if isinstance(block, Block)]
        layers = [
            self._layer(block, keys, values, precision)
            for block, keys, values in zip(blocks, cache.keys, cache.values, strict=True)
        ]
        self.layers = (LayerStruct * c.n_layer)(*layers)
        self.struct = GPTStruct(
            layers=self.layers,
            cos=self._address(None if rope is None else rope.cos),
            sin=self._address(None if rope is None else rope.sin),
            norm_f=self._norm(model.norm_f),
            n_layer=c.n_layer,
            n_head=c.n_head,
            n_kv_head=c.kv_heads,
            head_dim=c.head_dim,
            n_embd=c.n_embd,
            hidden=c.hidden,
            mlp=MLP[c.mlp],
            max_len=cache.max_len,
            window=c.window or 0,
        )
        wide = max(blocks[0].attn.qkv.out_features, blocks[0].mlp.fc.out_features)
        self.room = c.n_embd + wide + c.hidden + c.n_head * cache.max_len  # numbers a row
        self.work = torch.empty(self.room)

    @staticmethod
    def library_for(model: GPT, cache: KVCache) -> ctypes.CDLL | None:
        """What to call for this model; None where there is nothing, or the model looks at a memory."""
        plain = cache.keys.dtype == torch.float32 and has_quick_kernels(cache.keys.device)
        return compiled.load() if plain and model.blocks[0].cross is None else None

    def _layer(self, block: Block, keys: Tensor, values: Tensor, precision: Precision) -> LayerStruct:
        linears = (block.attn.qkv, block.attn.proj, block.mlp.fc, block.mlp.proj)
        matrices = [PackedMatrix(each.weight.detach(), each.bias, precision) for each in linears]
        self._kept += matrices
        norms = (block.norm_1, block.norm_2, block.attn.q_norm, block.attn.k_norm)
        return LayerStruct(
            *map(self._norm, norms),
            *(matrix.struct for matrix in matrices),
            self._address(keys),
            self._address(values),
        )

    def _norm(self, module: nn.Module) -> NormStruct:
        if isinstance(module, nn.RMSNorm):
            assert module.eps is not None
            return NormStruct(self._address(module.weight), None, module.eps, 0)
        if isinstance(module, nn.LayerNorm):
            return NormStruct(self._address(module.weight), self._address(module.bias), module.eps, 1)
        assert isinstance(module, nn.Identity)
        return NormStruct(None, None, 0, 2)

    def _address(self, tensor: Tensor | None) -> int | None:
        """Where it lies, from now on for as long as the blocks live, even if the model lets go of it."""
        if tensor is None:
            return None
        self._kept.append(tensor.detach())
        return tensor.data_ptr()

    def __call__(self, x: Tensor, rows: Rows) -> Tensor:
        """Embedded tokens (R, C) -> their states (R, C), in x itself."""
        R = len(x)
        if len(self.work) < R * self.room:
            self.work = torch.empty(R * self.room)
        ints = c_int32 * R
        self.library.run_blocks(
            byref(self.struct),
            R,
            ints(*rows.slots),
            ints(*rows.places),
            c_void_p(x.data_ptr()),
            c_void_p(self.work.data_ptr()),
            torch.get_num_threads(),
        )
        return x
