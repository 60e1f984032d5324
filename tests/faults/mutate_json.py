"""Changes of JSON text: values, keys and types that a program may not expect."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

LONG, DEEP = 20_000, 100_000


class Raw(str):
    """JSON text, for what Python's values cannot say."""


NUMBERS = (0, 1, -1, 2, 7, 0.5, 1e308, -1e308, 1e-308, 2**31, 2**63, 2**64, 10**15, 10**400)
TEXTS = ("", "x", "0", "gpt", "cuda", "meta", "bfloat16", "<f8", "|O", "step-0000000002", "../../etc/passwd")
ODD_TEXTS = ("\x00", "\x1b]0;x\x07", "\ud800", "\u202etxt", "%s{0}", "[bold]x[/none]", "é" * 300, "x" * LONG)
TREES = ([], {}, [None], [[]], [0] * 5, {"a": 1}, {"": {"": {}}}, ["x"] * LONG)
RAW = (
    *("NaN", "-Infinity", "1e99999", "01", "1" * 5000, "-" + "9" * 5000, '{"a": 1, "a": 2}', "[" * DEEP),
    *('{"a":' * 500 + "1" + "}" * 500, '"' + '\\"' * LONG, "[" + "[]," * LONG + "[]]"),
)
VALUES: tuple[Any, ...] = (None, True, False, *NUMBERS, *TEXTS, *ODD_TEXTS, *TREES, *map(Raw, RAW))
KEYS = ("extra", "", "__class__", "a.b", "\x1b[2J", "x" * LONG)


def change_json(text: str, rng: random.Random) -> tuple[str, str]:
    """Return JSON with one change, and its description. The text must be JSON."""
    value = json.loads(text)
    places = list(_places(value))
    if not places or rng.random() < 0.05:
        new = rng.choice(VALUES)
        return dumps(new), f"all of it = {_shown(new)}"
    holder, key = rng.choice(places)
    changes = (_set, _set, _set, _set, _alter, _delete, _add, lambda *args: _exchange(*args, places))
    told = rng.choice(changes)(holder, key, rng)
    return dumps(value), told


def _set(holder: Any, key: Any, rng: random.Random) -> str:
    holder[key] = rng.choice(VALUES)
    return f"{key!r} = {_shown(holder[key])}"


def _alter(holder: Any, key: Any, rng: random.Random) -> str:
    """Change a value a little: its sign, size, type or length."""
    match holder[key]:
        case bool(value):
            holder[key] = rng.choice((not value, int(value)))
        case int(value) | float(value):
            holder[key] = rng.choice((str(value), -value, value * 1000, float(value), value + 1))
        case str(value):
            holder[key] = rng.choice((value + "x", value[:-1], [value], value * 2))
        case list(value):
            holder[key] = rng.choice((value * 2, value[1:], value[::-1], dict.fromkeys(map(str, value))))
        case value:
            holder[key] = [value]
    return f"{key!r} = {_shown(holder[key])}"


def _delete(holder: Any, key: Any, rng: random.Random) -> str:
    del holder[key]
    return f"{key!r} deleted"


def _add(holder: Any, key: Any, rng: random.Random) -> str:
    """Add an item next to this one."""
    value = rng.choice(VALUES)
    if isinstance(holder, list):
        holder.insert(key, value)
        return f"{_shown(value)} inserted"
    added = rng.choice(KEYS)
    holder[added] = value
    return f"{_shown(added)} = {_shown(value)} added"


def _exchange(holder: Any, key: Any, rng: random.Random, places: list[tuple[Any, Any]]) -> str:
    """Exchange two values; copies, because one may lie in the other."""
    other, name = rng.choice(places)
    first, second = (json.loads(json.dumps(value)) for value in (holder[key], other[name]))
    holder[key], other[name] = second, first
    return f"{key!r} and {name!r} exchanged"


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each object or list with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from _places(item)


def dumps(value: Any) -> str:
    """Return JSON, with `Raw` texts as they are, lone surrogates escaped, and integers of any length."""
    match value:
        case Raw():
            return str(value)
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)}: {dumps(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(dumps, value)) + "]"
        case _:
            return json.dumps(value)


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) < 40 else f"{text[:30]}… ({len(text)})"
