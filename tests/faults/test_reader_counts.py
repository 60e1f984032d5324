"""Nothing is lost in silence: of a file of any format, what is there is in the text, or counted as skipped.

Each format makes files at random, with parts that cannot be used among good ones.
"""

from __future__ import annotations

import io
import json
import random
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from glassgpt.config import DataConfig
from glassgpt.data import Corpus, Example, read_chat, read_corpus, read_labeled, read_pairs
from helpers.reader_files import CONTAINER, OFFICE, WORD, sentence

FEW, MANY = 30, 1_000
ROWS_SKIPPED = re.compile(r"([\d,]+) rows? skipped")
FILES_SKIPPED = re.compile(r"([\d,]+) files? skipped")
LOG = re.compile(r"([\d,]+) messages: ([\d,]+) used .*?, ([\d,]+) without a reply, ([\d,]+) from the system")


class Made(NamedTuple):
    """A file, the texts that must be found in it, and the number of parts that must be counted."""

    name: str
    data: bytes
    texts: list[str]
    n_skipped: int


def parts(rng: random.Random, n_bad: int = 6) -> list[str | None]:
    """Return good sentences, each with its own number, and None for each bad part, mixed."""
    n = rng.randint(45, 70)
    found: list[str | None] = [sentence(1_000 * rng.randrange(1, 900) + i) for i in range(n)]
    for _ in range(rng.randint(0, n_bad)):
        found.insert(rng.randrange(1, len(found)), None)
    return found


def made(name: str, text: str | bytes, found: list[str | None]) -> Made:
    data = text if isinstance(text, bytes) else text.encode()
    return Made(name, data, [each for each in found if each is not None], found.count(None))


