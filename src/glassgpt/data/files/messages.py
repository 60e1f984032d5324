"""Chat messages in JSON: role or author, and text, in the formats of chat APIs, data sets and exports."""

from __future__ import annotations

from typing import Any, NamedTuple

ROLES = {
    "developer": "system",
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
"""Role in a file → the same role in our words."""


class RawMessage(NamedTuple):
    """One message as found in a file; nothing about it is checked."""

    role: Any
    """A role, or the name of the author."""
    text: str
    is_text: bool
    """True if the content is text, and nothing else, such as an image."""


def parse_message(value: Any) -> RawMessage:
    """Read a message. Its content is a string or a list of parts.

    >>> parse_message({"role": "user", "content": [{"type": "text", "text": "Hi."}]})
    RawMessage(role='user', text='Hi.', is_text=True)
    >>> parse_message({"role": "user", "content": [{"type": "image_url"}]})
    RawMessage(role='user', text='', is_text=False)
    >>> parse_message({"from": "gpt", "value": "Hello."})
    RawMessage(role='assistant', text='Hello.', is_text=True)
    >>> parse_message({"author": {"name": "Ana"}, "content": "Hi."}).role
    'Ana'
    """
    if not isinstance(value, dict):
        return RawMessage(None, "", is_text=False)
    role, content = _role(value), _content(value)
    if isinstance(content, str):
        return RawMessage(role, content, is_text=True)
    if not isinstance(content, list):
        return RawMessage(role, str(content or ""), is_text=False)
    texts = [part.get("text") if isinstance(part, dict) else part for part in content]
    known = [text for text in texts if isinstance(text, str)]
    return RawMessage(role, "".join(known), is_text=len(known) == len(texts))


def has_content(value: Any) -> bool:
    """Return True for a message with a field for its content."""
    return isinstance(value, dict) and bool(value.keys() & {"content", "value", "text"})


def _role(value: dict[str, Any]) -> Any:
    author = value.get("author")
    if isinstance(author, dict):
        return author.get("nickname") or author.get("name") or author.get("role")
    role = value.get("role", value.get("from"))
    return ROLES.get(role, role) if isinstance(role, str) else role


def _content(value: dict[str, Any]) -> Any:
    content = next((value[name] for name in ("content", "value", "text") if name in value), None)
    return content.get("parts") if isinstance(content, dict) else content
