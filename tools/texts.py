"""Update the translations: `make texts`.

There are three catalogs. `messages` holds what the library and the command line say, `help` what `--help`
shows, and `chapters` the chapters. Collect every text, keep existing translations, and add an empty one for
each new text (fill it in by hand in the .po file). Then compile the .mo files for gettext.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

import glassgpt
from glassgpt.cli.help import help_page
from glassgpt.cli.main import COMMANDS, app
from glassgpt.cli.view.terminal import Terminal
from glassgpt.explain.lesson import LESSONS, load_lesson

SOURCE = Path(__file__).resolve().parent.parent / "src" / "glassgpt"
LOCALE = SOURCE / "locale"
LANGUAGES = ("zh",)
CHAPTER_PAGES = {
    *("cli/commands/explain.py", "cli/commands/learn.py", "cli/progress.py"),
    *("cli/view/chapter.py", "cli/view/learn.py"),
}
"""Files whose texts belong to the chapters, outside `explain`."""
KEYWORDS = {
    *("_", "say", "N_", "join_texts", "UserError", "NotText", "CorruptCheckpoint"),
    *("UnknownRun", "UnknownTensor", "UnknownTrace"),
}
"""Functions and errors with a text as their first argument."""

Texts = dict[str, list[str]]
"""Files of each text."""


def extracted(domain: str) -> Texts:
    """Return every text of a catalog, with its files."""
    return help_texts() if domain == "help" else source_texts(domain)


def source_texts(domain: str) -> Texts:
    """Return every text inside `_(…)` or an error, every title of a chapter, and every text of a lesson."""
    found: Texts = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if (domain == "chapters") != (name.startswith("explain/") or name in CHAPTER_PAGES):
            continue
        texts = [str(node.value) for node in spoken(path) if isinstance(node, ast.Constant)]
        lesson = load_lesson(path.stem).texts if path.parent == LESSONS else ()
        for text in [*_titles(path), *lesson, *texts]:
            if name not in found.setdefault(text, []):
                found[text].append(name)
    return found


def spoken(path: Path) -> Iterator[ast.expr]:
    """Yield the texts of every call that takes one: its first argument, or the two of a choice."""
    for call in calls(path):
        first = call.args[0]
        yield from (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,)


def calls(path: Path) -> list[ast.Call]:
    """Return every call that takes a text, in the order of the file."""
    found = [
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in KEYWORDS
        and node.args
    ]
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))


def help_texts() -> Texts:
    """Return every text of `--help`, with its commands."""
    found: Texts = {}
    for command in ("", *COMMANDS, "bench generate"):
        for text in filter(None, help_page(app, command.split(), Terminal()).texts()):
            page = command.replace(" ", "-") or "glassgpt"
            if page not in found.setdefault(text, []):
                found[text].append(page)
    return found


def _titles(path: Path) -> list[str]:
    return [
        str(node.value.value)
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "TITLE"
        and isinstance(node.value, ast.Constant)
    ]


def po_file(language: str, domain: str) -> Path:
    """Return the path of the .po file of a catalog."""
    return LOCALE / language / "LC_MESSAGES" / f"{domain}.po"


def translations(language: str, domain: str) -> dict[str, str]:
    """Return the translation of each English text."""
    path = po_file(language, domain)
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, language) if m.id}


def update(language: str, domain: str, more: dict[str, str]) -> list[str]:
    """Write the .po and .mo files of a catalog. Return the texts without a translation."""
    known = more | {text: said for text, said in translations(language, domain).items() if said}
    catalog, texts = Catalog(language, fuzzy=False, charset="utf-8"), extracted(domain)
    for text, files in texts.items():
        catalog.add(text, known.get(text, ""), locations=[(name, 0) for name in files])
    path = po_file(language, domain)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalog, width=100, omit_header=True, include_lineno=False, sort_output=True)
    path.write_text(HEADER.format(language=language) + path.read_text("utf-8"), "utf-8")
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, compiled(language, domain))
    return [text for text in texts if not known.get(text)]


HEADER = """msgid ""
msgstr ""
"Language: {language}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


def compiled(language: str, domain: str) -> Catalog:
    """Return the catalog of the .mo file: the .po file with the same date each time."""
    catalog = Catalog(language, fuzzy=False, charset="utf-8", creation_date=datetime(2026, 1, 1))
    for text, said in translations(language, domain).items():
        catalog.add(text, said)
    return catalog


def main() -> None:
    """Arguments: .po files to take missing translations from."""
    from glassgpt.language import DOMAINS

    if (imported := Path(glassgpt.__file__).parent) != SOURCE:
        sys.exit(f"The texts are those of {imported}. Set PYTHONPATH to {SOURCE.parent}.")
    more: dict[str, str] = {}
    for name in sys.argv[1:]:
        with open(name, "rb") as file:
            more |= {str(m.id): str(m.string) for m in read_po(file) if m.id and m.string}
    for language in LANGUAGES:
        for domain in DOMAINS:
            missing = update(language, domain, more)
            print(f"{language}, {domain}: {len(missing)} texts without a translation")
            for text in missing:
                print("  " + text[:100])


if __name__ == "__main__":
    main()
