"""Encodings are detected on real prose, long and short, and said; what is not text is refused."""

import io
import random

import pytest

from glassgpt.data.files.charset import check_encoding, decode, detect, detect_and_decode, scan
from glassgpt.data.files.unreadable import NotText
from glassgpt.errors import UserError

CHINESE = (
    "我冒了严寒，回到相隔二千余里，别了二十余年的故乡去。时候既然是深冬；渐近故乡时，天气又阴晦了，冷风吹进船舱中，"
    "呜呜的响，从篷隙向外一望，苍黄的天底下，远近横着几个萧索的荒村，没有一些活气。我的心禁不住悲凉起来了。\n"
    "阿！这不是我二十年来时时记得的故乡？我所记得的故乡全不如此。我的故乡好得多了。但要我记起他的美丽，说出他的佳处来，"
    "却又没有影像，没有言辞了。仿佛也就如此。于是我自己解释说：故乡本也如此，——虽然没有进步，也未必有如我所感的悲凉，"
    "这只是我自己心情的改变罢了，因为我这次回乡，本没有什么好心绪。\n"
)
CLASSICAL = (
    "子曰：「學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？人不知而不慍，不亦君子"
    "乎？」有子曰：「其為人也孝弟，而好犯上者，鮮矣。」"
)
JAPANESE = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何"
    "でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。"
)
RUSSIAN = (
    "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему. "
    "Все смешалось в доме Облонских."
)
FRENCH = (
    "Longtemps, je me suis couché de bonne heure. Parfois, à peine ma bougie éteinte, mes yeux se "
    "fermaient si vite que je n'avais pas le temps de me dire: «Je m'endors.» Et, une demi-heure "
    "après, la pensée qu'il était temps de chercher le sommeil m'éveillait; je voulais poser le "
    "volume que je croyais avoir encore dans les mains."
)
SPANISH = (
    "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, no ha mucho tiempo que vivía un "
    "hidalgo de los de lanza en astillero, adarga antigua, rocín flaco y galgo corredor. Salpicón "
    "las más noches, duelos y quebrantos los sábados."
)
GERMAN = (
    "Als Gregor Samsa eines Morgens aus unruhigen Träumen erwachte, fand er sich in seinem Bett zu "
    "einem ungeheueren Ungeziefer verwandelt. Er lag auf seinem panzerartig harten Rücken und sah, "
    "wenn er den Kopf ein wenig hob, seinen gewölbten, braunen, von bogenförmigen Versteifungen "
    "geteilten Bauch."
)
ENGLISH_QUOTES = "It is a truth universally acknowledged — “so they say” — that it’s the café’s fault. " * 3


def detected(data: bytes) -> tuple[str, str]:
    stream = io.BytesIO(data)
    encoding = detect(stream, "x.txt", scan(stream))
    return encoding, "".join(decode(stream, "x.txt", encoding))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "gb18030"),
        (CHINESE[:60], "gb18030"),
        ("English first, then some Chinese. " * 50 + CHINESE, "gb18030"),
        ("def f(x):\n    return x\n" * 4000 + CHINESE, "gb18030"),
        (CHINESE + "𠀀😀ǖ\n", "gb18030"),
        (CLASSICAL, "gb18030"),
        (CLASSICAL, "big5"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (FRENCH, "latin-1"),
        (SPANISH, "latin-1"),
        (GERMAN, "latin-1"),
        ("plain prose, nothing to see. " * 5000 + FRENCH, "latin-1"),
        (ENGLISH_QUOTES, "cp1252"),
    ],
)
def test_a_legacy_encoding_is_detected_on_prose(text: str, encoding: str) -> None:
    assert detected(text.encode(encoding))[1] == text