def archived(members: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return out.getvalue()


def plain(rng: random.Random) -> Made:
    found = [each for each in parts(rng) if each]
    ends = [rng.choice(("\n", "\r\n", "\r", "\n\n", "\n \n")) for _ in found]
    return made("a.txt", "".join(map("".join, zip(found, ends, strict=True))), list(found))


def listed(rng: random.Random) -> Made:
    names = [f"{''.join(rng.choices('abdeilmnorstu', k=5))}{rng.choice('aeio')}{i:03}" for i in range(150)]
    if rng.random() < 0.5:
        names.sort()
    text = "".join(name + rng.choice(("\n", "\n", "\r\n", "\n\n")) for name in names)
    return made("names.txt", text, list(names))


def broken(rng: random.Random) -> Made:
    """Invalid bytes between the sentences; each run of them is counted, and replaced."""
    found, out, n = [each for each in parts(rng) if each], bytearray(), 0
    for each in found:
        out += each.encode() + b" naive \xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9 "
        if rng.random() < 0.1:
            out += rng.choice((b"\xff", b"\x80", b"\xc3", b"\xfe"))
            n += 1
        out += b"\n"
    return Made("a.txt", bytes(out), list(found), n)


def tsv(rng: random.Random) -> Made:
    found = parts(rng)
    bad = ("7", "7\ta\tb\tc", "7\t ")
    rows = [f"{i}\t{each}" if each else rng.choice(bad) for i, each in enumerate(found)]
    return made("a.tsv", "id\ttext\n" + "\n".join(rows) + "\n", found)


def csv(rng: random.Random) -> Made:
    found = parts(rng)
    bad = ("7", "7,a,b", '7,a "b" c,and', "7,", "8,  ")
    rows = [f'{i},"{each}"' if each else rng.choice(bad) for i, each in enumerate(found)]
    return made("a.csv", "id,text\n" + "\n".join(rows) + "\n", found)


def jsonl(rng: random.Random) -> Made:
    found = parts(rng)
    bad = ("{", '{"text": 3', '{"other": 1}', "nul", '{"text": [["a"]]}', '{"text": null}', '{"text": " "}')
    rows = [json.dumps({"text": each, "n": 1}) if each else rng.choice(bad) for each in found]
    return made("a.jsonl", "\n".join(rows), found)


def parquet(rng: random.Random) -> Made:
    pa = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    found, out = parts(rng), io.BytesIO()
    write_table(pa.table({"text": [each or rng.choice((None, "", " ")) for each in found]}), out)
    return made("a.parquet", out.getvalue(), found)


def anki(rng: random.Random) -> Made:
    found = parts(rng)
    bad = ("alone", "\tonly", "only\t\tCC-BY", "a\tb\tc\td\te")
    rows = [f"{each}\tzwei {each}\tCC-BY {i}" if each else rng.choice(bad) for i, each in enumerate(found)]
    return made("anki.txt", "\n".join(rows) + "\n", found)


def pair_jsonl(rng: random.Random) -> Made:
    found = parts(rng)
    bad = ('{"translation": {"en": "", "de": "b"}}', "{", "[1]", '{"translation": {"en": "a"}}')
    rows = [
        json.dumps({"translation": {"en": each, "de": f"zwei {each}"}}) if each else rng.choice(bad)
        for each in found
    ]
    return made("pairs.jsonl", "\n".join(rows), found)


def pair_csv(rng: random.Random) -> Made:
    found = parts(rng)
    rows = [f'"{each}","zwei {each}"' if each else rng.choice(("a", "a,b,c", ",b", "a,")) for each in found]
    return made("pairs.csv", "en,de\n" + "\n".join(rows) + "\n", found)


def labels(rng: random.Random) -> Made:
    found = parts(rng)
    rows = [
        f'"{each}",{i % 3}' if each else rng.choice(("a", "a,1,c", "a,", ",2"))
        for i, each in enumerate(found)
    ]
    return made("labels.csv", "Review Text,Stars\n" + "\n".join(rows) + "\n", found)


def roles(rng: random.Random) -> Made:
    found = parts(rng)
    bad: list[Any] = [
        {"messages": []},
        {"messages": [{"role": "user", "content": "a"}]},
        {"messages": [{"role": "nobody", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"other": 1},
        {"messages": [{"role": "user", "content": " "}, {"role": "assistant", "content": "b"}]},
    ]
    rows = [
        {"messages": [{"role": "user", "content": each}, {"role": "assistant", "content": "Yes."}]}
        if each
        else rng.choice(bad)
        for each in found
    ]
    return made("roles.jsonl", "\n".join(map(json.dumps, rows)), found)


def ipynb(rng: random.Random) -> Made:
    found = parts(rng)
    bad: list[Any] = [{"cell_type": "code", "source": []}, {"cell_type": "raw"}, {"source": " \n"}, 7, None]
    cells = [
        {"cell_type": "markdown", "source": [each, "\n"], "outputs": [{"data": {"image/png": "iVBOR"}}]}
        if each
        else rng.choice(bad)
        for each in found
    ]
    return made("a.ipynb", json.dumps({"cells": cells, "nbformat": 4}), found)


def subtitles(rng: random.Random) -> Made:
    found = parts(rng)
    cues = [
        f"{i}\n00:{i % 60:02}:00,000 --> 00:{i % 60:02}:02,000\n{each or rng.choice(('<i></i>', ' '))}\n"
        for i, each in enumerate(found, 1)
    ]
    return made("a.srt", "\n".join(cues), found)


def mbox(rng: random.Random) -> Made:
    found, out = parts(rng), b""
    for i, each in enumerate(found):
        out += b"From ana@x.example Fri Mar  1 09:00:00 2024\n"
        out += f"Subject: Tea {i}\nContent-Type: text/plain; charset=utf-8\n\n{each or ''}\n\n".encode()
    return made("a.mbox", out, found)


def eml(rng: random.Random) -> Made:
    found = [each for each in parts(rng) if each]
    head = "Subject: Tea\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
    return made("a.eml", head + "\n".join(found), list(found))


def epub(rng: random.Random) -> Made:
    found = parts(rng)
    items, refs, members = "", "", dict[str, str | bytes]()
    for i, each in enumerate(found):
        items += f'<item id="p{i}" href="p{i}.xhtml" media-type="application/xhtml+xml"/>'
        refs += f'<itemref idref="p{i}"/>'
        if each or rng.random() < 0.5:
            members[f"p{i}.xhtml"] = f"<html><body><p>{each or ''}</p></body></html>"
    opf = f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest><spine>{refs}</spine>'
    members = {"META-INF/container.xml": CONTAINER, "b.opf": f"{opf}</package>"} | members
    return made("a.epub", archived(members), found)


def docx(rng: random.Random) -> Made:
    found, body = [each for each in parts(rng) if each], ""
    for each in found:
        cut = rng.randrange(len(each))
        runs = "".join(f'<w:r><w:t xml:space="preserve">{t}</w:t></w:r>' for t in (each[:cut], each[cut:]))
        p = f"<w:p>{runs}</w:p>" + rng.choice(("", "<w:p/>", "<w:p><w:r><w:br/></w:r></w:p>"))
        body += rng.choice((p, p, f"<w:tbl><w:tr><w:tc>{p}</w:tc></w:tr></w:tbl>"))
    xml = f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    return made("a.docx", archived({"word/document.xml": xml}), list(found))


def odt(rng: random.Random) -> Made:
    found, body = [each for each in parts(rng) if each], ""
    for each in found:
        cut = rng.randrange(len(each))
        tag = rng.choice("ph")
        body += f"<text:{tag}>{each[:cut]}<text:span>{each[cut:]}</text:span></text:{tag}>"
    names = f'xmlns:o="{OFFICE}:office:1.0" xmlns:text="{OFFICE}:text:1.0"'
    return made("a.odt", archived({"content.xml": f"<o:d {names}>{body}</o:d>"}), list(found))


def rtf(rng: random.Random) -> Made:
    found = [each for each in parts(rng) if each]
    coded = ["".join(c if c < "\x7f" else f"\\u{ord(c)}?" for c in each if ord(c) < 65536) for each in found]
    ends = [rng.choice(("\\par\n", "\\line ", "\\par\\b0\n")) for _ in found]
    text = "".join(map("".join, zip(coded, ends, strict=True)))
    return made("a.rtf", f"{{\\rtf1\\ansi {text}}}", list(found))


def members_of(rng: random.Random) -> tuple[dict[str, str | bytes], list[str | None]]:
    found = parts(rng)
    bad: list[tuple[str, bytes]] = [
        ("x.png", b"\x89PNG\r\n\x1a\n" + bytes(40)),
        ("x.json", b"{"),
        ("x.txt", b" \n"),
        ("x.docx", b"PK"),
        ("x.zip", b"PK\5\6" + bytes(18)),
    ]
    members = dict[str, str | bytes]()
    for i, each in enumerate(found):
        name, data = (f"{i}.txt", each.encode()) if each else rng.choice(bad)
        members[f"d{i % 3}/{i}-{name}"] = data
    return members, found


def zipped(rng: random.Random) -> Made:
    members, found = members_of(rng)
    return made("a.zip", archived(members), found)


def tarred(rng: random.Random) -> Made:
    (members, found), out = members_of(rng), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as file:
        for name, data in members.items():
            member, content = tarfile.TarInfo(name), data if isinstance(data, bytes) else data.encode()
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return made("a.tar.gz", out.getvalue(), found)


def text_of(corpus: Corpus) -> str:
    return corpus.train.read() + corpus.val.read()


def n_of(pattern: re.Pattern[str], notes: tuple[str, ...]) -> int:
    match = pattern.search(" ".join(notes))
    return int(match[1].replace(",", "")) if match else 0


def check_text(path: Path, wanted: Made) -> None:
    split = "auto" if path.name == "names.txt" else "end"  # which cuts one text only
    corpus = read_corpus(DataConfig(sources=(str(path),), skip_invalid=True, split=split))
    text = text_of(corpus)
    assert [each for each in wanted.texts if text.count(each) != 1] == []
    n_replaced = n_of(re.compile(r"\(([\d,]+) times\)"), corpus.notes)
    counted = n_of(ROWS_SKIPPED, corpus.notes) + n_of(FILES_SKIPPED, corpus.notes) + n_replaced
    assert counted == wanted.n_skipped, corpus.notes


def check_examples(path: Path, wanted: Made) -> None:
    read = read_labeled if path.name.startswith("labels") else read_pairs
    corpus = read(DataConfig(sources=(str(path),), skip_invalid=True))
    sources = [each.source for each in (*corpus.train, *corpus.val) if isinstance(each, Example)]
    assert sorted(sources) == sorted(wanted.texts)
    assert n_of(ROWS_SKIPPED, corpus.notes) == wanted.n_skipped, corpus.notes


def check_chat(path: Path, wanted: Made) -> None:
    corpus = read_chat(DataConfig(sources=(str(path),), skip_invalid=True))
    asked = [each.messages[0].content for each in (*corpus.train, *corpus.val)]
    assert sorted(asked) == sorted(wanted.texts)
    assert n_of(ROWS_SKIPPED, corpus.notes) == wanted.n_skipped, corpus.notes


TEXTS = (
    *(plain, listed, broken, tsv, csv, jsonl, parquet),
    *(ipynb, subtitles, mbox, eml, epub, docx, odt, rtf, zipped, tarred),
)
EXAMPLES = anki, pair_jsonl, pair_csv, labels
Maker = Callable[[random.Random], Made]
Check = Callable[[Path, Made], None]
KINDS: list[tuple[Maker, Check]] = [
    *((each, check_text) for each in TEXTS),
    *((each, check_examples) for each in EXAMPLES),
    (roles, check_chat),
]


def log_of(kind: str, rng: random.Random) -> tuple[str, bytes, int]:
    """Return an exported chat, and its number of messages, those of the system included."""
    n = rng.randint(160, 240)
    said = [(rng.choice(("Ana", "Bo")), sentence(i)) for i in range(n)]
    odd = {rng.randrange(n) for _ in range(rng.randint(0, 12))}
    if kind == "whatsapp":
        lines = [rng.choice(("Exported", "Chat of Ana"))] if rng.random() < 0.3 else []
        n_extra = len(lines)
        for i, (who, text) in enumerate(said):
            when = f"{i // 1440 + 1:02}/03/2024, {i // 60 % 24:02}:{i % 60:02} - "
            media = ("Bo joined", f"{who}: <Media omitted>", f"{who}: \u200eimage omitted", f"{who}: ")
            lines.append(when + (rng.choice(media) if i in odd else f"{who}: {text}"))
            if i not in odd and rng.random() < 0.1:
                lines.append("and a second line")
        return "_chat.txt", "\n".join(lines).encode(), n + n_extra
    values: list[Any] = []
    for i, (who, text) in enumerate(said):
        if kind == "telegram":
            value: Any = {"type": "message", "date_unixtime": str(60 * i), "from": who, "text": text}
            bad = [7, None, value | {"type": "service"}, value | {"text": ""}, value | {"from": None}]
        else:
            value = {"type": "Default", "content": text, "author": {"name": who}}
            bad = ["a", None, value | {"type": "GuildMemberJoin"}, value | {"content": " "}]
        values.append(rng.choice(bad) if i in odd else value)
    return "chat.json", json.dumps({"messages": values}).encode(), n


def assert_messages_are_counted(tmp_path: Path, kind: str, n: int) -> None:
    for seed in range(n):
        name, data, n_messages = log_of(kind, random.Random(f"{kind} {seed}"))
        (tmp_path / name).write_bytes(data)
        corpus = read_chat(DataConfig(sources=(str(tmp_path / name),), me="Ana"))
        match = LOG.search(" ".join(corpus.notes))
        assert match, corpus.notes
        total, used, unanswered, dropped = (int(each.replace(",", "")) for each in match.groups())
        assert total == n_messages == used + unanswered + dropped, (seed, corpus.notes)
        lines = [line for each in (*corpus.train, *corpus.val) for m in each.messages for line in [m.content]]
        assert sum(len(re.findall(r" \d+\.(?=\n|$)", line)) for line in lines) == used, seed


def assert_parts_are_counted(tmp_path: Path, make: Maker, check: Check, n: int) -> None:
    for seed in range(n):
        wanted = make(random.Random(f"{make.__name__} {seed}"))
        path = tmp_path / wanted.name
        path.write_bytes(wanted.data)
        try:
            check(path, wanted)
        except Exception as error:
            raise AssertionError(f"{wanted.name}, seed {seed}") from error


@pytest.mark.parametrize(("make", "check"), KINDS, ids=lambda each: each.__name__)
def test_every_part_is_used_or_counted(tmp_path: Path, make: Maker, check: Check) -> None:
    n = 6 if make is mbox else FEW  # Python's reader of mails is slow
    assert_parts_are_counted(tmp_path, make, check, n)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(("make", "check"), KINDS, ids=lambda each: each.__name__)
def test_every_part_of_many_files_is_used_or_counted(tmp_path: Path, make: Maker, check: Check) -> None:
    assert_parts_are_counted(tmp_path, make, check, MANY)


@pytest.mark.parametrize("kind", ["whatsapp", "telegram", "discord"])
def test_every_message_is_used_or_counted(tmp_path: Path, kind: str) -> None:
    assert_messages_are_counted(tmp_path, kind, FEW)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("kind", ["whatsapp", "telegram", "discord"])
def test_every_message_of_many_chats_is_used_or_counted(tmp_path: Path, kind: str) -> None:
    assert_messages_are_counted(tmp_path, kind, MANY)
