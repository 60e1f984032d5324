"""Folders of images with captions: what comes out, and what is said of what cannot be used."""

import json
import struct
import sys
import zlib
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image

from glassgpt.config import DataConfig
from glassgpt.data.examples import images
from glassgpt.data.examples.examples import ExampleCorpus
from glassgpt.data.examples.images import read_captioned
from glassgpt.data.files.pixels import read_image, read_pixels
from glassgpt.errors import UserError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def read(folder: Path, **given: object) -> ExampleCorpus:
    image_size = cast(int, given.pop("image_size", 8))
    data = DataConfig.model_validate({"sources": (str(folder),), "val_fraction": 0.2, **given})
    return read_captioned(data, image_size)


def gallery(folder: Path, n: int = 24, mode: str = "RGB") -> list[str]:
    """Images that differ, and the rows of a csv about them."""
    for i in range(n):
        color = (10 * i, 255 - 10 * i, i) if mode == "RGB" else 10 * i
        Image.new(mode, (8, 8), color).save(folder / f"{i}.png")
    return [f"{i}.png,what is it?,number {i}" for i in range(n)]


def write(folder: Path, rows: list[str], header: str = "image,question,answer") -> None:
    (folder / "captions.csv").write_text("\n".join([header, *rows]) + "\n", "utf-8")


