"""Files as people have them, for makers.py: exports of chats, tables, mails, documents, subtitles, images.

All texts are invented. Each function writes one kind into a folder and returns what a reader should find.
"""

from __future__ import annotations

import csv
import json
import random
import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage
from mailbox import mbox
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw

WHO = "the baker|a tired fox|our captain|my aunt|the old engine|a quiet dog|the clerk|two sailors".split("|")
DOES = "sells|carries|repairs|forgets|describes|paints|hides|finds".split("|")
WHAT = "warm bread|the blue door|old maps|seven lamps|a letter|the north road|an umbrella|two boats".split(
    "|"
)
WHEN = (
    "at noon|before supper|near the mill|without a word|every Tuesday|for no reason|again|in the rain".split(
        "|"
    )
)
FRENCH: dict[str, str] = dict(
    zip(
        (*WHO, *DOES, *WHAT, *WHEN),
        "le boulanger|un renard las|notre capitaine|ma tante|la vieille machine|un chien calme|le commis|"
        "deux marins|vend|porte|répare|oublie|décrit|peint|cache|trouve|du pain chaud|la porte bleue|de "
        "vieilles cartes|sept lampes|une lettre|la route du nord|un parapluie|deux bateaux|à midi|avant le "
        "souper|près du moulin|sans un mot|chaque mardi|sans raison|encore|sous la pluie".split("|"),
        strict=True,
    )
)
GOOD = "loved it|tastes great|would buy it again|a fine gift|works as described".split("|")
BAD = "broke at once|tastes of soap|never again|came late and open|a waste of money".split("|")
COLORS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 70, 220)}


class Found(NamedTuple):
    """What should be read of some files."""

    source: Path
    """What is given to `glassgpt train`."""
    n_rows: int
    """Number of rows, lines, documents, mails or messages of people that must be used."""
    never: tuple[str, ...] = ()
    """Text that must not be learned: times, markup, names of media."""


