"""Tokenizers as llama.cpp stores them.

Characters with byte tokens are its model `llama` (SentencePiece): it splits a text into characters and merges
two only if the vocabulary has the pair. Bytes and BPE are its model `gpt2` (byte-level BPE).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gguf import GGUFWriter, TokenType

from glassgpt.interop.chat import CHAT_TEMPLATE, end_id, imported_chat, knows_chat
from glassgpt.interop.source import ExportSource
from glassgpt.language import N_
from glassgpt.tokenizers import Tokenizer, byte_symbols

SPACE = "\u2581"
"""Stands for a space in the model `llama`."""
NO_MERGE = f"{SPACE}{SPACE} {SPACE}"
"""A merge that never happens: llama.cpp wants at least one, and no byte has this symbol."""
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS = {SPLIT.replace("DIGITS", "{1,3}"): "llama-bpe", SPLIT.replace("DIGITS", ""): "qwen2"}
"""Regular expression that splits a text into words → its name in llama.cpp."""


def tokenizer_obstacle(tokenizer: Tokenizer) -> str:
    """Return the reason why llama.cpp cannot hold a tokenizer; empty if it can."""
    spec = tokenizer.spec()
    if spec["normalizer"]:
        return N_("llama.cpp does not normalize a text ({kind})", kind=spec["normalizer"]["type"])
    if tokenizer.kind != "char":
        return "" if _pre(spec) else N_("llama.cpp has no name for the pre-tokenizer")
    tokens = spec["model"]["vocab"]
    if SPACE in tokens:
        return N_("the text has the character {char} (U+2581), which llama.cpp reads as a space", char=SPACE)
    if "\0" in tokens:
        return N_("the text has the character NUL, which ends a token in llama.cpp")
    if "<0xFF>" not in tokens:
        return N_("llama.cpp needs byte tokens for other characters (`byte_fallback`)")
    return ""


def left_out(source: ExportSource) -> str:
    """Return the characters that llama.cpp encodes otherwise: U+2581 becomes a space next to characters."""
    return SPACE if source.tokenizer.kind == "char" else ""


def add_tokenizer(writer: GGUFWriter, source: ExportSource) -> None:
    """Add the tokens of a model, and the chat template if it knows conversations."""
    tokenizer, spec = source.tokenizer, source.tokenizer.spec()
    id_of = {**spec["model"]["vocab"], **tokenizer.specials}
    tokens = sorted(id_of, key=id_of.__getitem__)
    if tokenizer.kind == "char":
        writer.add_tokenizer_model("llama")
        writer.add_token_list([SPACE if token == " " else token for token in tokens])
        writer.add_token_scores([0.0] * len(tokens))
        writer.add_add_space_prefix(False)
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_pre(spec))
        writer.add_token_list(tokens)
        writer.add_token_merges(spec["model"]["merges"] or [NO_MERGE])
    writer.add_token_types([_type(token, tokenizer) for token in tokens])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    known = end_id(source)
    end = _never(tokenizer, id_of) if known is None else known
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    if template := CHAT_TEMPLATE if knows_chat(source) else imported_chat(source).get("chat_template"):
        writer.add_chat_template(template)


def _type(token: str, tokenizer: Tokenizer) -> TokenType:
    if token in tokenizer.specials:
        return TokenType.CONTROL
    is_byte = tokenizer.kind == "char" and len(token) == len("<0x00>")
    return TokenType.BYTE if is_byte else TokenType.NORMAL


def _never(tokenizer: Tokenizer, id_of: Mapping[str, int]) -> int:
    """Return the token of the byte FF, which no text has.

    Without an id for the end, llama.cpp takes token 2 or 11, and stops at an ordinary character.
    """
    return id_of["<0xFF>" if tokenizer.kind == "char" else byte_symbols()[0xFF]]


def _pre(spec: Mapping[str, Any]) -> str:
    """Return llama.cpp's name of a pre-tokenizer; empty if there is none.

    >>> _pre({"pre_tokenizer": {"type": "ByteLevel", "use_regex": True}})
    'gpt-2'
    """
    splitter = spec["pre_tokenizer"]
    match splitter:
        case {"type": "ByteLevel", "use_regex": True}:
            return "gpt-2"
        case {"type": "ByteLevel"} if not spec["model"]["merges"]:
            return "gpt-2"  # bytes alone: nothing merges, wherever it splits
        case {"pretokenizers": [{"type": "Split", "pattern": {"Regex": regex}}, {"use_regex": False}]}:
            return SPLITS.get(regex, "")
    return ""
