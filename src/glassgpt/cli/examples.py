"""Examples at the end of each command's help. tests/surface/test_readme.py runs them."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "train": (
        "glassgpt train notes.txt --minutes 10",
        "glassgpt train notes.txt --model bigram --lr 0.1 --steps 300",
        "glassgpt train dates --minutes 3",
    ),
    "plan": ("glassgpt plan notes.txt", "glassgpt plan notes.txt --plot plan.svg"),
    "resume": ("glassgpt resume runs/notes", "glassgpt resume runs/notes --minutes 20"),
    "sample": (
        'glassgpt sample runs/notes --prompt "The " --temperature 0.7',
        "glassgpt sample runs/notes --seed 1 --num-samples 3",
        r"glassgpt sample runs/notes --stop '\n\n'",
    ),
    "chat": ("glassgpt chat runs/talk", 'echo "What is 3 + 4?" | glassgpt chat runs/talk --seed 1'),
    "translate": ('glassgpt translate runs/dates "de: 14. März 2024"',),
    "ask": ('glassgpt ask runs/photos photos/1.png "what is this?"',),
    "classify": ('glassgpt classify runs/reviews "I liked it."',),
    "fill": ('glassgpt fill runs/gaps "The [???] is here"',),
    "look": (
        'glassgpt look runs/notes "green bottles"',
        'glassgpt look runs/notes "green bottles" --layer 0 --head 1',
        'glassgpt look runs/notes "green bottles" --out heads.svg',
        'glassgpt look runs/notes "green bottles" --view forward --out forward.png',
    ),
    "learn": ("glassgpt learn", "glassgpt learn next", "glassgpt learn dates"),
    "explain": ("glassgpt explain", "glassgpt explain loss", "glassgpt explain cross --run runs/dates"),
    "baselines": ("glassgpt baselines notes.txt",),
    "compare": (
        "glassgpt compare lr=0.02 lr=0.01 notes.txt --size nano --minutes 1",
        'glassgpt compare "--size nano" "--size micro --dropout 0.1" notes.txt --minutes 1 --plot pairs.svg',
    ),
    "sweep": ("glassgpt sweep notes.txt --vary lr=0.01,0.02,0.04 --size nano --minutes 1",),
    "copying": (
        "glassgpt copying runs/notes",
        'glassgpt copying runs/notes "the green bottles on the wall"',
        "glassgpt copying runs/notes --file notes.txt",
    ),
    "report": (
        "glassgpt report runs/notes",
        "glassgpt report runs/notes --out notes.html",
        "glassgpt report --check notes.html",
    ),
    "plot": ("glassgpt plot runs/notes", "glassgpt plot runs --x minutes --by lr --out curves.svg"),
    "runs": ("glassgpt runs",),
    "export": ("glassgpt export runs/notes --to safetensors",),
    "share": ("glassgpt share runs/notes", "glassgpt share runs/notes --out gift --license cc-by-4.0"),
    "push": ("glassgpt push runs/notes-hf ada/notes-gpt",),
    "import": (
        "glassgpt import runs/notes-hf --out runs/back",
        "glassgpt import out-shakespeare-char/ckpt.pt --text data/shakespeare_char/input.txt",
    ),
    "adapter": ("glassgpt adapter runs/lora adapter.safetensors",),
    "bench": ("glassgpt bench generate runs/notes",),
    "bench generate": ("glassgpt bench generate runs/notes",),
    "doctor": ("glassgpt doctor runs/notes", "glassgpt doctor runs/notes --try"),
    "verify": ("glassgpt verify runs/notes",),
}
"""Command → command lines."""
