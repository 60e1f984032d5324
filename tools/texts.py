"""Update the translations of the chapters: `make texts`.

Collect every text of the chapters, keep existing translations, and add an empty one for each new text (fill
it in by hand in the .po file). Then compile the .mo file for gettext.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from glassgpt.explain.lesson import LESSONS, load_lesson

SOURCE = Path(__file__).parent.parent / "src" / "glassgpt"
LOCALE = SOURCE / "explain" / "locale"
FILES = [
    *sorted((SOURCE / "explain").rglob("*.py")),
    SOURCE / "cli" / "commands" / "explain.py",
    SOURCE / "cli" / "view" / "chapter.py",
]
LANGUAGES = ("zh",)


def extracted() -> dict[str, list[str]]:
    """Return every text inside `_(…)`, every title, and every text of a lesson, with its files."""
    found: dict[str, list[str]] = {}
    for path in FILES:
        name = path.relative_to(SOURCE).as_posix()
        texts = [str(text) for _, text, *_ in extract_from_file("python", path, keywords={"_": None})]
        if path.parent == LESSONS:
            texts += load_lesson(path.stem).texts
        for text in [*_titles(path), *texts]:
            if name not in found.setdefault(text, []):
                found[text].append(name)
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


def po_file(language: str) -> Path:
    """Return the path of the .po file of a language."""
    return LOCALE / language / "LC_MESSAGES" / "chapters.po"


def translations(language: str) -> dict[str, str]:
    """Return the translation of each English text."""
    path = po_file(language)
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, language) if m.id}


def update(language: str, more: dict[str, str]) -> list[str]:
    """Write the .po and .mo files of a language. Return the texts without a translation."""
    known = more | {text: said for text, said in translations(language).items() if said}
    catalog = Catalog(language, fuzzy=False, project="GlassGPT", version="", charset="utf-8")
    for text, files in extracted().items():
        catalog.add(text, known.get(text, ""), locations=[(name, 0) for name in files])
    path = po_file(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalog, width=100, omit_header=True, include_lineno=False, sort_output=True)
    path.write_text(HEADER.format(language=language) + path.read_text("utf-8"), "utf-8")
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, compiled(language))
    return [text for text in extracted() if not known.get(text)]


HEADER = """msgid ""
msgstr ""
"Language: {language}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


def compiled(language: str) -> Catalog:
    """Return the catalog of the .mo file: the .po file without a date."""
    catalog = Catalog(language, fuzzy=False, charset="utf-8")
    catalog.mime_headers = [
        ("Language", language),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "8bit"),
    ]
    for text, said in translations(language).items():
        catalog.add(text, said)
    return catalog


def main() -> None:
    """Arguments: .po files to take missing translations from."""
    more: dict[str, str] = {}
    for name in sys.argv[1:]:
        with open(name, "rb") as file:
            more |= {str(m.id): str(m.string) for m in read_po(file) if m.id and m.string}
    for language in LANGUAGES:
        missing = update(language, more)
        print(f"{language}: {len(extracted())} texts, {len(missing)} without a translation")
        for text in missing:
            print("  " + text[:100])


if __name__ == "__main__":
    main()
