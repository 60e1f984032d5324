"""Conversations about sums, capitals, dates and spelling, with right and wrong answers."""

from __future__ import annotations

import json
import random
from pathlib import Path

CAPITALS = {
    "France": "Paris",
    "Spain": "Madrid",
    "Italy": "Rome",
    "Japan": "Tokyo",
    "Peru": "Lima",
    "Kenya": "Nairobi",
    "Egypt": "Cairo",
    "Norway": "Oslo",
    "Chile": "Santiago",
    "India": "Delhi",
}
MONTHS = "January February March April May June July August September October November December".split()


def turn(rng: random.Random) -> list[dict[str, str]]:
    """Return a question and its right reply."""
    match rng.randrange(4):
        case 0:
            a, b = rng.randrange(100), rng.randrange(100)
            asked = rng.choice(["What is {} plus {}?", "{} + {}?", "Please add {} and {}."]).format(a, b)
            said = f"{a} + {b} = {a + b}."
        case 1:
            country = rng.choice(list(CAPITALS))
            asked = rng.choice(["What is the capital of {}?", "Capital of {}, please."]).format(country)
            said = f"The capital of {country} is {CAPITALS[country]}."
        case 2:
            day, month, year = rng.randint(1, 28), rng.randrange(12), rng.randint(1900, 2030)
            asked, said = f"Write {day} {MONTHS[month]} {year} as numbers.", f"{year}-{month + 1:02}-{day:02}"
        case _:
            word = "".join(rng.choice("abcdefghij") for _ in range(rng.randint(3, 6)))
            asked, said = f"Spell {word}.", "-".join(word)
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]


def conversations(n: int, seed: int = 0) -> list[list[dict[str, str]]]:
    """Make conversations of one to three turns; every fifth has a system message."""
    rng = random.Random(seed)
    found = []
    for i in range(n):
        messages = [message for _ in range(rng.choice([1, 1, 2, 3])) for message in turn(rng)]
        system = [{"role": "system", "content": "Be brief."}] if i % 5 == 0 else []
        found.append([*system, *messages])
    return found


def write(path: Path, n: int, seed: int = 0) -> Path:
    """Write n conversations as a jsonl file."""
    lines = [json.dumps({"messages": messages}) for messages in conversations(n, seed)]
    path.write_text("\n".join(lines) + "\n")
    return path
