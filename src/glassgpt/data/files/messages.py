"""Chat messages in JSON: role and text, with contents in the formats of chat APIs."""

from __future__ import annotations

from typing import Any, NamedTuple


class RawMessage(NamedTuple):
    """One message as found in a file; nothing about it is checked."""

    role: Any
    text: str
    is_text: bool
    """True if the content is text, and nothing else, such as an image."""


def parse_message(value: Any) -> RawMessage:
    """Read a message. Its content is a string or a list of parts.

    >>> parse_message({"role": "user", "content": [{"type": "text", "text": "Hi."}]})
    RawMessage(role='user', text='Hi.', is_text=True)
    >>> parse_message({"role": "user", "content": [{"type": "image_url"}]})
    RawMessage(role='user', text='', is_text=False)
    """
    if not isinstance(value, dict):
        return RawMessage(None, "", is_text=False)
    role, content = value.get("role"), value.get("content")
    if isinstance(content, str):
        return RawMessage(role, content, is_text=True)
    if not isinstance(content, list):
        return RawMessage(role, str(content or ""), is_text=False)
    texts = [part.get("text") if isinstance(part, dict) else None for part in content]
    known = [text for text in texts if isinstance(text, str)]
    return RawMessage(role, "".join(known), is_text=len(known) == len(texts))
