"""Files that are loaded: other people's byte-level BPE, what cannot be one, and what is damaged."""

import json
from functools import cache
from pathlib import Path

import pytest
from tokenizers import Tokenizer as HuggingFace

from glassgpt.errors import UserError
from glassgpt.tokenizers import BpeTokenizer, ByteTokenizer, Tokenizer, load_tokenizer, train_tokenizer

TRAINING = "To be, or not to be: that is the question.\n\n  中文 é 😀😀 <0x41> 1234"
UGLY = [" ", "<|endoftext|>", "\x00\x85\x1c\u3000", "中文 ünseen 😀", "  a\n\n\n b ", "12345 don't" * 99]


@cache
def trained() -> BpeTokenizer:
    return BpeTokenizer.train([TRAINING] * 3, vocab_size=300)


def foreign(**changes) -> dict:
    """As GPT-2's file is: the special token in the vocabulary too, and settings that are not ours."""
    spec = trained().spec()
    spec["model"]["vocab"]["<|endoftext|>"] = 300
    spec["model"] |= {"continuing_subword_prefix": "", "end_of_word_suffix": ""}
    spec["added_tokens"] = [
        {"id": 300, "content": "<|endoftext|>", "single_word": False, "lstrip": False, "rstrip": False}
        | {"normalized": True, "special": True}
    ]
    spec["truncation"] = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
    spec["post_processor"] = {
        "type": "ByteLevel",
        "add_prefix_space": True,
        "trim_offsets": False,
        "use_regex": True,
    }
    for path, value in changes.items():
        *above, last = path.split("__")
        place = spec
        for key in above:
            place = place[key]
        place[last] = value
    return spec


def load(spec: object, folder: Path) -> Tokenizer:
    (folder / "tokenizer.json").write_text(json.dumps(spec), "utf-8")
    return load_tokenizer(folder / "tokenizer.json")


def test_a_file_like_that_of_gpt2_loads(tmp_path: Path) -> None:
    tokenizer = load(foreign(), tmp_path)
    assert isinstance(tokenizer, BpeTokenizer)
    assert (tokenizer.n_vocab, tokenizer.specials) == (301, {"<|endoftext|>": 300})
    text = "to be <|endoftext|> or not to be " * 9  # longer than its truncation
    assert tokenizer.encode(text) == trained().encode(text)
    assert tokenizer.decode([300, *tokenizer.encode(text), 300]) == text
    tokenizer.save(tmp_path / "again.json")
    assert HuggingFace.from_file(str(tmp_path / "again.json")).encode("<|endoftext|>").ids == [300]
    assert load_tokenizer(tmp_path / "again.json").encode(text) == tokenizer.encode(text)


def test_splitters_before_byte_level_and_merges_as_pairs_load(tmp_path: Path) -> None:
    spec = foreign()
    spec["model"]["merges"] = [merge.split(" ") for merge in spec["model"]["merges"]]
    split = {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}"}, "behavior": "Isolated", "invert": False}
    spec["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, spec["pre_tokenizer"]]}
    tokenizer = load(spec, tmp_path)
    for text in UGLY:
        assert tokenizer.decode(tokenizer.encode(text)) == text


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
REMOVES = {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": False}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"normalizer": {"type": "NFKC"}}, "normalizer .NFKC. rewrites"),
        ({"model__type": "WordPiece"}, "WordPiece, not BPE"),
        ({"model__dropout": 0.1}, "dropout"),
        ({"model__end_of_word_suffix": "</w>"}, "suffix"),
        ({"pre_tokenizer": None}, "not byte-level"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "not byte-level"),
        ({"pre_tokenizer": BYTE_LEVEL | {"add_prefix_space": True}}, "adds a space"),
        (
            {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [REMOVES, BYTE_LEVEL]}},
            "may change the text",
        ),
        ({"model__vocab": {"a": 0, "b": 1}, "model__merges": []}, "lacks some of the 256 bytes"),
        ({"model__vocab__a": 5000}, "do not run from 0"),
        ({"model__vocab__a": -1}, "do not run from 0"),
        ({"model__vocab__<|endoftext|>": 7}, "do not run from 0"),
        ({"model__ignore_merges": True}, "special tokens"),
        ({"model__merges": ["a", 5]}, "damaged"),
        ({"model__merges": [["a", "nothing"]]}, "damaged"),
        ({"model__vocab": []}, "damaged"),
        ({"model": None}, "damaged"),
        ({"added_tokens": None}, "damaged"),
        ({"added_tokens": [{"id": "x"}]}, "damaged"),
    ],
)
def test_files_that_could_not_keep_text_exact_are_refused(changes: dict, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=reason) as caught:
        load(foreign(**changes), tmp_path)
    assert str(tmp_path / "tokenizer.json") in str(caught.value)


