"""The layers of `glassgpt.nn` as ONNX operators; each function has the shapes of its module."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.interop.onnx.graph import Graph, Value
from glassgpt.nn import Attention, Block, GeluMLP, NgramEmbedding, RMSNorm, RotaryEmbedding, SwigluMLP
from glassgpt.nn.ngram import MIX, SCATTER


class KeyValue(NamedTuple):
    """Keys and values, (B, H_kv, S, D) each."""

    keys: Value
    values: Value


class Rotation(NamedTuple):
    """Cosines and sines of the positions of a pass, (T, D / 2) each."""

    cos: Value
    sin: Value


def linear(g: Graph, x: Value, module: nn.Linear, rows: slice | None = None, part: str = "") -> Value:
    """(..., n_in) -> (..., n_out), or some rows of the matrix only. part: the name of these rows."""
    weight, bias = module.weight, module.bias
    name = bias_name = ""
    if rows is not None:
        weight, bias = weight[rows], None if bias is None else bias[rows]
        name, bias_name = f"{part}.weight", f"{part}.bias"
    y = g.op("MatMul", x, g.transpose(g.weight(weight, name), 1, 0))
    return y if bias is None else g.op("Add", y, g.weight(bias, bias_name))


def embedding(g: Graph, ids: Value, weight: Tensor) -> Value:
    """(B, T) -> (B, T, C); padding counts as token 0."""
    return g.op("Gather", g.weight(weight), g.op("Max", ids, g.const(0)))


def norm(g: Graph, x: Value, module: nn.Module) -> Value:
    """Normalize the last axis by the module's kind: RMSNorm, LayerNorm or nothing."""
    match module:
        case RMSNorm():
            assert module.eps is not None
            square = g.op("ReduceMean", g.op("Mul", x, x), g.const([-1]))  # (..., 1)
            scale = g.op("Sqrt", g.op("Add", square, g.const(float(module.eps))))
            return g.op("Mul", g.op("Div", x, scale), g.weight(module.weight))
        case nn.LayerNorm():
            bias = () if module.bias is None else (g.weight(module.bias),)
            return g.op("LayerNormalization", x, g.weight(module.weight), *bias, epsilon=module.eps)
        case nn.Identity():
            return x
        case _:
            raise NotImplementedError(type(module))


def mlp(g: Graph, x: Value, module: GeluMLP | SwigluMLP) -> Value:
    """(B, T, C) -> (B, T, C)."""
    h = linear(g, x, module.fc)
    if isinstance(module, SwigluMLP):
        gate, up = g.split(h, [module.proj.in_features] * 2)
        return linear(g, g.op("Mul", _times_sigmoid(g, gate, gate), up), module.proj)
    return linear(g, _gelu(g, h, is_exact=module.gelu is F.gelu), module.proj)


def _gelu(g: Graph, x: Value, *, is_exact: bool) -> Value:
    """Compute x · Φ(x), or GPT-2's approximation x · σ(2 √(2/π) (x + 0.044715 x³))."""
    if is_exact:
        erf = g.op("Erf", g.op("Mul", x, g.const(math.sqrt(0.5))))
        return g.op("Mul", g.op("Mul", x, g.const(0.5)), g.op("Add", erf, g.const(1.0)))
    cubed = g.op("Mul", g.op("Mul", x, x), g.op("Mul", x, g.const(0.044715)))
    u = g.op("Mul", g.op("Add", x, cubed), g.const(2 * math.sqrt(2 / math.pi)))
    return _times_sigmoid(g, x, u)


def _times_sigmoid(g: Graph, x: Value, u: Value) -> Value:
    return g.op("Mul", x, g.op("Sigmoid", u))


def rotation(g: Graph, module: RotaryEmbedding, start: Value, end: Value) -> Rotation:
    """Take the angles of positions start to end − 1 from the tables."""
    tables = {"rope.cos": module.cos, "rope.sin": module.sin}
    return Rotation(*(g.slice(g.table(name, t), start, end, axis=0) for name, t in tables.items()))