class Sentences:
    """Sentences, the same for the same seed."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)

    def parts(self) -> tuple[str, str, str, str]:
        """Return subject, verb, object and circumstance."""
        pick = self.random.choice
        return pick(WHO), pick(DOES), pick(WHAT), pick(WHEN)

    def one(self) -> str:
        """Return a sentence."""
        return f"{' '.join(self.parts()).capitalize()}."

    def some(self, n: int) -> str:
        """Return a paragraph."""
        return " ".join(self.one() for _ in range(n))


class Said(NamedTuple):
    """A message of a chat."""

    author: str
    text: str
    at: datetime


def dialog(n: int, seed: int) -> list[Said]:
    """Return n messages of two people in turn, twenty in a session, the last one by Ana."""
    words, at, said = Sentences(seed), datetime(2024, 3, 1, 9), list[Said]()
    for i in range(n):
        at += timedelta(minutes=words.random.randint(1, 9)) if i % 20 else timedelta(days=1)
        said.append(Said(("Bo", "Ana")[i % 2], words.one(), at))
    return said


def whatsapp(folder: Path) -> Found:
    """Write `_chat.txt`: a system line, media left out, a message of two lines."""
    said = dialog(800, 1)
    lines = ["[01.03.24, 08:59:00] Ana: \u200eMessages and calls are end-to-end encrypted."]
    lines += [f"[{each.at:%d.%m.%y, %H:%M:%S}] {each.author}: {each.text}" for each in said]
    lines[400:400] = ["[02.03.24, 09:00:00] Bo: \u200eimage omitted", "and a second line of it"]
    path = folder / "_chat.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return Found(path, len(said), ("omitted", "encrypted", "24,"))


def telegram(folder: Path) -> Found:
    """Write `result.json`: a service message, a link as a part of a text, a photo without text."""
    said = dialog(800, 2)
    messages: list[dict[str, object]] = [
        {"id": 0, "type": "service", "actor": "Ana", "action": "create_group"}
    ]
    for i, each in enumerate(said, 1):
        text = [each.text, {"type": "link", "text": "https://x.example"}] if i % 50 == 0 else each.text
        messages.append(
            {
                "id": i,
                "type": "message",
                "date": f"{each.at:%Y-%m-%dT%H:%M:%S}",
                "from": each.author,
                "from_id": "user1",
                "text": text,
            }
        )
    messages.append({"id": 9999, "type": "message", "from": "Bo", "photo": "photos/photo_1.jpg", "text": ""})
    path = folder / "result.json"
    path.write_text(
        json.dumps({"name": "Bo", "type": "personal_chat", "messages": messages}, indent=1), "utf-8"
    )
    return Found(path, len(said), ("photo", "create_group"))


def discord(folder: Path) -> Found:
    """Write a channel as DiscordChatExporter does, with a pinned message and an attachment."""
    messages = [
        {
            "id": str(i),
            "type": "Default",
            "timestamp": f"{each.at.isoformat()}+00:00",
            "content": each.text,
            "author": {"id": "7", "name": each.author.lower(), "nickname": each.author, "isBot": False},
            "attachments": [],
        }
        for i, each in enumerate(dialog(800, 3))
    ]
    pinned = messages[0] | {"type": "ChannelPinnedMessage", "content": "Pinned a message."}
    empty = messages[1] | {"content": "", "attachments": [{"fileName": "cat.png"}]}
    path = folder / "general.json"
    export = {"guild": {"name": "G"}, "channel": {"name": "general"}, "messages": [*messages, pinned, empty]}
    path.write_text(json.dumps(export, indent=2), "utf-8")
    return Found(path, len(messages), ("Pinned", "cat.png"))


def sharegpt(folder: Path) -> Found:
    """Write conversations from a human to a gpt, as one list."""
    words = Sentences(4)
    rows = [
        {
            "id": str(i),
            "conversations": [
                {"from": "human", "value": f"What about {who}?"},
                {"from": "gpt", "value": f"{who} {does} {what} {when}.".capitalize()},
            ],
        }
        for i, (who, does, what, when) in enumerate(words.parts() for _ in range(400))
    ]
    path = folder / "sharegpt.json"
    path.write_text(json.dumps(rows), "utf-8")
    return Found(path, 2 * len(rows), ("human", "conversations"))


def recipes(folder: Path) -> Found:
    """Write a table of recipes: several columns, none of them called text, cells of several lines."""
    words = Sentences(5)
    path = folder / "recipes.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "dish", "ingredients", "instructions", "url"])
        for i in range(300):
            steps = "\n".join(f"{n}. {words.one()}" for n in range(1, 5))
            table.writerow([i, f"Bread {i}", f"{words.parts()[2]}, salt", steps, f"https://x.example/{i}"])
    return Found(path, 300, ("https", "salt"))


def reviews(folder: Path) -> Found:
    """Write a table of reviews whose columns have odd names; some have no stars."""
    words = Sentences(6)
    path = folder / "reviews.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file)
        table.writerow(["Id", "Product Name", "Review Text", "Star_Rating"])
        for i in range(600):
            good = words.random.random() < 0.5
            opinion = words.random.choice(GOOD if good else BAD)
            stars = "" if i % 30 == 7 else words.random.choice("45" if good else "12")
            table.writerow([i, "lamp", f'{words.one()} It "{opinion}", {words.parts()[3]}', stars])
    return Found(path, 580)


def mails(folder: Path) -> Found:
    """Write a mailbox: encoded subjects, a signature, quoted replies, an attachment."""
    words, path = Sentences(7), folder / "Sent.mbox"
    box = mbox(path)
    for i in range(150):
        mail = EmailMessage()
        mail["From"], mail["To"] = "ana@x.example", "bo@x.example"
        mail["Date"], mail["Subject"] = "Fri, 01 Mar 2024 09:00:00 +0000", f"Über {words.parts()[2]} {i}"
        mail.set_content(f"{words.some(4)}\n\nAna\n\nOn Friday Bo wrote:\n> {words.one()}\n")
        if i % 10 == 0:
            mail.add_attachment(bytes(range(256)) * 8, maintype="image", subtype="png", filename="cat.png")
        box.add(mail)
    box.flush()
    box.close()
    return Found(path, 150, ("x.example", "cat.png", "boundary", "base64"))


def documents(folder: Path) -> Found:
    """Write a folder of .docx and .odt with a lock file, a photo and a shortcut among them."""
    words, root = Sentences(8), folder / "Documents"
    root.mkdir()
    for i in range(12):
        paragraphs = [words.some(5) for _ in range(12)]
        _write_docx(root / f"letter {i}.docx", paragraphs) if i % 2 else _write_odt(
            root / f"essay {i}.odt", paragraphs
        )
    (root / "~$letter 1.docx").write_bytes(b"\x03ana" + bytes(50))
    Image.new("RGB", (8, 8)).save(root / "photo.jpg")
    (root / "Thumbs.db").write_bytes(bytes(200))
    return Found(root, 12, ("w:p", "xmlns", "JFIF"))


def _write_docx(path: Path, paragraphs: Sequence[str]) -> None:
    uri = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(
            "word/document.xml", f'<w:document xmlns:w="{uri}"><w:body>{body}</w:body></w:document>'
        )


def _write_odt(path: Path, paragraphs: Sequence[str]) -> None:
    uri = "urn:oasis:names:tc:opendocument:xmlns"
    body = "".join(f"<text:p>{text}</text:p>" for text in paragraphs)
    names = f'xmlns:office="{uri}:office:1.0" xmlns:text="{uri}:text:1.0"'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        archive.writestr(
            "content.xml",
            f"<office:document-content {names}><office:body><office:text>{body}</office:text></office:body>"
            "</office:document-content>",
        )


def subtitles(folder: Path) -> Found:
    """Write a folder of subtitles with times, italics and Windows line ends."""
    words, root = Sentences(9), folder / "Season 1"
    root.mkdir()
    for episode in range(6):
        cues = (_cue(i, words.one()) for i in range(1, 101))
        (root / f"S01E{episode:02}.srt").write_bytes("\r\n\r\n".join(cues).encode())
    return Found(root, 6, ("-->", "<i>", "00:"))


def _cue(i: int, text: str) -> str:
    times = f"00:{i // 60:02}:{i % 60:02},000 --> 00:{i // 60:02}:{i % 60:02},900"
    return f"{i}\r\n{times}\r\n{f'<i>{text}</i>' if i % 5 == 0 else text}"


def pairs(folder: Path) -> Found:
    """Write sentence pairs as Anki's files have them: three columns, no header, `.txt`."""
    lines = sorted(set(_pairs(900)))
    path = folder / "fra.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return Found(path, len(lines), ("CC-BY",))


def _pairs(n: int) -> Iterator[str]:
    words = Sentences(10)
    for i in range(n):
        parts = words.parts()
        english, french = " ".join(parts), " ".join(FRENCH[part] for part in parts)
        yield f"{english.capitalize()}.\t{french.capitalize()}.\tCC-BY 2.0 (France) Attribution: #{i}"


def captions(folder: Path) -> Found:
    """Write a folder of images with captions, as Flickr8k has them."""
    root, choose = folder / "photos", random.Random(11)
    (root / "Images").mkdir(parents=True)
    rows = ["image,caption"]
    for i in range(240):
        color, shape = choose.choice(list(COLORS)), choose.choice(["square", "circle"])
        image = Image.new("RGB", (24, 24), "white")
        draw = ImageDraw.Draw(image)
        (draw.rectangle if shape == "square" else draw.ellipse)((5, 5, 18, 18), fill=COLORS[color])
        image.save(root / "Images" / f"{i}.jpg")
        rows += [f"{i}.jpg,a {color} {shape}"]
    (root / "captions.txt").write_text("\n".join(rows) + "\n", "utf-8")
    return Found(root, 240)
