"""One small, valid file of every format that is read, as bytes by name."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import zipfile
from email.message import EmailMessage

WORDS = "boat lamp door map bread fox mill rain letter road Straße 灯 naïve".split()
N = 40
"""Rows, messages, mails or cues of each file."""


def sentence(i: int) -> str:
    """Return a sentence of its own for each number."""
    return f"{' '.join(random.Random(i).choices(WORDS, k=7))} {i}."


def archive(**members: str) -> bytes:
    """Return a zip file; `__` in a name is a slash, `_DOT_` a dot."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            file.writestr(name.replace("__", "/").replace("_DOT_", "."), text)
    return out.getvalue()


def _tar(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as file:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        file.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _mail(i: int, n: int = 1) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "ana@x.example", f"Über {i}"
    mail.set_content("\n".join(map(sentence, range(i, i + n))) + f"\n\n> quoted {i}\n")
    mail.add_attachment(bytes(range(256)), maintype="image", subtype="png", filename="a.png")
    return mail.as_bytes()


def _cues(form: str) -> str:
    return "\n\n".join(form.format(i=i + 1, s=f"{i % 60:02}", text=sentence(i)) for i in range(N)) + "\n"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _jsonl(*rows: object) -> bytes:
    return b"".join(_json(row) + b"\n" for row in rows)


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


R = range(N)
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
TEXT = _lines(*map(sentence, R))
PARAGRAPHS = "".join(f"<p>{sentence(i)}</p>" for i in R)
SAID = [("Bo" if i % 2 == 0 else "Ana", sentence(i)) for i in range(4 * N)]
NOTEBOOK = {"cells": [{"cell_type": "markdown", "source": [sentence(i), "\n"]} for i in R], "nbformat": 4}
OFFICE = "urn:oasis:names:tc:opendocument:xmlns"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
DOCX = "".join(f"<w:p><w:r><w:t>{sentence(i)}</w:t></w:r></w:p>" for i in R)
ODT = "".join(f"<text:p>{sentence(i)}</text:p>" for i in R)
OPF = (
    '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="a" href="a.xhtml" media-type='
    '"application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>'
)
CONTAINER = '<container><rootfiles><rootfile full-path="b.opf"/></rootfiles></container>'

FILES: dict[str, bytes] = {
    "a.txt": TEXT,
    "b.md": TEXT,
    "utf16.txt": TEXT.decode().encode("utf-16"),
    "a.html": f"<html><head><title>t</title></head><body>{PARAGRAPHS}</body></html>".encode(),
    "a.epub": archive(
        **{
            "META-INF__container.xml": CONTAINER,
            "b.opf": OPF,
            "a.xhtml": f"<html><body>{PARAGRAPHS}</body></html>",
        }
    ),
    "a.docx": archive(
        word__document_DOT_xml=f'<w:document xmlns:w="{WORD}"><w:body>{DOCX}</w:body></w:document>'
    ),
    "a.odt": archive(
        content_DOT_xml=f'<o:d xmlns:o="{OFFICE}:office:1.0" xmlns:text="{OFFICE}:text:1.0">{ODT}</o:d>'
    ),
    "a.rtf": (
        "{\\rtf1\\ansi {\\fonttbl{\\f0 A;}}" + "".join(f"{sentence(i)}\\par\n" for i in R) + "}"
    ).encode(),
    "a.ipynb": _json(NOTEBOOK),
    "a.srt": _cues("{i}\n00:00:{s},000 --> 00:00:{s},900\n<i>{text}</i>").encode(),
    "a.vtt": ("WEBVTT\n\n" + _cues("00:00:{s}.000 --> 00:00:{s}.900\n{text}")).encode(),
    "a.ass": (
        ASS + _cues("Dialogue: 0,0:00:{s}.00,0:00:{s}.90,D,,0,0,0,,{text}").replace("\n\n", "\n")
    ).encode(),
    "a.eml": _mail(1, N),
    "a.mbox": b"".join(b"From ana Fri Mar  1 09:00:00 2024\n" + _mail(i) + b"\n" for i in R),
    "text.csv": _lines("id,text", *(f'{i},"{sentence(i)}, and ""more"""' for i in R)),
    "text.tsv": _lines("id\ttext", *(f"{i}\t{sentence(i)}" for i in R)),
    "text.jsonl": _jsonl(*({"text": sentence(i), "n": i} for i in R)),
    "text.json": _json([{"text": sentence(i)} for i in R]),
    "labels.csv": _lines("Review Text,Stars", *(f"{sentence(i)},{i % 3}" for i in R)),
    "labels.jsonl": _jsonl(*({"text": sentence(i), "label": i % 3} for i in R)),
    "pairs.csv": _lines("en,de", *(f"{sentence(i)},{sentence(-i)}" for i in R)),
    "anki.txt": _lines(*(f"{sentence(i)}\t{sentence(-i)}\tCC-BY 2.0 #{i}" for i in R)),
    "tatoeba.tsv": _lines(*(f"{i}\t{sentence(i)}\t{i + 7}\t{sentence(-i)}" for i in R)),
    "trans.jsonl": _jsonl(*({"translation": {"en": sentence(i), "de": sentence(-i)}} for i in R)),
    "alpaca.json": _json([{"instruction": sentence(i), "input": "", "output": sentence(-i)} for i in R]),
    "roles.jsonl": _jsonl(
        *(
            {"messages": [{"role": "user", "content": sentence(i)}, {"role": "assistant", "content": "Yes."}]}
            for i in R
        )
    ),
    "sharegpt.json": _json(
        [
            {"conversations": [{"from": "human", "value": sentence(i)}, {"from": "gpt", "value": "Yes."}]}
            for i in R
        ]
    ),
    "_chat.txt": _lines(
        *(f"[{i // 24 + 1:02}.03.24, {i % 24:02}:00:00] {who}: {text}" for i, (who, text) in enumerate(SAID))
    ),
    "result.json": _json(
        {
            "name": "Bo",
            "messages": [
                {"id": i, "type": "message", "date_unixtime": str(60 * i), "from": who, "text": [text]}
                for i, (who, text) in enumerate(SAID)
            ],
        }
    ),
    "discord.json": _json(
        {
            "messages": [
                {
                    "type": "Default",
                    "timestamp": "2024-03-01T09:00:00+00:00",
                    "content": text,
                    "author": {"name": who},
                }
                for who, text in SAID
            ]
        }
    ),
    "a.txt.gz": gzip.compress(TEXT),
    "text.jsonl.gz": gzip.compress(_jsonl(*({"text": sentence(i)} for i in R))),
    "a.zip": archive(a_DOT_txt=TEXT.decode(), b_DOT_md=TEXT.decode()),
    "a.tar.gz": _tar("a.txt", TEXT),
}
