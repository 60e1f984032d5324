"""The blocks of a GPT in one call of blocks.c.

torch_blocks.py is the readable form, for GPUs and machines without a C compiler.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, Structure, byref, c_float, c_int32, c_void_p
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from glassgpt.generate.fast import native
from glassgpt.generate.fast.batch import SlotMemory, TokenBatch
from glassgpt.generate.fast.native import MatrixStruct
from glassgpt.generate.fast.weights import PackedMatrix, Precision, has_fast_kernels
from glassgpt.models import GPT
from glassgpt.nn import Block, KVCache

RMS, LAYER, NONE = range(3)
MLP = {"swiglu": 0, "gelu": 1, "gelu_erf": 2}


class NormStruct(Structure):
    """`Norm` in blocks.c."""

    _fields_ = (("gain", c_void_p), ("bias", c_void_p), ("eps", c_float), ("kind", c_int32))


class LayerStruct(Structure):
    """`Layer` in blocks.c."""

    _fields_ = (
        *(
            (name, NormStruct)
            for name in ("norm_1", "norm_2", "q_norm", "k_norm", "norm_cross", "cross_q_norm")
        ),
        *((name, MatrixStruct) for name in ("qkv", "attn_proj", "fc", "mlp_proj", "cross_q", "cross_proj")),
        *((name, c_void_p) for name in ("keys", "values")),
    )


class MemoryStruct(Structure):
    """`Memory` in blocks.c."""

    _fields_ = (("keys", c_void_p), ("values", c_void_p), ("S", c_int32))


SIZES = ("n_layer", "n_head", "n_kv_head", "head_dim", "n_embd", "hidden", "mlp", "max_len", "window")


class GPTStruct(Structure):
    """`GPT` in blocks.c."""

    _fields_ = (
        ("layers", POINTER(LayerStruct)),
        *((name, c_void_p) for name in ("cos", "sin")),
        ("norm_f", NormStruct),
        *((name, c_int32) for name in SIZES),
    )


class NativeBlocks:
    """All blocks of a GPT and the final norm, with a KV cache."""

    def __init__(self, library: ctypes.CDLL, model: GPT, cache: KVCache, precision: Precision) -> None:
        c, rope = model.config, model.rope
        self.library = library
        self._alive = list[object]()  # what the structs point to
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
        self.n_work = (
            max(c.n_embd, c.n_head * c.head_dim) + wide + c.hidden
        )  # numbers per row, without its attention weights
        self.work = torch.empty(0)
        self.memories = WeakKeyDictionary[SlotMemory, ctypes.Array[MemoryStruct]]()

    @staticmethod
    def library_for(cache: KVCache) -> ctypes.CDLL | None:
        """Return the native library; None if it is missing or does not fit the cache."""
        is_float32 = cache.keys.dtype == torch.float32
        return native.load() if is_float32 and has_fast_kernels(cache.keys.device) else None

    def _layer(self, block: Block, keys: Tensor, values: Tensor, precision: Precision) -> LayerStruct:
        def matrix(linear: nn.Linear, n: int | None = None) -> MatrixStruct:
            """Pack the first n rows, or all."""
            bias = None if linear.bias is None else linear.bias[:n]
            packed = PackedMatrix(linear.weight[:n].detach(), bias, precision)
            self._alive.append(packed)
            return packed.struct

        attn, mlp = block.attn, block.mlp
        layer = LayerStruct(
            norm_1=self._norm(block.norm_1),
            norm_2=self._norm(block.norm_2),
            q_norm=self._norm(attn.q_norm),
            k_norm=self._norm(attn.k_norm),
            qkv=matrix(attn.qkv),
            attn_proj=matrix(attn.proj),
            fc=matrix(mlp.fc),
            mlp_proj=matrix(mlp.proj),
            keys=self._address(keys),
            values=self._address(values),
        )
        if (cross := block.cross_attn) is not None and block.norm_cross is not None:
            layer.norm_cross, layer.cross_q_norm = self._norm(block.norm_cross), self._norm(cross.q_norm)
            layer.cross_q = matrix(cross.qkv, cross.n_head * cross.head_dim)
            layer.cross_proj = matrix(cross.proj)
        return layer

    def _norm(self, module: nn.Module) -> NormStruct:
        if isinstance(module, nn.RMSNorm):
            assert module.eps is not None
            return NormStruct(self._address(module.weight), None, module.eps, RMS)
        if isinstance(module, nn.LayerNorm):
            return NormStruct(self._address(module.weight), self._address(module.bias), module.eps, LAYER)
        assert isinstance(module, nn.Identity)
        return NormStruct(None, None, 0, NONE)

    def _address(self, tensor: Tensor | None) -> int | None:
        """Return the address, and keep the tensor alive as long as the blocks."""
        if tensor is None:
            return None
        self._alive.append(tensor.detach())
        return tensor.data_ptr()

    def __call__(self, x: Tensor, batch: TokenBatch, memories: Sequence[SlotMemory] = ()) -> Tensor:
        """Compute states (R, C) from embedded tokens x (R, C), in place.

        memories: one per slot, or none.
        """
        R, S = len(x), max(max(batch.past) + batch.T, *(memory.S for memory in memories), 0)
        n_work = R * (self.n_work + self.struct.n_head * S)
        if len(self.work) < n_work:
            self.work = torch.empty(2 * n_work)
        ints = c_int32 * R
        structs = [self._memory(memory) for memory in memories for _ in range(batch.T)]
        self.library.run_blocks(
            byref(self.struct),
            R,
            ints(*batch.slots),
            ints(*batch.positions),
            (POINTER(MemoryStruct) * R)(*structs) if structs else None,
            S,
            c_void_p(x.data_ptr()),
            c_void_p(self.work.data_ptr()),
            torch.get_num_threads(),
        )
        return x

    def _memory(self, memory: SlotMemory) -> ctypes.Array[MemoryStruct]:
        if memory not in self.memories:
            layers = [MemoryStruct(k.data_ptr(), v.data_ptr(), len(k)) for k, v in memory.layers]
            self.memories[memory] = (MemoryStruct * len(layers))(*layers)
        return self.memories[memory]
