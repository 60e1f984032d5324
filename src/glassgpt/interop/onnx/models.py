"""Whole models as ONNX graphs: one graph for a decoder or an encoder, and one for what a decoder attends to.

A decoder reads the tokens after a past of any length, and gives out the keys and values for its next call.
Inputs and outputs have the names of Hugging Face's ONNX exports, so that other programs know them.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from glassgpt.interop.onnx import layers
from glassgpt.interop.onnx.graph import TYPES, Graph, Value
from glassgpt.interop.onnx.layers import KeyValue, Rotation
from glassgpt.models import (
    GPT,
    Bigram,
    Captioner,
    Classifier,
    Encoder,
    MaskedLM,
    Model,
    PatchEncoder,
    Seq2Seq,
    Transformer,
)
from glassgpt.nn import PAD, Block, SinusoidalEmbedding

TOKENS, LOGITS, STATES = "input_ids", "logits", "last_hidden_state"
PIXELS = "pixel_values"
IDS = "ids"
"""The last tokens of the past, for n-gram embeddings."""
MEMORY_MASK = "memory.mask"
"""True for the real tokens of a source, (B, S)."""


def graphs(model: Model, dtype: str) -> Iterator[tuple[str, Graph]]:
    """Yield the graphs of a model by their names: `model`, and `encoder` if the model attends to a source.

    dtype: of the stored weights. Raises NotImplementedError for another class of model.
    """
    g = Graph(model, dtype)
    match model:
        case Seq2Seq() | Captioner():
            yield "encoder", _memory(Graph(model, dtype), model)
            _decoder(g, model)
        case GPT():
            _decoder(g, model)
        case Bigram():
            tokens = g.input(TOKENS, ["batch", "length"], "int64")
            logits = g.op("Gather", g.weight(model.table.weight), g.op("Max", tokens, g.const(0)))
            g.output(LOGITS, logits, ["batch", "length", model.n_vocab])
        case Classifier() | MaskedLM():
            _encoder(g, model)
        case _:
            raise NotImplementedError(type(model))
    yield "model", g


def _decoder(g: Graph, model: GPT) -> None:
    """Next-token logits, with the keys and values of the past as inputs and outputs."""
    config = model.config
    tokens = g.input(TOKENS, ["batch", "length"], "int64")
    past = [_kv_input(g, f"past_key_values.{i}", model, "past") for i in range(config.n_layer)]
    start = g.size(past[0].keys, 2)
    end = g.op("Add", start, g.size(tokens, 1))
    x = layers.embedding(g, tokens, model.wte.weight)
    if model.ngrams is not None:
        recent = g.input(f"past_key_values.{IDS}", ["batch", "recent"], "int64")
        added, recent = layers.ngrams(g, recent, tokens, model.ngrams)
        x = g.op("Add", x, added)
        g.output(f"present.{IDS}", recent, ["batch", "next recent"], "int64")
    x, by = _positions(g, x, model, start, end)
    mask, memory = _causal_mask(g, start, end, config.window), _memory_inputs(g, model)
    for i, block in enumerate(_blocks(model)):
        y, kv = layers.self_attention(g, layers.norm(g, x, block.norm_1), block.attn, mask, by, past[i])
        x = g.op("Add", x, y)
        if block.cross_attn is not None and block.norm_cross is not None:
            h, (keys_values, memory_mask) = layers.norm(g, x, block.norm_cross), memory[i]
            name = f"blocks.{i}.cross_attn"
            y = layers.cross_attention(g, h, block.cross_attn, name, keys_values, memory_mask)
            x = g.op("Add", x, y)
        x = layers.feed_forward(g, x, block)
        _kv_output(g, f"present.{i}", kv, model, "total")
    _logits(g, layers.norm(g, x, model.norm_f), model.lm_head)


def _encoder(g: Graph, model: Classifier | MaskedLM) -> None:
    """Logits of each token (B, T, V), or of the classes of each text (B, n_class)."""
    tokens = g.input(TOKENS, ["batch", "length"], "int64")
    real = g.op("Not", g.op("Equal", tokens, g.const(PAD)))  # (B, T)
    x = _states(g, tokens, real, model)
    if isinstance(model, MaskedLM):
        _logits(g, x, model.lm_head)
        return
    real = g.unsqueeze(real, 2)  # (B, T, 1)
    total = g.op("ReduceSum", g.op("Where", real, x, g.const(0.0)), g.const([1]), keepdims=0)  # (B, C)
    n = g.op("ReduceSum", g.op("Cast", real, to=TYPES["float32"]), g.const([1]), keepdims=0)  # (B, 1)
    logits = layers.linear(g, g.op("Div", total, n), model.class_head)
    g.output(LOGITS, logits, ["batch", len(model.config.labels)])


def _memory(g: Graph, model: Seq2Seq | Captioner) -> Graph:
    """Keys and values of a source for each layer of the decoder, computed once for all its tokens."""
    if isinstance(model, Seq2Seq):
        tokens = g.input(TOKENS, ["batch", "source"], "int64")
        real = g.op("Not", g.op("Equal", tokens, g.const(PAD)))  # (B, S)
        states = _states(g, tokens, real, model.encoder)
        g.output(MEMORY_MASK, real, ["batch", "source"], "bool")
    else:
        states = _patches(g, model.vision_encoder)
    for i, block in enumerate(_blocks(model)):
        assert block.cross_attn is not None
        kv = layers.memory_key_value(g, states, block.cross_attn, f"blocks.{i}.cross_attn")
        _kv_output(g, f"memory.{i}", kv, model, _source(model))
    return g


def _source(model: Model) -> int | str:
    """Return the length of a memory: one for all images, or a name."""
    return model.config.n_patch if isinstance(model, Captioner) else "source"


def _memory_inputs(g: Graph, model: GPT) -> list[tuple[KeyValue, Value]]:
    """Declare the outputs of the encoder as inputs: keys, values and mask by layer; none without a source."""
    if not isinstance(model, Seq2Seq | Captioner):
        return []
    mask = ""
    if isinstance(model, Seq2Seq):
        mask = g.unsqueeze(g.input(MEMORY_MASK, ["batch", "source"], "bool"), 1, 2, 3)  # (B, 1, 1, 1, S)
    n = model.config.n_layer
    return [(_kv_input(g, f"memory.{i}", model, _source(model)), mask) for i in range(n)]


def _states(g: Graph, tokens: Value, real: Value, model: Encoder) -> Value:
    """States (B, T, C) of tokens that see one another. real: (B, T), False for padding."""
    length = g.size(tokens, 1)
    mask = g.unsqueeze(real, 1, 2, 3)  # (B, 1, 1, 1, T)
    if model.config.window is not None:  # padding then sees itself, so that no row is empty
        place = g.arange(g.const(0), length)
        distance = g.op("Abs", g.op("Sub", g.unsqueeze(place, 1), g.unsqueeze(place, 0)))  # (T, T)
        near = g.op("And", mask, g.op("Less", distance, g.const(model.config.window)))
        mask = g.op("Or", near, g.op("Equal", distance, g.const(0)))  # (B, 1, 1, T, T)
    x = layers.embedding(g, tokens, model.wte.weight)
    return _bidirectional(g, x, length, mask, model)


def _patches(g: Graph, model: PatchEncoder) -> Value:
    """States (B, n_patch, C) of the patches of images."""
    c = model.config
    side, size = c.image_size // c.patch_size, c.patch_size
    pixels = g.input(PIXELS, ["batch", c.channels, c.image_size, c.image_size], "uint8")
    x = g.op("Sub", g.op("Div", g.op("Cast", pixels, to=TYPES["float32"]), g.const(127.5)), g.const(1.0))
    x = g.transpose(g.reshape(x, 0, c.channels, side, size, side, size), 0, 2, 4, 1, 3, 5)
    x = g.reshape(x, 0, c.n_patch, c.channels * size * size)  # (B, n_patch, channels · size²)
    return _bidirectional(g, layers.linear(g, x, model.wpatch), g.const(c.n_patch), "", model)


def _bidirectional(g: Graph, x: Value, length: Value, mask: Value, model: Transformer) -> Value:
    """Add positions, run the blocks and the final norm: (B, T, C) -> (B, T, C)."""
    x, by = _positions(g, x, model, g.const(0), length)
    for block in _blocks(model):
        y, _ = layers.self_attention(g, layers.norm(g, x, block.norm_1), block.attn, mask, by, None)
        x = layers.feed_forward(g, g.op("Add", x, y), block)
    return layers.norm(g, x, model.norm_f)


def _positions(
    g: Graph, x: Value, model: Transformer, start: Value, end: Value
) -> tuple[Value, Rotation | None]:
    """Add the embeddings of positions start to end − 1, or return their rotation."""
    if model.rope is not None:
        return x, layers.rotation(g, model.rope, start, end)
    match model.wpe:
        case SinusoidalEmbedding(table=values):
            table = g.table("wpe.table", values)
        case nn.Embedding(weight=weight):
            table = g.weight(weight)
        case _:
            return x, None
    return g.op("Add", x, g.slice(table, start, end, axis=0)), None


def _blocks(model: Transformer) -> list[Block]:
    return [block for block in model.blocks if isinstance(block, Block)]


def _causal_mask(g: Graph, start: Value, end: Value, window: int | None) -> Value:
    """Allow each token itself and those before it, at most `window` in all: (T, S) of bool."""
    query = g.unsqueeze(g.arange(start, end), 1)  # (T, 1)
    key = g.unsqueeze(g.arange(g.const(0), end), 0)  # (1, S)
    allowed = g.op("LessOrEqual", key, query)
    if window is None:
        return allowed
    return g.op("And", allowed, g.op("Greater", key, g.op("Sub", query, g.const(window))))


def _kv_input(g: Graph, name: str, model: Model, length: int | str) -> KeyValue:
    shape = ["batch", model.config.kv_heads, length, model.config.head_dim]
    return KeyValue(g.input(f"{name}.key", shape), g.input(f"{name}.value", shape))


def _kv_output(g: Graph, name: str, kv: KeyValue, model: Model, length: int | str) -> None:
    shape = ["batch", model.config.kv_heads, length, model.config.head_dim]
    g.output(f"{name}.key", kv.keys, shape)
    g.output(f"{name}.value", kv.values, shape)


def _logits(g: Graph, h: Value, head: nn.Linear) -> None:
    g.output(LOGITS, layers.linear(g, h, head), ["batch", "length", head.out_features])
