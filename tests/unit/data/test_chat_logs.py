"""Exported chats: who speaks, when, and that every message is used or counted."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from glassgpt.config import DataConfig, RunConfig
from glassgpt.data import ChatCorpus, is_chat, read_chat, read_corpus
from glassgpt.data.files import ChatLog, parse_exports, parse_whatsapp
from glassgpt.errors import UserError
from glassgpt.tasks import detect_task

START = datetime(2024, 3, 1, 9, 0)
SAID = [(("Ana", "Bo")[i % 2], f"what I say number {i}.") for i in range(80)]
TIMES = [START + timedelta(minutes=i) for i in range(80)]

WHATSAPP = {
    "ios german": lambda t, who, text: f"[{t:%d.%m.%y}, {t:%H:%M:%S}] {who}: {text}",
    "ios american": lambda t, who, text: (
        f"[{t.month}/{t.day}/{t:%y}, {t:%I:%M:%S}\u202f{t:%p}] {who}: {text}"
    ),
    "android german": lambda t, who, text: f"{t:%d.%m.%y}, {t:%H:%M} - {who}: {text}",
    "android american": lambda t, who, text: f"{t.month}/{t.day}/{t:%y}, {t:%I:%M} {t:%p} - {who}: {text}",
    "iso": lambda t, who, text: f"{t:%Y-%m-%d}, {t:%H:%M} - {who}: {text}",
}


def whatsapp(style: str) -> str:
    return "".join(WHATSAPP[style](t, *said) + "\n" for t, said in zip(TIMES, SAID, strict=True))


def telegram() -> dict[str, Any]:
    messages: list[dict[str, Any]] = [
        {"type": "message", "date": t.isoformat(), "from": who, "text": ["", {"type": "plain", "text": text}]}
        for t, (who, text) in zip(TIMES, SAID, strict=True)
    ]
    return {"name": "Bo", "type": "personal_chat", "messages": messages}


def discord() -> dict[str, Any]:
    messages = [
        {"type": "Default", "timestamp": f"{t.isoformat()}+00:00", "content": text, "author": {"name": who}}
        for t, (who, text) in zip(TIMES, SAID, strict=True)
    ]
    return {"guild": {"name": "G"}, "messages": messages}


def write(path: Path, text: str | object, **options: Any) -> DataConfig:
    path.write_text(text if isinstance(text, str) else json.dumps(text), "utf-8")
    return DataConfig(sources=(str(path),), **options)


def contents(corpus: ChatCorpus, role: str) -> set[str]:
    return {m.content for c in (*corpus.train, *corpus.val) for m in c.messages if m.role == role}


@pytest.mark.parametrize("style", WHATSAPP)
def test_whatsapp_in_every_form_of_date(style: str) -> None:
    log = parse_whatsapp(whatsapp(style).splitlines(keepends=True))
    assert [(m.author, m.text) for m in log.messages] == SAID and log.n_dropped == 0
    first = log.messages[0].at
    assert first is not None and all(
        m.at == pytest.approx(first + 60 * i) for i, m in enumerate(log.messages)
    )


def test_the_order_of_day_and_month_is_read_from_the_whole_chat() -> None:
    lines = ["1/2/24, 9:00 PM - Ana: a\n", "1/31/24, 9:00 PM - Bo: b\n"]
    apart = [m.at for m in parse_whatsapp(lines).messages]
    assert None not in apart and apart[1] - apart[0] == 29 * 24 * 3600  # pyright: ignore
    german = ["1.2.24, 21:00 - Ana: a\n", "31.2.24, 21:00 - Bo: no such day\n", "13.2.24, 21:00 - Bo: b\n"]
    times = [m.at for m in parse_whatsapp(german).messages]
    assert times[1] is None and times[2] - times[0] == 12 * 24 * 3600  # pyright: ignore


def test_system_lines_and_media_are_dropped_and_counted() -> None:
    lines = [
        "\u200e[01.03.24, 09:00:00] Group: \u200eMessages and calls are end-to-end encrypted.\n",
        "[01.03.24, 09:01:00] ~\u202fAna: at 10:30: come\n",
        "or not\n",
        "\u200e[01.03.24, 09:02:00] Bo: \u200eimage omitted\n",
        "01.03.24, 09:03 - Bo: <Media omitted>\n",
        "01.03.24, 09:03 - Bo was added\n",
    ]
    log = parse_whatsapp(lines)
    assert [(m.author, m.text) for m in log.messages] == [("Ana", "at 10:30: come\nor not")]
    assert log.n_dropped == 4


@pytest.mark.parametrize(
    ("name", "text"),
    [("_chat.txt", whatsapp("ios german")), ("result.json", telegram()), ("general.json", discord())],
)
def test_an_export_asks_for_a_name_and_becomes_conversations(tmp_path: Path, name: str, text: object) -> None:
    config = write(tmp_path / name, text)
    assert is_chat(config) and detect_task(RunConfig(data=config)).name == "chat"
    with pytest.raises(UserError, match=r"chat of Ana \(40\), Bo \(40\)\. Set `me` to the name"):
        read_chat(config)
    with pytest.raises(UserError, match="nobody is called 'Al' in this"):
        read_chat(config.model_copy(update={"me": "Al"}))
    corpus = read_chat(config.model_copy(update={"me": "Bo"}))
    assert contents(corpus, "user") == {text for who, text in SAID if who == "Ana"}
    assert contents(corpus, "assistant") == {text for who, text in SAID if who == "Bo"}
    assert len(corpus.train) + len(corpus.val) == 20  # of two exchanges each
    assert "80 messages: 80 used to learn what Bo says, 0 without a reply, 0 from" in corpus.notes[0]
    running = read_corpus(config)
    assert "Ana: what I say number 0.\nBo: what I say number 1." in running.train.read()


def test_pauses_end_a_conversation_and_unanswered_messages_are_counted(tmp_path: Path) -> None:
    times = [START + timedelta(hours=5 * (i // 9), minutes=i) for i in range(198)]
    lines = [f"[{t:%d.%m.%y}, {t:%H:%M:%S}] {'AAB'[i % 3]}: {i}\n" for i, t in enumerate(times)]
    last = f"[{times[-1]:%d.%m.%y}, 23:59:00] A: ?\n"
    corpus = read_chat(write(tmp_path / "a.txt", "".join([*lines, last]), me="B"))
    found = [tuple(m.content for m in c.messages) for c in (*corpus.train, *corpus.val)]
    assert len(found) == 22 and ("9\n10", "11", "12\n13", "14", "15\n16", "17") in found
    assert "199 messages: 198 used to learn what B says, 1 without a reply" in corpus.notes[0]


def test_several_others_are_told_apart_by_name(tmp_path: Path) -> None:
    lines = [f"[01.03.24, 09:{i % 60:02}:00] {'ABC'[i % 3]}: {i}\n" for i in range(90)]
    corpus = read_chat(write(tmp_path / "a.txt", "".join(lines), me="C"))
    assert "A: 0\nB: 1" in contents(corpus, "user")


def test_somebody_alone_is_learned_message_by_message(tmp_path: Path) -> None:
    export = {"messages": [{"type": "message", "from": "Ana", "text": f"note {i}"} for i in range(30)]}
    corpus = read_chat(write(tmp_path / "a.json", export, me="Ana"))
    assert len(corpus.train) + len(corpus.val) == 30 and not contents(corpus, "user")


def test_all_chats_of_an_account() -> None:
    service = {"type": "service", "actor": "Ana", "action": "phone_call", "text": ""}
    photo = {"type": "message", "from": "Ana", "text": "", "photo": "p.jpg"}
    one = telegram()
    one["messages"] += [service, photo]
    logs = parse_exports({"about": "x", "chats": {"list": [one, telegram()]}})
    assert [(log.kind, len(log.messages), log.n_dropped) for log in logs] == [
        ("Telegram", 80, 2),
        ("Telegram", 80, 0),
    ]
    assert parse_exports({"messages": [{"role": "user", "content": "x"}]}) == parse_exports([]) == []
    assert ChatLog("x", logs[0].messages[:2]).text() == "Ana: what I say number 0.\nBo: what I say number 1."


ASKED = [(f"question {i}", f"answer {i}") for i in range(30)]
TREE = {
    "r": {"message": None, "parent": None},
    "a": {"message": {"author": {"role": "user"}, "content": {"parts": ["q"]}}, "parent": "r"},
    "lost": {"message": {"author": {"role": "assistant"}, "content": {"parts": ["x"]}}, "parent": "a"},
    "b": {"message": {"author": {"role": "assistant"}, "content": {"parts": ["w"]}}, "parent": "a"},
}


@pytest.mark.parametrize(
    "row",
    [
        lambda q, a: {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]},
        lambda q, a: {"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]},
        lambda q, a: {"conversations": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]},
        lambda q, a: {"instruction": q, "input": "", "output": a},
        lambda q, a: {"prompt": q, "completion": a},
    ],
    ids=["openai", "sharegpt", "minimind", "alpaca", "prompt"],
)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_formats_with_roles(tmp_path: Path, name: str, row: Any) -> None:
    rows = [row(*each) for each in ASKED]
    text = json.dumps(rows) if name == "a.json" else "\n".join(map(json.dumps, rows))
    config = write(tmp_path / name, text)
    assert is_chat(config)
    corpus = read_chat(config)
    found = {(c.messages[0].content, c.messages[1].content) for c in (*corpus.train, *corpus.val)}
    assert found == set(ASKED) and corpus.notes == ()


def test_the_current_branch_of_a_tree(tmp_path: Path) -> None:
    tree = json.dumps(TREE)
    rows = [
        {"title": "t", "mapping": json.loads(tree.replace('"q"', f'"q{i}"')), "current_node": "b"}
        for i in range(30)
    ]
    corpus = read_chat(write(tmp_path / "conversations.json", rows))
    assert contents(corpus, "user") == {f"q{i}" for i in range(30)} and contents(corpus, "assistant") == {"w"}


def test_text_with_a_time_at_its_start_is_no_chat(tmp_path: Path) -> None:
    log = "".join(f"2024-01-{i % 28 + 1:02}, 10:00 - started the engine\n" for i in range(200))
    config = write(tmp_path / "log.txt", log)
    assert not is_chat(config) and not is_chat(write(tmp_path / "b.txt", "plain\n" * 300))
    assert read_corpus(config).train.read()[:10] == "2024-01-01"