def rotate_half(g: Graph, x: Value, by: Rotation | None, width: int) -> Value:
    """Rotate each pair (x_i, x_{i + D/2}) of the last axis. width: D."""
    if by is None:
        return x
    a, b = g.split(x, [width // 2] * 2)
    first = g.op("Sub", g.op("Mul", a, by.cos), g.op("Mul", b, by.sin))
    second = g.op("Add", g.op("Mul", b, by.cos), g.op("Mul", a, by.sin))
    return g.op("Concat", first, second, axis=-1)


def self_attention(
    g: Graph, x: Value, module: Attention, mask: Value, by: Rotation | None, past: KeyValue | None
) -> tuple[Value, KeyValue]:
    """(B, T, C) -> (B, T, C), with the keys and values of past and x. mask: see `attend`."""
    widths = [n * module.head_dim for n in (module.n_head, module.n_kv_head, module.n_kv_head)]
    q, k, v = g.split(linear(g, x, module.qkv), widths)  # (B, T, n · D) each
    q, new = _queries(g, q, module), _key_value(g, k, v, module)
    q, keys = rotate_half(g, q, by, module.head_dim), rotate_half(g, new.keys, by, module.head_dim)
    kv = KeyValue(keys, new.values)
    if past is not None:
        kv = KeyValue(*(g.op("Concat", *pair, axis=2) for pair in zip(past, kv, strict=True)))
    return attend(g, q, kv, mask, module), kv


def cross_attention(g: Graph, x: Value, module: Attention, name: str, memory: KeyValue, mask: Value) -> Value:
    """(B, T, C) -> (B, T, C), by the first rows of the matrix. name: of the module."""
    n = module.n_head * module.head_dim
    q = _queries(g, linear(g, x, module.qkv, slice(n), f"{name}.q"), module)
    return attend(g, q, memory, mask, module)


def memory_key_value(g: Graph, states: Value, module: Attention, name: str) -> KeyValue:
    """Compute keys and values of a memory (B, S, C), by the last rows of the matrix."""
    rows = slice(module.n_head * module.head_dim, None)
    kv = linear(g, states, module.qkv, rows, f"{name}.kv")
    k, v = g.split(kv, [module.n_kv_head * module.head_dim] * 2)  # (B, S, H_kv · D) each
    return _key_value(g, k, v, module)


def _queries(g: Graph, q: Value, module: Attention) -> Value:
    """(B, T, H · D) -> (B, H_kv, H / H_kv, T, D): queries that share a key are one group."""
    group = module.n_head // module.n_kv_head
    heads = g.reshape(q, 0, 0, module.n_kv_head, group, module.head_dim)
    return norm(g, g.transpose(heads, 0, 2, 3, 1, 4), module.q_norm)


def _key_value(g: Graph, k: Value, v: Value, module: Attention) -> KeyValue:
    """(B, T, H_kv · D) -> (B, H_kv, T, D) each."""
    k, v = (
        g.transpose(g.reshape(each, 0, 0, module.n_kv_head, module.head_dim), 0, 2, 1, 3) for each in (k, v)
    )
    return KeyValue(norm(g, k, module.k_norm), v)


def attend(g: Graph, q: Value, kv: KeyValue, mask: Value, module: Attention) -> Value:
    """softmax(q kᵀ / √D) v, and the output matrix.

    q: (B, H_kv, G, T, D). mask: boolean, broadcastable to (B, H_kv, G, T, S), or "" for none.
    """
    keys, values = (g.unsqueeze(each, 2) for each in kv)  # (B, H_kv, 1, S, D) each
    q = g.op("Mul", q, g.const(module.head_dim**-0.5))
    scores = g.op("MatMul", q, g.transpose(keys, 0, 1, 2, 4, 3))  # (B, H_kv, G, T, S)
    if mask:
        scores = g.op("Where", mask, scores, g.const(-math.inf))
    y = g.op("MatMul", g.op("Softmax", scores, axis=-1), values)  # (B, H_kv, G, T, D)
    y = g.reshape(g.transpose(y, 0, 3, 1, 2, 4), 0, 0, module.n_head * module.head_dim)
    return linear(g, y, module.proj)


def feed_forward(g: Graph, x: Value, block: Block) -> Value:
    """(B, T, C) -> (B, T, C), added to x."""
    return g.op("Add", x, mlp(g, norm(g, x, block.norm_2), block.mlp))


def ngrams(g: Graph, recent: Value, tokens: Value, module: NgramEmbedding) -> tuple[Value, Value]:
    """Embed the n-grams that end at each token: (B, T, C); also return the next `recent`.

    recent: (B, R), at most the last order − 1 tokens before `tokens` (B, T).
    """
    past = module.order - 1
    seen = g.op("Concat", recent, tokens, axis=1)  # (B, R + T)
    start = g.const([0, past, 0, 0])
    ids = g.op("Add", g.op("Pad", seen, start, g.const(-1)), g.const(1))  # (B, past + R + T)
    n_ids, T = g.size(ids, 1), g.size(tokens, 1)
    key, rows = _shifted(g, ids, n_ids, T, 0), []
    for n in range(1, module.order):
        key = g.op("Add", g.op("Mul", key, g.const(MIX)), _shifted(g, ids, n_ids, T, n))
        mixed = g.op("BitwiseXor", key, _shifted_right(g, key, 15))
        spread = g.op("Add", g.op("Mul", mixed, g.const(SCATTER)), g.const(n))
        rows.append(g.unsqueeze(g.op("Mod", spread, g.const(module.table.num_embeddings)), 2))
    found = g.op("Gather", g.weight(module.table.weight), g.op("Concat", *rows, axis=2))  # (B, T, past, C)
    kept = g.slice(seen, g.const(-past), g.size(seen, 1), axis=1)
    return g.op("ReduceSum", found, g.const([2]), keepdims=0), kept


def _shifted(g: Graph, ids: Value, n_ids: Value, T: Value, n: int) -> Value:
    """Return the T ids that end n before the last."""
    end = g.op("Sub", n_ids, g.const(n))
    return g.slice(ids, g.op("Sub", end, T), end, axis=1)


def _shifted_right(g: Graph, x: Value, bits: int) -> Value:
    """Compute x >> bits. ONNX shifts unsigned integers only, and its division rounds toward zero."""
    size = g.const(1 << bits)
    return g.op("Div", g.op("Sub", x, g.op("Mod", x, size)), size)