def test_specials_that_text_can_reach_are_refused(tmp_path: Path) -> None:
    reachable = next(iter(trained().spec()["model"]["merges"])).replace(" ", "")
    spec = foreign()
    id = spec["model"]["vocab"][reachable]
    spec["added_tokens"].append(spec["added_tokens"][0] | {"id": id, "content": reachable})
    with pytest.raises(UserError, match="ordinary text can encode"):
        load(spec, tmp_path)
    spec["added_tokens"][-1] = spec["added_tokens"][0] | {"id": 301, "content": "  ", "special": False}
    with pytest.raises(UserError, match="ordinary text holds"):
        load(spec, tmp_path)


QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def test_a_tokenizer_as_qwens(tmp_path: Path) -> None:
    """NFC, a regex that keeps punctuation and newlines together, and an added token that people see."""
    spec = foreign(normalizer={"type": "NFC"}, truncation=None)
    split = {"type": "Split", "pattern": {"Regex": QWEN_SPLIT}, "behavior": "Isolated", "invert": False}
    last = BYTE_LEVEL | {"use_regex": False}
    spec["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, last]}
    spec["added_tokens"].append(spec["added_tokens"][0] | {"id": 301, "content": "<think>", "special": False})
    tokenizer = load(spec, tmp_path)
    assert tokenizer.decode([301, 300]) == "<think>" and "<think>" not in tokenizer.specials
    assert tokenizer.decode(tokenizer.encode("e\u0301")) == "\u00e9"
    text = "".join(f"to be, e\u0301 {i}!\n\n  or not...\n" for i in range(2_000))  # several pieces
    theirs = HuggingFace.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.encode(text) == theirs.encode(text).ids
    again = tokenizer.with_specials(["<end>"])
    again.save(tmp_path / "again.json")
    assert load_tokenizer(tmp_path / "again.json").specials == {"<|endoftext|>": 300, "<end>": 302}
    assert load_tokenizer(tmp_path / "again.json").decode([301]) == "<think>"


@pytest.mark.parametrize("spec", [None, [], {}, 5, "text", {"model": {}}, {"model": {"vocab": {}}}])
def test_json_that_is_no_tokenizer(spec: object, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"not an object|cannot use .*: it is damaged or not a tokenizer .*\. Give the tok"
    ):
        load(spec, tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe{}", b"{", b"[" * 100_000, b"\x00" * 99, b"GGUF\x03\x00"])
def test_files_that_are_no_json(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "with a space.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"not JSON|nested"):
        load_tokenizer(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        load_tokenizer(tmp_path / "missing.json")
    with pytest.raises(UserError, match="is a folder"):
        load_tokenizer(tmp_path)
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(100_000_000)  # sparse: takes no disk
    with pytest.raises(UserError, match="100,000,000 bytes, the limit is 33,554,432"):
        load_tokenizer(tmp_path / "huge.json")
    with pytest.raises(UserError, match="cannot write"):
        ByteTokenizer().save(tmp_path / "no" / "folder.json")


@pytest.mark.parametrize("kind", ["char", "byte", "bpe"])
def test_a_damaged_file_of_ours_is_refused_or_exact(kind: str, tmp_path: Path) -> None:
    """Cut anywhere it is refused; with two ids swapped, refused or an exact tokenizer of its own."""
    train_tokenizer(kind, [TRAINING], vocab_size=300, specials=["<eos>"]).save(tmp_path / "whole.json")
    whole = (tmp_path / "whole.json").read_bytes()
    for share in (0.1, 0.5, 0.9, 0.999):
        (tmp_path / "cut.json").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(UserError, match="not JSON"):
            load_tokenizer(tmp_path / "cut.json")
    spec = json.loads(whole)
    vocab, (a, b) = spec["model"]["vocab"], list(spec["model"]["vocab"])[:2]
    vocab[a], vocab[b] = vocab[b], vocab[a]
    if kind == "char":
        with pytest.raises(UserError, match="not byte-level"):
            load(spec, tmp_path)
    else:  # still a byte-level BPE of other ids, as foreign files are: every text must come back
        tokenizer = load(spec, tmp_path)
        assert isinstance(tokenizer, BpeTokenizer)
        assert tokenizer.decode(tokenizer.encode(TRAINING)) == TRAINING
