"""The file format of `tokenizers`: write GlassGPT's tokenizers, and check that foreign ones are lossless.

This file alone knows the format. It does not encode, train, read or write.
"""

import re
from collections.abc import Mapping
from typing import Any

from glassgpt.language import N_

MARKUP = re.compile(r"<[^\s<>]+>")
"""Added tokens that ordinary text does not hold, such as `<think>` and `<|fim_prefix|>`."""


def byte_symbols() -> str:
    """Return the 256 visible characters for the bytes 0..255 in byte-level vocabularies.

    A printable byte of Latin-1 stands for itself; the others use the code points from U+0100, in order.
    Source: the byte encoder of GPT-2 (Radford et al. 2019).

    >>> byte_symbols()[ord("a")], byte_symbols()[ord(" ")], byte_symbols()[ord("\\n")]
    ('a', 'Ġ', 'Ċ')
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in printable else next(others)) for byte in range(256))


def symbols_spec(
    vocab: Mapping[str, int],
    specials: Mapping[str, int],
    decoder: dict[str, Any],
    *,
    pre_tokenizer: dict[str, Any] | None = None,
    byte_fallback: bool = False,
) -> dict[str, Any]:
    """Build the file of a vocabulary of single symbols: in this format, a BPE without merges.

    It has exactly the keys of `tokenizers`, in its order: the library rejects unknown keys.
    """
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": byte_fallback,
        "ignore_merges": False,
        "vocab": dict(vocab),
        "merges": [],
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(specials),
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": decoder,
        "model": model,
    }


def added_tokens(specials: Mapping[str, int], *, special: bool = True) -> list[dict[str, Any]]:
    """Return tokens outside the vocabulary in the file's form. special: they decode to nothing."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}
    return [{"id": id, "content": name, **plain} for name, id in specials.items()]


def obstacle(spec: Mapping[str, Any]) -> str | None:
    """Return the reason against a foreign file, or None for a byte-level BPE that keeps the text.

    NFC is allowed: it changes the code points of a character, not the text that a person reads. A damaged
    file may raise KeyError, TypeError, AttributeError or ValueError.
    """
    if spec.get("normalizer") and spec["normalizer"] != {"type": "NFC"}:
        return N_(
            "its normalizer ({kind}) rewrites the text, so that it cannot come back",
            kind=spec["normalizer"]["type"],
        )
    model = spec["model"]
    if model.get("type", "BPE") != "BPE":
        return N_("its model is {kind}, not BPE", kind=model["type"])
    if model.get("dropout") or model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        return N_("it uses dropout, a subword prefix or a word suffix")
    return _splitter_obstacle(spec.get("pre_tokenizer") or {}) or _vocab_obstacle(model, spec["added_tokens"])


def _splitter_obstacle(splitter: Mapping[str, Any]) -> str | None:
    *before, last = splitter.get("pretokenizers") or [splitter]
    if last.get("type") != "ByteLevel" or last["add_prefix_space"]:
        return N_("its pre-tokenizer is not byte-level, or adds a space before the text")
    if any(step["type"] not in ("Split", "Digits") or step.get("behavior") == "Removed" for step in before):
        return N_(
            "its pre-tokenizer ({kinds}) may change the text",
            kinds=", ".join(step["type"] for step in before),
        )
    return None


def _vocab_obstacle(model: Mapping[str, Any], added: list[dict[str, Any]]) -> str | None:
    vocab, symbols = model["vocab"], set(byte_symbols())
    if not vocab.keys() >= symbols:
        return N_("its vocabulary lacks some of the 256 bytes")
    for token in added:
        if not token["special"] and not MARKUP.fullmatch(token["content"]):
            return N_("it has an added token that ordinary text holds ({token!a})", token=token["content"])
    specials = {token["content"]: token["id"] for token in added}
    ids = {**vocab, **specials}.values()
    if sorted(ids) != list(range(len(ids))) or any(
        vocab.get(name, id) != id for name, id in specials.items()
    ):
        return N_("its token ids do not run from 0 upwards, one each")
    merged = {
        (pair if isinstance(pair, str) else " ".join(pair)).replace(" ", "") for pair in model["merges"]
    }
    within_reach = merged | symbols | (vocab.keys() if model.get("ignore_merges") else set())
    return (
        N_("ordinary text can encode to one of its special tokens")
        if specials.keys() & within_reach
        else None
    )