@pytest.mark.parametrize("text", [CHINESE, JAPANESE + "\n", RUSSIAN + " 1", FRENCH, CHINESE + "𠀀😀\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_unicode_encoding_comes_back_exactly(text: str, encoding: str) -> None:
    assert detected(text.encode(encoding))[1].removeprefix("\ufeff") == text


def test_gb18030_is_not_mistaken_on_any_stretch_of_a_page() -> None:
    for start in range(0, len(CHINESE) - 40, 7):
        assert detected(CHINESE[start : start + 40].encode("gb18030"))[0] == "gb18030", start


def test_utf8_is_checked_over_the_whole_stream_not_only_at_its_start() -> None:
    data = b"a" * 3_000_000 + "é".encode()
    assert detected(data)[0] == "utf-8"
    assert detected(b"plain prose. " * 200_000 + FRENCH.encode("latin-1"))[0] == "cp1252"


@pytest.mark.parametrize("prefix", [10, (1 << 20) - 1, (1 << 20) - 2, 3 << 20])
def test_broken_utf8_names_the_offset_and_is_not_guessed_at(prefix: int) -> None:
    good = ("é" + "x" * 9) * (prefix // 11 + 100)
    data = good.encode()
    cut = data[:prefix].decode("utf-8", "ignore").encode()
    broken = cut + b"\xff" + data
    with pytest.raises(
        UserError, match=rf"x\.txt: the bytes at offset {len(cut):,} are not utf-8.*`encoding`"
    ):
        detected(broken)


def test_a_file_cut_in_the_middle_of_a_character_names_the_offset() -> None:
    data = (CHINESE * 5000).encode()[:-2]
    with pytest.raises(UserError, match=f"offset {len(data) - 2:,} are not utf-8"):
        detected(data)


def test_a_wrong_encoding_named_by_the_user_says_where_it_fails() -> None:
    data = b"x" * 2_000_000 + b"\xff\xff"
    with pytest.raises(UserError, match="offset 2,000,000 are not gb18030"):
        list(decode(io.BytesIO(data), "x.txt", "gb18030"))


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8", "utf-16-le", "cp932", "latin-1"])
def test_decoding_in_pieces_equals_decoding_at_once(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = {"latin-1": FRENCH, "cp932": JAPANESE}.get(encoding, CHINESE)
    monkeypatch.setattr("glassgpt.data.files.charset.PIECE", 3)
    assert "".join(decode(io.BytesIO(text.encode(encoding)), "x", encoding)) == text


def test_newlines_of_every_kind_become_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 2, 3, 1000):
        monkeypatch.setattr("glassgpt.data.files.charset.PIECE", size)
        assert "".join(decode(io.BytesIO(b"a\r\nb\rc\n\r\n\rd\r"), "x", "utf-8")) == "a\nb\nc\n\n\nd\n"


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\0",
        b"\x7fELF\x02\x01\x01\0" + bytes(range(256)) * 40,
        random.Random(1).randbytes(100_000),
        random.Random(2).randbytes(100_000).replace(b"\0", b""),
        b"a tar begins with a name" + b"\0" * 400 + b"ustar" + b"then text follows " * 100,
        b"\0" * 1000,
    ],
)
def test_binary_data_is_refused_with_a_remedy(data: bytes) -> None:
    with pytest.raises(NotText, match=r"x\.txt: this is .*, not text\. (Export|Unpack) it"):
        detected(data)


@pytest.mark.parametrize("at", [0, 100, 70_000, 3_000_000])
def test_a_nul_is_a_character_of_a_text_wherever_it_stands(at: int) -> None:
    data = b"Prose of which nobody would say that it is UTF-16.\n" * 60_000
    data = data[:at] + b"\0" + data[at:]
    for encoding in (None, "utf-8", "latin-1"):
        decoded = detect_and_decode(io.BytesIO(data), "x.txt", encoding)
        assert "".join(decoded.pieces) == data.decode()
        assert decoded.notes == ("NUL characters kept as text",)


def test_binary_data_is_refused_wherever_it_stands() -> None:
    text = b"plain prose, nothing to see. " * 10_000
    for data in (text + b"\0" * 9_000, text + random.Random(1).randbytes(100_000)):
        with pytest.raises(NotText, match="a binary file"):
            detected(data)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"PK\x03\x04\x14\0", r"a zip archive, not text\. Give it the ending of its format: .*\.docx"),
        (b"\x1f\x8b\x08\0", r"a gzip file, not text\. Give it an ending in \.gz"),
        (b"\xff\xd8\xff\xe0", "a JPEG image, not text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Word, Excel"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"PAR1" + bytes(9), r"a parquet table, not text\. Give it the ending \.parquet"),
        (b"\0\0\0\x18ftypmp42" + bytes(20), "an MP4 or HEIC file"),
        (b"GIF89a" + bytes(9), "a GIF image"),
        (b"%PDF-1.4", r"a pdf, not text\. Give it the ending \.pdf"),
        (b"{\\rtf1 ", r"an rtf document, not text\. Give it the ending \.rtf"),
        (b"7z\xbc\xaf\x27\x1c", r"a 7z archive, not text\. Unpack it"),
    ],
)
def test_a_binary_file_is_named_by_its_format(head: bytes, says: str) -> None:
    with pytest.raises(NotText, match=rf"x\.txt: this is {says}"):
        detected(head)


@pytest.mark.parametrize("text", ["PAR1 and more", "GIF8 is a name", "BM, MZ and RIFF", "ID3 tags"])
def test_letters_that_begin_a_binary_format_may_begin_a_text(text: str) -> None:
    assert detected(text.encode() * 20) == ("utf-8", text * 20)


def test_invalid_bytes_can_be_replaced() -> None:
    data = (CHINESE * 50).encode()[:-2]
    decoded = detect_and_decode(io.BytesIO(data), "x.txt", lenient=True)
    assert decoded.encoding == "utf-8" and "".join(decoded.pieces) == (CHINESE * 50)[:-2] + "\ufffd"
    assert not decoded.notes and decoded.n_invalid == 1


def chosen(data: bytes, encoding: str) -> str:
    stream = io.BytesIO(data)
    return check_encoding(stream, "x.txt", encoding, scan(stream))


@pytest.mark.parametrize("name", ["klingon", "hex", "zlib"])
def test_an_encoding_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"unknown encoding '{name}'.*utf-8"):
        chosen(b"text", name)


def test_an_encoding_named_for_a_whole_folder_does_not_make_text_of_its_pictures() -> None:
    with pytest.raises(NotText, match="a PNG image"):
        chosen(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin-1")
    with pytest.raises(NotText, match="a binary file"):
        chosen(bytes(range(256)), "latin-1")
    assert chosen("ab".encode("utf-16-le"), "UTF-16LE") == "UTF-16LE"
