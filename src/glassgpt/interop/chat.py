"""Chat template in Jinja, and its check against the template of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from glassgpt.data import CHAT_SPECIALS, ChatTemplate, Message
from glassgpt.diagnose import Finding
from glassgpt.interop.source import ExportSource

END = CHAT_SPECIALS[-1]
"""Special token that ends a message."""
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] not in ('system', 'user', 'assistant') %}"
    "{{ raise_exception('This model knows the roles system, user and assistant.') }}"
    "{% endif %}"
    "{{ '<' + message['role'] + '>' + message['content'] + '<end>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)
"""The same tokens as `ChatTemplate.prompt`."""
KEPT = ("eos_token", "chat_template")
"""Chat settings of an imported model that its run keeps."""
CONVERSATION = (
    Message("system", "Be brief."),
    Message("user", "  你好 🙂\n1 + 1 = ?"),
    Message("assistant", "2"),
    Message("user", "{{ 1 }} and again? "),
)
"""A conversation with spaces at both ends, a line break and braces."""


class ChatRuntime(Protocol):
    """A foreign program that applies the chat template of a model."""

    def encode_chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Return the token ids of a conversation, up to the beginning of the answer."""
        ...


def knows_chat(source: ExportSource) -> bool:
    """True if the tokenizer has the special tokens of conversations."""
    return all(name in source.tokenizer.specials for name in CHAT_SPECIALS)


def imported_chat(source: ExportSource) -> dict[str, str]:
    """Return `chat_template` and `eos_token` of an imported run, as far as its folder had them."""
    chat = source.imported.get("chat")
    found = chat.items() if isinstance(chat, dict) and not knows_chat(source) else ()
    return {name: text for name, text in found if name in KEPT and isinstance(text, str)}


def end_of_text(source: ExportSource) -> str | None:
    """Return the special token that ends a text, or the mark that ends a document; None without one."""
    name = imported_chat(source).get("eos_token", END)
    return name if name in source.tokenizer.specials else source.shape.end or None


def end_id(source: ExportSource) -> int | None:
    """Return the id of the token that ends a text; None without one."""
    end, tokenizer = end_of_text(source), source.tokenizer
    if end is None or end in tokenizer.specials:
        return None if end is None else tokenizer.specials[end]
    ids = tokenizer.encode(end)
    return ids[0] if len(ids) == 1 else None


def check_chat(source: ExportSource, program: ChatRuntime) -> Iterator[Finding]:
    """Check that the written chat template gives the tokens of training."""
    if not knows_chat(source):
        return
    theirs = program.encode_chat([{"role": each.role, "content": each.content} for each in CONVERSATION])
    ours = ChatTemplate(source.tokenizer).prompt(CONVERSATION)
    yield Finding.at_most("different token ids: conversations", int(ours != theirs), 0)