def png_header(width: int, height: int) -> bytes:
    """A png that says how large it is, and then ends."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = b"IEND"
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + body
        + struct.pack(">I", zlib.crc32(body))
        + struct.pack(">I", 0)
        + end
        + struct.pack(">I", zlib.crc32(end))
    )


def test_rows_become_examples_with_their_image_and_line(tmp_path: Path) -> None:
    write(tmp_path, gallery(tmp_path))
    corpus = read(tmp_path)
    assert corpus.images is not None
    assert corpus.images.shape == (24, 3, 8, 8) and corpus.images.dtype == np.uint8
    assert (len(corpus.train), len(corpus.val)) == (19, 5)
    for example in (*corpus.train, *corpus.val):
        i = int(example.target.removeprefix("number "))
        assert example.question == "what is it?" and example.where == f"{tmp_path / 'captions.csv'}:{i + 2}"
        assert corpus.images[example.image][:, 3, 3].tolist() == [10 * i, 255 - 10 * i, i]
    assert corpus.notes == ("columns used: image, question, answer",)


@pytest.mark.parametrize("ending", ["tsv", "jsonl"])
def test_other_tables_and_names_of_columns(tmp_path: Path, ending: str) -> None:
    gallery(tmp_path)
    if ending == "tsv":
        lines = ["file_name\tcaption", *(f"{i}.png\ta, b {i}" for i in range(24))]
    else:
        lines = [json.dumps({"file_name": f"{i}.png", "caption": f"a, b {i}"}) for i in range(24)]
    (tmp_path / f"captions.{ending}").write_text("\n".join(lines), "utf-8")
    corpus = read(tmp_path)
    assert {e.target for e in (*corpus.train, *corpus.val)} == {f"a, b {i}" for i in range(24)}
    assert {e.question for e in corpus.train} == {""}
    assert corpus.notes == ("columns used: file_name, caption",)


def test_columns_that_are_named_win_and_an_unnamed_one_is_no_question(tmp_path: Path) -> None:
    gallery(tmp_path)
    rows = [f"{i},nothing.png,{i}.png,wrong,frage {i},antwort {i}" for i in range(24)]
    write(tmp_path, rows, ",image,bild,answer,frage,antwort")
    corpus = read(tmp_path, image_column="bild", column="frage", target_column="antwort")
    assert corpus.notes == ("columns used: bild, frage, antwort",)
    assert corpus.train[0].question.split()[1] == corpus.train[0].target.split()[1]
    assert read(tmp_path, image_column="bild").train[0].question == ""
    with pytest.raises(UserError, match=r"csv:2: no column Foto\. Set `image_column` to one of: , image, bi"):
        read(tmp_path, image_column="Foto")


def test_rows_about_one_image_and_copies_of_it_share_a_split_and_are_decoded_once(tmp_path: Path) -> None:
    gallery(tmp_path)
    for i in range(24):
        (tmp_path / f"copy{i}.png").write_bytes((tmp_path / f"{i}.png").read_bytes())
    rows = [f"{name}{i}.png,q{k},{i}" for k in range(3) for i in range(24) for name in ("", "copy")]
    write(tmp_path, rows)
    corpus = read(tmp_path)
    assert corpus.images is not None and len(corpus.images) == 48
    assert not {e.target for e in corpus.train} & {e.target for e in corpus.val}
    assert len(corpus.val) == 5 * 6


def test_gray_only_where_every_image_is_gray(tmp_path: Path) -> None:
    write(tmp_path, gallery(tmp_path, mode="L"))
    Image.new("RGB", (8, 8), (70, 70, 70)).save(tmp_path / "7.png")
    corpus = read(tmp_path)
    assert corpus.images is not None and corpus.images.shape == (24, 1, 8, 8)
    Image.new("RGB", (8, 8), (70, 70, 71)).save(tmp_path / "7.png")
    corpus = read(tmp_path)
    assert corpus.images is not None and corpus.images.shape == (24, 3, 8, 8)
    by_target = {e.target: corpus.images[e.image] for e in (*corpus.train, *corpus.val)}
    assert by_target["number 9"][:, 0, 0].tolist() == [90, 90, 90]
    assert by_target["number 7"][:, 0, 0].tolist() == [70, 70, 71]


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif", "bmp"])
def test_formats_are_padded_to_a_square_with_their_aspect_kept(tmp_path: Path, ending: str) -> None:
    image = Image.new("RGB", (64, 32), RED)
    image.paste(BLUE, (32, 0, 64, 32))
    image.save(tmp_path / f"a.{ending}")
    pixels = read_image(tmp_path / f"a.{ending}", 16, 3).astype(int)
    assert pixels.shape == (3, 16, 16)
    assert pixels[:, :3].max() <= 8 and pixels[:, 13:].max() <= 8  # black above and below
    assert np.abs(pixels[:, 8, 2] - RED).max() < 12 and np.abs(pixels[:, 8, 13] - BLUE).max() < 12


def test_a_photograph_stands_as_its_exif_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (400, 400), RED)
    image.paste(BLUE, (0, 0, 400, 200))  # blue above
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: what is above comes to the right
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    pixels = read_image(tmp_path / "a.jpg", 16, 3).astype(int)
    assert np.abs(pixels[:, 8, 2] - RED).max() < 12 and np.abs(pixels[:, 8, 13] - BLUE).max() < 12


def test_transparent_is_white_deep_gray_is_scaled_and_an_animation_is_its_first_frame(tmp_path: Path) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 8))
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", 8, 1)[0, 4, [1, 6]].tolist() == [0, 255]
    Image.fromarray(np.full((8, 8), 0x8040, np.uint16)).save(tmp_path / "deep.png")
    assert set(read_image(tmp_path / "deep.png", 8, 1).ravel().tolist()) == {0x80}
    frames = [Image.new("RGB", (8, 8), color) for color in (GREEN, RED)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.gif", 8, 3)[:, 4, 4].tolist() == list(GREEN)


def test_an_image_takes_the_channels_that_a_model_has(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), GREEN).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", 4, 1)[:, 0, 0].tolist() == [150]
    Image.new("L", (8, 8), 90).save(tmp_path / "b.png")
    assert read_image(tmp_path / "b.png", 4, 3)[:, 0, 0].tolist() == [90, 90, 90]


def bad_folder(folder: Path) -> list[tuple[str, str]]:
    """Bad rows and what should be said of each."""
    Image.effect_noise((64, 64), 50).save(folder / "whole.jpg")
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:1200])
    (folder / "page.png").write_text("<html>404</html>")
    (folder / "wide.png").write_bytes(png_header(8001, 8000))
    (folder / "bomb.png").write_bytes(png_header(100_000, 100_000))
    (folder / "tall.png").write_bytes(png_header(9000, 9999))
    (folder / "long.png").write_bytes(png_header(1, 65_536))
    (folder / "vector.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (folder.parent / "outside.png").write_bytes((folder / "0.png").read_bytes())
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "sub").mkdir()
    return [
        ("gone.png,q,a", "no image 'gone.png' in"),
        (",q,a", "no image '' in"),
        ("sub,q,a", "no image 'sub' in"),
        ("loop.png,q,a", "no image 'loop.png' in"),
        (f"{'x' * 5000},q,a", "no image 'xxx"),
        ("../outside.png,q,a", r"'../outside.png' is outside of"),
        ("sub/../0.png,q,a", "is outside of"),
        ("link.png,q,a", "'link.png' is outside of"),
        (f"{folder / '0.png'},q,a", "is outside of"),
        ("cut.jpg,q,a", r"cut\.jpg: this is not a readable image \(.*truncated"),
        ("page.png,q,a", r"page\.png: this is not a readable image \(its format is unknown\)"),
        ("vector.png,q,a", "its format is unknown"),
        ("wide.png,q,a", r"wide\.png: the image has more than 64,000,000 pixels"),
        ("long.png,q,a", "the image has more than .* 65,535 on a side"),
        ("tall.png,q,a", "the image has more than 64,000,000 pixels"),
        ("bomb.png,q,a", "the image has more than 64,000,000 pixels"),
        ("0.png,q, ", "the column 'answer' is empty"),
        ("0.png,q", "2 fields, but the header has 3"),
        ("0.png,q,a,b", "4 fields, but the header has 3"),
    ]


def test_every_bad_row_is_named_by_its_line(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    rows = gallery(folder)
    for row, says in bad_folder(folder):
        write(folder, [*rows[:20], row, *rows[20:]])
        with pytest.raises(UserError, match=rf"captions\.csv:22: .*{says}"):
            read(folder)


def test_bad_rows_are_skipped_counted_and_three_of_them_shown(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    good, bad = gallery(folder), bad_folder(folder)
    write(
        folder,
        [row for pair in zip([r for r, _ in bad], good, strict=False) for row in pair] + good[len(bad) :],
    )
    corpus = read(folder, skip_invalid=True)
    assert len(corpus.train) + len(corpus.val) == 24
    assert corpus.images is not None and len(corpus.images) == 24
    note = corpus.notes[-1]
    assert note.startswith(f"{len(bad)} rows skipped: {folder / 'captions.csv'}:2: no image 'gone.png'")
    assert "csv:6: no image 'sub'" in note and "csv:8" not in note


def test_an_image_is_decoded_once_and_a_bad_one_counted_for_each_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def spy(path: Path, image_size: int) -> np.ndarray:
        asked.append(path.name)
        return read_pixels(path, image_size)

    monkeypatch.setattr(images, "read_pixels", spy)
    (tmp_path / "bad.png").write_bytes(b"?")
    write(tmp_path, [*gallery(tmp_path), "bad.png,q,a", "bad.png,q,b", "0.png,q,c"])
    assert "2 rows skipped" in read(tmp_path, skip_invalid=True).notes[-1]
    assert sorted(asked) == sorted([*(f"{i}.png" for i in range(24)), "bad.png"])


def test_a_folder_needs_exactly_one_table_and_enough_rows(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has none of captions\.csv.*\n  image,question,answer"):
        read(tmp_path)
    rows = gallery(tmp_path)
    write(tmp_path, [*rows[:19], "gone.png,q,a"])
    with pytest.raises(UserError, match=r"19 usable rows .* minimum is 20\..*\n.*\n?.*no image 'gone"):
        read(tmp_path, skip_invalid=True)
    (tmp_path / "captions.tsv").write_text("x")
    with pytest.raises(UserError, match=r"captions\.csv and captions\.tsv\. Keep one"):
        read(tmp_path)


def test_read_image_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.png: no such file"):
        read_image(tmp_path / "gone.png", 8, 1)
    with pytest.raises(UserError, match="this is a folder"):
        read_image(tmp_path, 8, 1)
    Image.new("L", (20_000, 1), 255).save(tmp_path / "line.png")
    assert read_image(tmp_path / "line.png", 8, 1).shape == (1, 8, 8)


def test_without_pillow_the_remedy_is_said_and_no_row_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, gallery(tmp_path))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UserError, match=r"^pillow is not installed: pip install 'glassgpt\[data\]'"):
        read(tmp_path, skip_invalid=True)
