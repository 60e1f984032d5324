"""A reference of every model in float64 NumPy, with explicit loops for attention.

The oracle that a recording of a model is held against. It takes a configuration and weights, and returns
all that happens between the tokens and the logits, by name. It shares no arithmetic with the library and
is no way to run a model: it has no cache, no dropout and no gradient, and is slow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from glassgpt.config import ModelConfig

Array = np.ndarray
Sees = Callable[[int, int, int], bool]
"""True if the query at position t may attend to the key at position s, in sequence b of the batch."""
NO_TOKEN = -1


def slow_forward(
    config: ModelConfig, weights: Mapping[str, Array], tokens: Array, source: Array | None = None
) -> dict[str, Array]:
    """All intermediate tensors of one forward pass, float64.

    tokens: (B, T), −1 where there is none (in no bigram). source: for seq2seq (B, S) tokens, −1 where
    there is none; for captioner (B, channels, H, W) bytes; else None. weights: as in a state_dict.
    Of an attention at P: P.q and P.heads (B, H, T, D), P.k and P.v (B, H_kv, S, D), P.scores,
    P.masked_scores and P.weights (B, H, T, S), P.out (B, T, C).
    Of a block at P: P.resid_pre, P.resid_mid, P.resid_cross (if it has a memory), P.resid_post and
    P.mlp.out (B, T, C), P.mlp.hidden (B, T, hidden).
    Last norm_f (B, T, C) and logits (B, T, V), or (B, 1, n_class). The names in an encoder begin with
    `encoder.`, in a vision encoder with `vision_encoder.`. Of a bigram there are only logits.
    """
    if config.family == "bigram":
        return {"logits": np.asarray(weights["table.weight"], np.float64)[tokens]}
    main = Stack(config, {name: np.asarray(w, np.float64) for name, w in weights.items()})
    x = main.weights["wte.weight"][np.maximum(tokens, 0)]
    if config.ngram_order:
        x = x + ngrams(main.weights["ngrams.table.weight"], config.ngram_order, tokens)
    if config.family == "encoder":
        states = main.run(x, sees_real(tokens, config.window), config.n_layer)
    else:
        memory = encode(main, source) if source is not None else None
        assert (memory is not None) == (config.family in ("seq2seq", "captioner"))
        states = main.run(x, sees_past(config.window), config.n_layer, memory)
    main.seen["logits"] = main.read_out(states, tokens)
    return main.seen


def encode(main: Stack, source: Array) -> tuple[Array, Sees]:
    """Encode a source: encoder states (B, S, C), and the mask of the keys."""
    config = main.config
    if config.family == "captioner":
        vision = main.sibling("vision_encoder.", position="learned")
        x = vision.linear(patches(source, config.patch_size), "wpatch")
        return vision.run(x, sees_all, config.encoder_layers), sees_all
    x = main.weights["wte.weight"][np.maximum(source, 0)]
    states = main.sibling("encoder.").run(x, sees_real(source, config.window), config.encoder_layers)
    return states, sees_real(source, None)


def ngrams(table: Array, order: int, tokens: Array) -> Array:
    """Sum the embeddings of the n-grams of 2 to `order` tokens that end at each position: (B, T, C)."""
    found = np.zeros((*tokens.shape, table.shape[1]))
    for b, t in np.ndindex(*tokens.shape):
        key = int(tokens[b, t]) + 1
        for n in range(1, order):
            before = int(tokens[b, t - n]) + 1 if t >= n else 0
            key = wrapped(key * 1_000_003 + before)
            found[b, t] += table[wrapped((key ^ (key >> 15)) * 2_654_435_761 + n) % len(table)]
    return found


def wrapped(number: int) -> int:
    """Wrap an integer to 64 bits with a sign."""
    return (number + 2**63) % 2**64 - 2**63


def sees_all(b: int, t: int, s: int) -> bool:
    """Mask of patches, and of a decoder that attends to patches: everything is visible."""
    return True


def sees_past(window: int | None) -> Sees:
    """Causal mask: a token sees itself and earlier tokens, `window` tokens in total."""
    return lambda b, t, s: s <= t and (window is None or t - s < window)


def sees_real(tokens: Array, window: int | None) -> Sees:
    """Bidirectional mask: a token sees every real token; with a window, the near ones and itself."""
    real = tokens != NO_TOKEN
    if window is None:
        return lambda b, t, s: bool(real[b, s])
    return lambda b, t, s: s == t or (bool(real[b, s]) and abs(t - s) < window)


def patches(images: Array, size: int) -> Array:
    """Cut images (B, channels, H, W) into patches (B, n_patch, channels · size²), from −1 (black) to 1."""
    height, width = images.shape[2:]
    cut = [
        images[:, :, y : y + size, x : x + size].reshape(len(images), -1)
        for y in range(0, height, size)
        for x in range(0, width, size)
    ]
    return np.stack(cut, axis=1).astype(np.float64) / 255 * 2 - 1


def softmax(scores: Array) -> Array:
    """Softmax of one row of scores (S,), some of them −∞."""
    assert np.isfinite(scores).any(), "a query has nothing to attend to"
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def rotated(x: Array, theta: float) -> Array:
    """Rotate each pair (x_i, x_{i + D/2}) of x (B, H, T, D) by the angle t · θ^(−2i/D)."""
    T, D = x.shape[2:]
    out = np.empty_like(x)
    for t in range(T):
        for i in range(D // 2):
            turn = np.exp(1j * t * theta ** (-2 * i / D))
            z = (x[:, :, t, i] + 1j * x[:, :, t, i + D // 2]) * turn
            out[:, :, t, i], out[:, :, t, i + D // 2] = z.real, z.imag
    return out


def sinusoid(T: int, C: int) -> Array:
    """Sinusoidal positions (T, C): sine and cosine of t / 10000^(2i/C) in even and odd columns."""
    out = np.empty((T, C))
    for t in range(T):
        for c in range(C):
            angle = t / 10_000 ** (c // 2 * 2 / C)
            out[t, c] = math.cos(angle) if c % 2 else math.sin(angle)
    return out


def rms_norm(x: Array, gain: Array, eps: float | None) -> Array:
    """RMSNorm over the last dimension."""
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + (eps or 1e-6)) * gain


@dataclass(frozen=True)
class Stack:
    """Positions, blocks and a final norm. `prefix` begins all names; `seen` collects the activations."""

    config: ModelConfig
    weights: Mapping[str, Array]
    prefix: str = ""
    seen: dict[str, Array] = field(default_factory=dict)

    def sibling(self, prefix: str, **changes: object) -> Stack:
        """Another stack of the same model."""
        return Stack(self.config.model_copy(update=changes), self.weights, prefix, self.seen)

    def run(self, x: Array, sees: Sees, n_layer: int, memory: tuple[Array, Sees] | None = None) -> Array:
        """x: (B, T, C) without positions -> the states after the last norm (B, T, C)."""
        T, C = x.shape[1:]
        match self.config.position:
            case "learned":
                x = x + self.weights[f"{self.prefix}wpe.weight"][:T]
            case "sinusoidal":
                x = x + sinusoid(T, C)
        for i in range(n_layer):
            x = self.block(x, f"blocks.{i}", sees, memory)
        return self.see("norm_f", self.norm(x, "norm_f"))

    def block(self, x: Array, at: str, sees: Sees, memory: tuple[Array, Sees] | None) -> Array:
        """x: (B, T, C) -> (B, T, C): each part reads the stream through its norm and adds to it."""
        x = self.see(f"{at}.resid_pre", x)
        y = self.norm(x, f"{at}.norm_1")
        x = self.see(f"{at}.resid_mid", x + self.attention(y, y, f"{at}.attn", sees, turned=True))
        if memory is not None:
            states, sees_memory = memory
            y = self.norm(x, f"{at}.norm_cross")
            x = x + self.attention(y, states, f"{at}.cross_attn", sees_memory, turned=False)
            self.see(f"{at}.resid_cross", x)
        return self.see(f"{at}.resid_post", x + self.mlp(self.norm(x, f"{at}.norm_2"), f"{at}.mlp"))

    def attention(self, x: Array, memory: Array, at: str, sees: Sees, *, turned: bool) -> Array:
        """Queries from x (B, T, C), keys and values from memory (B, S, C) -> (B, T, C)."""
        q, k, v = self.queries_keys_values(x, memory, at, turned=turned)
        B, H, T, D = q.shape
        S, group = k.shape[2], H // k.shape[1]  # so many heads in a row share keys and values
        scores, masked, weights = np.zeros((3, B, H, T, S))
        heads = np.zeros((B, H, T, D))
        for b, h, t in np.ndindex(B, H, T):
            for s in range(S):
                scores[b, h, t, s] = q[b, h, t] @ k[b, h // group, s] / math.sqrt(D)
                masked[b, h, t, s] = scores[b, h, t, s] if sees(b, t, s) else -math.inf
            weights[b, h, t] = softmax(masked[b, h, t])
            for s in range(S):
                heads[b, h, t] += weights[b, h, t, s] * v[b, h // group, s]
        inside = dict(q=q, k=k, v=v, scores=scores, masked_scores=masked, weights=weights, heads=heads)
        for name, tensor in inside.items():
            self.see(f"{at}.{name}", tensor)
        side_by_side = np.concatenate([heads[:, h] for h in range(H)], axis=-1)  # (B, T, H · D)
        return self.see(f"{at}.out", self.linear(side_by_side, f"{at}.proj"))

    def queries_keys_values(self, x: Array, memory: Array, at: str, *, turned: bool) -> list[Array]:
        """The rows of one matrix are those of the query, then the key, then the value heads."""
        H, H_kv, D = self.config.n_head, self.config.kv_heads, self.config.head_dim
        of_x, of_memory = self.linear(x, f"{at}.qkv"), self.linear(memory, f"{at}.qkv")
        assert of_x.shape[-1] == (H + 2 * H_kv) * D

        def head(of: Array, i: int) -> Array:
            return of[:, :, i * D : (i + 1) * D]

        q = np.stack([head(of_x, i) for i in range(H)], axis=1)
        k = np.stack([head(of_memory, H + i) for i in range(H_kv)], axis=1)
        v = np.stack([head(of_memory, H + H_kv + i) for i in range(H_kv)], axis=1)
        if self.config.qk_norm:
            q, k = (
                rms_norm(y, self.weights[f"{self.prefix}{at}.{name}_norm.weight"], self.config.norm_eps)
                for name, y in dict(q=q, k=k).items()
            )
        if turned and self.config.position == "rope":
            q, k = rotated(q, self.config.rope_theta), rotated(k, self.config.rope_theta)
        return [q, k, v]

    def mlp(self, x: Array, at: str) -> Array:
        """(B, T, C) -> (B, T, C)."""
        y = self.linear(x, f"{at}.fc")
        if self.config.mlp == "gelu":
            hidden = y / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))
        else:
            n = y.shape[-1] // 2
            gate, up = y[..., :n], y[..., n:]
            hidden = gate / (1 + np.exp(-gate)) * up
        return self.see(f"{at}.out", self.linear(self.see(f"{at}.hidden", hidden), f"{at}.proj"))

    def norm(self, x: Array, name: str) -> Array:
        """Over the last dimension: mean square 1, or mean 0 and variance 1."""
        gain = self.weights[f"{self.prefix}{name}.weight"]
        if self.config.norm == "rms":
            return rms_norm(x, gain, self.config.norm_eps)
        centered = x - x.mean(-1, keepdims=True)
        variance = (centered**2).mean(-1, keepdims=True)
        y = centered / np.sqrt(variance + (self.config.norm_eps or 1e-5)) * gain
        return y + self.weights[f"{self.prefix}{name}.bias"] if self.config.bias else y

    def read_out(self, states: Array, tokens: Array) -> Array:
        """States (B, T, C) -> logits: of tokens, or of classes from the mean over the real places."""
        if self.config.family == "encoder" and self.config.labels:
            mean = [h[row != NO_TOKEN].mean(axis=0) for h, row in zip(states, tokens, strict=True)]
            head, bias = self.weights["class_head.weight"], self.weights["class_head.bias"]
            return (np.stack(mean) @ head.T + bias)[:, None]
        return states @ self.weights["wte.weight" if self.config.tie_embeddings else "lm_head.weight"].T

    def linear(self, x: Array, name: str) -> Array:
        """x Wᵀ + b, where the model has biases."""
        y = x @ self.weights[f"{self.prefix}{name}.weight"].T
        return y + self.weights[f"{self.prefix}{name}.bias"] if self.config.bias else y

    def see(self, name: str, tensor: Array) -> Array:
        """Keep it under its name, and go on."""
        assert self.prefix + name not in self.seen
        self.seen[self.prefix + name] = tensor
        return tensor
