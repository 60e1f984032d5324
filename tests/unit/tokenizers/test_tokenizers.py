"""Of every tokenizer: any text comes back exactly, its file too, and `tokenizers` agrees with the file."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassgpt.errors import UserError
from glassgpt.tokenizers import ByteTokenizer, CharTokenizer, Tokenizer, load_tokenizer, train_tokenizer

KINDS = ["char", "byte", "bpe"]
SPECIALS = ("<pad>", "<bos>", "<eos>")
TRAINING = (
    "To be, or not to be: that is the question.\n\n  'Tis nobler — ÿ§ 中文文字 <0x41> 1234 don't 😀😀 "
    "\t\r\n to be or not to be <bos>"
)
UGLY = [
    "",
    " ",
    "\n\n\n",
    "  leading and trailing  ",
    "<0x41><0xFF><0x00>",
    "<bos>not<eos>a<pad>special<|endoftext|>",
    "\x00\x01\x7f\x80\x85\x1c\x1f",
    "中文：你好，世界！𠀀𪛖",
    "👩‍👩‍👧‍👦🏳️‍🌈e\u0301\u200d\ufeff\ufffd\u2028\u2029\uffff\U0010ffff",
    "שלום مرحبا \u202eabc\u202c",
    "Ġ Ċ ▁ ## </w>",
    "a" * 5000,
    " " * 5000,
    "a \n" * 3000,
    "\r\n\r mixed \n\r",
]
# Texts that mix what training saw, what it did not, and what the formats use as markers.
MARKERS = st.sampled_from([*SPECIALS, "<0x41>", "<0xC3>", "Ġ", "to be", "  ", "\n", "\r\n", "😀", "<", ">"])
TEXTS = st.one_of(st.text(), st.text("tobe \n<>0xAé😀"), st.lists(st.text(max_size=3) | MARKERS).map("".join))


@cache
def trained(kind: str, specials: tuple[str, ...] = ()) -> Tokenizer:
    return train_tokenizer(kind, [TRAINING] * 3, vocab_size=300, specials=specials)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], Path]:
    """The file of each kind, without and with special tokens."""
    folder, paths = tmp_path_factory.mktemp("tokenizers of ours"), {}
    for kind in KINDS:
        for special in (False, True):
            paths[kind, special] = folder / f"{kind}-{special}.json"
            trained(kind, SPECIALS if special else ()).save(paths[kind, special])
    return paths


def theirs(path: Path):
    from tokenizers import Tokenizer as HuggingFace

    return HuggingFace.from_file(str(path))


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_any_text_comes_back_exactly(kind: str, special: bool, text: str) -> None:
    tokenizer = trained(kind, SPECIALS if special else ())
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.token_bytes(ids) == text.encode()
    assert tokenizer.encode_array(text).tolist() == ids
    assert all(type(id) is int and 0 <= id < tokenizer.n_vocab for id in ids)
    assert not set(ids) & set(tokenizer.specials.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", UGLY, ids=[ascii(text)[:20] for text in UGLY])
def test_ugly_text_comes_back_exactly_after_save_and_load(kind: str, text: str, saved: dict) -> None:
    for special in (False, True):
        before = trained(kind, SPECIALS if special else ())
        after = load_tokenizer(saved[kind, special])
        assert type(after) is type(before)
        assert after.encode(text) == before.encode(text)
        assert after.decode(after.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_hugging_face_reads_the_file_and_agrees(kind: str, text: str, saved: dict) -> None:
    ours, other = load_tokenizer(saved[kind, False]), theirs(saved[kind, False])
    ids = ours.encode(text)
    assert other.encode(text).ids == ids
    assert other.decode(ids) == text
    assert other.get_vocab_size() == ours.n_vocab


@pytest.mark.parametrize("kind", KINDS)
def test_hugging_face_agrees_on_ugly_text_and_specials(kind: str, saved: dict) -> None:
    other, ours = theirs(saved[kind, True]), trained(kind, SPECIALS)
    other.encode_special_tokens = True  # without this, it finds special tokens in the user's text
    for text in UGLY:
        assert other.encode(text).ids == ours.encode(text)
    assert {name: other.token_to_id(name) for name in SPECIALS} == ours.specials
    marked = [ours.specials["<bos>"], *ours.encode("to be"), ours.specials["<eos>"]]
    assert other.decode(marked) == ours.decode(marked) == "to be"


@pytest.mark.parametrize("kind", KINDS)
def test_specials_stand_after_all_others_and_decode_to_nothing(kind: str) -> None:
    plain, special = trained(kind), trained(kind, SPECIALS)
    if kind == "bpe":  # there the specials are part of vocab_size
        assert (plain.n_vocab, special.n_vocab) == (300, 300)
    else:
        assert special.n_vocab == plain.n_vocab + 3
    assert list(special.specials.items()) == [
        (name, special.n_vocab - 3 + i) for i, name in enumerate(SPECIALS)
    ]
    assert special.token_bytes(range(special.n_vocab - 3, special.n_vocab)) == b""
    assert plain.specials == {}
    assert special.describe() == f"{special.describe().split(' + <')[0]} + <pad> <bos> <eos>"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [[""], ["<a>", "<a>"], ["a"], ["<0x00>", "Ġ"], ["\ud800"]])
def test_a_special_name_that_is_taken_is_refused(kind: str, names: list[str]) -> None:
    if kind == "byte" and names == ["a"]:
        names = ["b"]
    if kind != "char" and names == ["<0x00>", "Ġ"]:
        names = ["Ġ"]
    with pytest.raises(UserError, match=r"special token|surrogate"):
        train_tokenizer(kind, ["a test of a test"], specials=names)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["\ud800", "chat \ud83d broken", "\udcff", "x" * 100_000 + "\udfff"])
def test_lone_surrogates_are_refused_by_name(kind: str, text: str) -> None:
    for refused in (trained(kind).encode, trained(kind).encode_array, lambda t: train_tokenizer(kind, [t])):
        if kind == "byte" and refused not in (trained(kind).encode, trained(kind).encode_array):
            continue  # a byte tokenizer looks at no text
        with pytest.raises(UserError, match=r"U\+D[8-F]..* surrogate"):
            refused(text)
    repaired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert trained(kind).decode(trained(kind).encode(repaired)) == repaired


@pytest.mark.parametrize("specials", [(), SPECIALS])
@pytest.mark.parametrize("n_chars", [1, 65, 255, 256, 257])
def test_characters_without_bytes_for_others(n_chars: int, specials: tuple[str, ...], tmp_path: Path) -> None:
    chars = "".join(map(chr, range(0x100, 0x100 + n_chars)))
    before = CharTokenizer(chars, specials, fallback=False)
    before.save(tmp_path / "tokenizer.json")
    after = load_tokenizer(tmp_path / "tokenizer.json")
    assert isinstance(after, CharTokenizer) and not after.fallback
    assert after.n_vocab == n_chars + len(specials) and after.specials == before.specials
    assert before.encode(chars) == after.encode(chars) == list(range(n_chars))
    assert after.encode_array(chars).dtype == after.dtype
    assert after.decode(after.encode(chars)) == chars
    other = theirs(tmp_path / "tokenizer.json")
    assert other.encode(chars).ids == after.encode(chars) and other.decode(after.encode(chars)) == chars
    for strange in ("é", "狐", chr(0x100 + n_chars)):
        with pytest.raises(UserError, match=rf"U\+{ord(strange):04X}.* not among the {n_chars} .*Leave"):
            after.encode(chars + strange)


def test_characters_of_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="no characters"):
        CharTokenizer("", fallback=False)
    assert CharTokenizer("").n_vocab == 256


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_deterministic_readable_and_stable(kind: str, tmp_path: Path) -> None:
    first, second, third = tmp_path / "1.json", tmp_path / "2.json", tmp_path / "3.json"
    for path in (first, second):
        train_tokenizer(kind, [TRAINING] * 3, vocab_size=300, specials=SPECIALS).save(path)
    load_tokenizer(first).save(third)
    assert first.read_bytes() == second.read_bytes() == third.read_bytes()
    assert max(map(len, first.read_text("utf-8").splitlines())) < 100
    assert b"\r" not in first.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_hugging_face_saved_again_is_still_ours(kind: str, saved: dict, tmp_path: Path) -> None:
    theirs(saved[kind, True]).save(str(tmp_path / "again.json"))
    again = load_tokenizer(tmp_path / "again.json")
    assert again.describe() == trained(kind, SPECIALS).describe()
    assert again.encode(TRAINING) == trained(kind, SPECIALS).encode(TRAINING)


@pytest.mark.parametrize("kind", KINDS)
def test_ids_outside_the_vocabulary_are_refused(kind: str) -> None:
    tokenizer = trained(kind)
    for ids in ([-1], [tokenizer.n_vocab], [0, 10**9], np.array([tokenizer.n_vocab])):
        with pytest.raises(UserError, match=r"token id .*: the last id of this vocabulary"):
            tokenizer.decode(ids)


@pytest.mark.parametrize("kind", KINDS)
def test_ids_come_in_any_container(kind: str) -> None:
    tokenizer = trained(kind)
    array = tokenizer.encode_array("to be, ü")
    for ids in (array, array.tolist(), tuple(array), iter(array.tolist()), (int(id) for id in array)):
        assert tokenizer.decode(ids) == "to be, ü"
    assert tokenizer.decode([]) == "" and tokenizer.token_bytes(iter(())) == b""


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_character_is_a_replacement_mark_but_its_bytes_are_kept(kind: str) -> None:
    tokenizer = trained(kind)
    ids = tokenizer.encode("é𝄞")  # not seen in training: bytes for every kind
    assert tokenizer.decode(ids[:-1]) == "é\ufffd"
    assert b"".join(tokenizer.token_bytes([id]) for id in ids).decode() == "é𝄞"


def test_char_layout() -> None:
    tokenizer = CharTokenizer.train(["ba", "", "cab\n"])
    assert tokenizer.chars == "\nabc"
    assert tokenizer.encode("\nabc") == [0, 1, 2, 3]
    assert tokenizer.encode("é") == [4 + 0xC3, 4 + 0xA9]
    assert tokenizer.n_vocab == 260
    assert CharTokenizer("cab\nab").spec() == tokenizer.spec()
    assert tokenizer.describe() == "char: 4 characters + 256 bytes for all others"


def test_the_array_type_is_the_smallest_that_holds_the_ids() -> None:
    assert ByteTokenizer().encode_array("a").dtype == np.uint8
    assert ByteTokenizer(["<eos>"]).encode_array("a").dtype == np.uint16
    assert CharTokenizer("").encode_array("é").dtype == np.uint8
    assert CharTokenizer(map(chr, range(0xD800))).encode_array("a").dtype == np.uint16
    many = CharTokenizer(map(chr, [*range(0xD800), *range(0x10000, 0x15000)]))
    assert many.encode_array("a\U0001ffff").dtype == np.uint32
    assert many.decode(many.encode("a\U0001ffff\U00014fff")) == "a\U0001ffff\U00014fff"


def test_nothing_to_learn_from_still_encodes_everything() -> None:
    for kind in KINDS:
        tokenizer = train_tokenizer(kind, [])
        assert tokenizer.n_vocab == 256
        assert tokenizer.decode(tokenizer.encode(TRAINING)) == TRAINING


def test_one_string_is_one_piece_and_an_iterator_is_read_once() -> None:
    for kind in KINDS:
        whole = train_tokenizer(kind, TRAINING * 3, vocab_size=280)
        assert whole.n_vocab == train_tokenizer(kind, iter([TRAINING * 3]), vocab_size=280).n_vocab
        assert whole.encode(TRAINING) == train_tokenizer(kind, [TRAINING * 3], vocab_size=280).encode(
            TRAINING
        )


def test_unknown_kind() -> None:
    with pytest.raises(UserError, match=r"unknown tokenizer 'word'\. Choose char, byte or bpe"):
        train_tokenizer("word", ["text"])


def test_importing_brings_neither_torch_nor_tokenizers() -> None:
    code = "import sys, glassgpt.tokenizers as t; t.ByteTokenizer().encode('a'); "
    code += "print(sorted({'torch', 'tokenizers'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def test_long_arrays_cross_the_pieces() -> None:
    line = "to be é中😀\n"
    for tokenizer, n in ((trained("char"), 200_000), (ByteTokenizer(), 200_000), (trained("bpe"), 10_000)):
        ids = tokenizer.encode_array(line * n)
        assert ids.tolist() == tokenizer.encode(line) * n
        assert tokenizer.decode(ids) == line * n


@pytest.fixture
def shakespeare() -> str:
    folder = os.environ.get("GLASSGPT_DATA")
    if not folder or not (Path(folder) / "tinyshakespeare.txt").exists():
        pytest.skip("tinyshakespeare.txt is not in $GLASSGPT_DATA")
    return (Path(folder) / "tinyshakespeare.txt").read_text("utf-8")


@pytest.mark.parametrize(("kind", "n_vocab"), [("char", 65 + 256), ("byte", 256), ("bpe", 1024)])
def test_shakespeare(kind: str, n_vocab: int, shakespeare: str, tmp_path: Path) -> None:
    chunks = (shakespeare[i : i + 100_000] for i in range(0, len(shakespeare), 100_000))
    tokenizer = train_tokenizer(kind, chunks, vocab_size=1024)
    assert tokenizer.n_vocab == n_vocab
    ids = tokenizer.encode_array(shakespeare)
    assert tokenizer.decode(ids) == shakespeare
    tokenizer.save(tmp_path / "tokenizer.json")
    part = shakespeare[:50_000]
    assert theirs(tmp_path / "tokenizer.json").encode(part).ids == tokenizer.encode(part)
    if kind == "bpe":
        assert len(ids) < len(shakespeare) / 2.3
        assert tokenizer._inner.encode(shakespeare).ids == ids.tolist()  # the cuts changed no token
