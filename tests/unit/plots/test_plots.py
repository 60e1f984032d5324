"""Plots: what is asked is in them, legibly, in every format; same input, same bytes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.image import imread  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402
from matplotlib.text import Text  # noqa: E402

from glassgpt import plots  # noqa: E402
from glassgpt.errors import UserError  # noqa: E402
from glassgpt.lens import visible_label  # noqa: E402
from glassgpt.plots import Plot, fonts  # noqa: E402
from glassgpt.plots.alignment import heaviest  # noqa: E402
from glassgpt.plots.cells import inches  # noqa: E402
from glassgpt.plots.style import settings  # noqa: E402

WORDS = ["To", " be", ",", "$or$", "n_o^t", "\n", " ", "", "to\tbe", "a" * 40, r"\frac{1}{2}", "50%"]
SHOWN = ["To", "␣be", ",", "$or$", "n_o^t", "⏎", "␣", "∅", "to⇥be", "a" * 15 + "…"]
SHOWN += [r"\frac{1}{2}", "50%"]
POEM = list("床前明月光，疑是地上霜")


def causal(count: int, *more: int) -> Tensor:
    """(*more, count, count): random attention that looks at the past; NaN where it may not look."""
    future = torch.ones(count, count, dtype=torch.bool).triu(1)
    weights = torch.randn(*more, count, count).masked_fill(future, float("-inf")).softmax(-1)
    return weights.masked_fill(future, float("nan"))


def cross(rows: int, columns: int) -> Tensor:
    return (2 * torch.randn(rows, columns)).softmax(-1)


def texts(plot: Plot) -> list[str]:
    """What is written in a plot, as it is drawn."""
    every = [text.get_text() for text in plot.findobj(Text) if isinstance(text, Text)]
    return [text for text in every if text]


def pixels(plot: Plot, dpi: int = 100) -> np.ndarray:
    return imread(io.BytesIO(plot.rendered("png", dpi)))[..., :3]


def in_svg(plot: Plot) -> set[str]:
    """The words that an SVG has as comments, beside the outlines of their letters."""
    return {unescape(words) for words in re.findall(r"<!-- (.*?) -->", plot.rendered("svg").decode())}


MAKERS: dict[str, Callable[[], Plot]] = {
    "heat_map": lambda: plots.heat_map(causal(12), WORDS, WORDS, title="$title$"),
    "scores": lambda: plots.heat_map(torch.randn(3, 4), POEM[:3], POEM[:4]),
    "head_grid": lambda: plots.head_grid(causal(6, 2, 3), WORDS[:6], WORDS[:6], list("abcdef")),
    "attention_graph": lambda: plots.attention_graph(causal(12), WORDS, title="$title$"),
    "both_ways": lambda: plots.attention_graph(cross(5, 5), WORDS[:5], focus=2),
    "bipartite_graph": lambda: plots.bipartite_graph(cross(3, 5), WORDS[:3], WORDS[:5]),
    "over_image": lambda: plots.over_image(
        torch.randint(0, 256, (1, 24, 24)).to(torch.uint8), cross(2, 16), ["what", " shape"], title="$t$"
    ),
    "alignment": lambda: plots.alignment_map(cross(4, 14), list("14. März 2024."), list("2024")),
    "logit_lens_table": lambda: plots.logit_lens_table(
        [WORDS[:3], WORDS[3:6]], torch.rand(2, 3), WORDS[:3], ["0", "1"]
    ),
    "lines": lambda: plots.lines(
        {"$a$": ([1, 10, 100], [3, 2, 1])}, expected={"ln V": ([0], [4.17])}, log_x=True, log_y=True
    ),
    "bars": lambda: plots.bars(
        ["x", "y"], {"a": [1, 2], "b": [2, -1]}, errors={"a": [0.1, 0.2]}, expected={"b": [2, 2]}
    ),
}


def make(name: str) -> Plot:
    torch.manual_seed(0)
    return MAKERS[name]()


@pytest.mark.parametrize("name", MAKERS)
def test_same_input_gives_the_same_bytes_in_each_format(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # machines without a Chinese font
        _same_bytes(make(name), make(name))


def _same_bytes(first: Plot, again: Plot) -> None:
    for form, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        content = first.rendered(form)
        assert content.startswith(start)
        assert content == again.rendered(form) == first.rendered(form)
        assert not re.search(rb"20\d\d-\d\d-\d\dT|CreationDate", content)


DRAWN = """
import hashlib
from glassgpt.plots import attention_graph
p = attention_graph([[1, 0], [.4, .6]], ["a", "b"])
hashes = [hashlib.sha256(p.rendered(form)).hexdigest() for form in ("png", "svg", "pdf")]
"""


def test_bytes_do_not_depend_on_the_process() -> None:
    """One with other hashes of strings draws what this process does."""
    here: dict[str, list[str]] = {}
    exec(DRAWN, here)
    there = subprocess.run(
        [sys.executable, "-c", DRAWN + "print(*hashes)"],
        env=os.environ | {"PYTHONHASHSEED": "9" if os.environ.get("PYTHONHASHSEED") != "9" else "8"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert there.stdout.split() == here["hashes"]


def test_settings_of_the_user_neither_change_nor_matter() -> None:
    plain = make("heat_map").rendered("svg")
    with matplotlib.rc_context({"font.size": 30, "text.parse_math": True, "svg.fonttype": "none"}):
        before = dict(matplotlib.rcParams)
        assert make("heat_map").rendered("svg") == plain
        assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not matplotlib.pyplot.get_fignums()


def test_threads_do_not_disturb_each_other() -> None:
    def draw(at: int) -> bytes:
        weights = [[1.0, 0.0], [0.5, 0.5]]
        return plots.heat_map(weights, ["a", "$b$"], ["a", "b"], title=str(at % 2)).rendered("svg")

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(draw, range(8)))
    assert found == [draw(0), draw(1)] * 4


def test_labels_are_shown_verbatim_and_what_is_invisible_has_a_sign() -> None:
    for plot in (make("heat_map"), make("attention_graph")):
        assert {*SHOWN, "$title$"} <= set(texts(plot))
        assert {*SHOWN, "$title$"} <= in_svg(plot)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\r", "\\x0d"),
        ("\u200b", "\\u200b"),
        ("\u3000", "\\u3000"),
        ("a b", "a b"),
        ("a\u200cb", "a\u200cb"),
        ("\u0301", "◌\u0301"),
        ("月" * 9, "月" * 7 + "…"),
        ("  ", "␣␣"),
    ],
)
def test_label(text: str, shown: str) -> None:
    assert visible_label(text, 16) == shown == visible_label(shown, 16)


@pytest.mark.parametrize("count", [3, 4, 12, 24, 64])
def test_a_map_of_any_size_is_legible_and_fits_a_page(count: int) -> None:
    names = [f"{at}ab" for at in range(count)]
    plot = plots.heat_map(causal(count), names, names)
    width, height = plot.get_size_inches()
    assert 2 < width < 12 and 2 < height < 12
    axes = plot.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == names
    ticks = [*axes.get_xticklabels(), *axes.get_yticklabels()]
    assert all(float(tick.get_fontsize()) >= 6 for tick in ticks)
    plot.rendered("png", 100)
    boxes = [tick.get_window_extent() for tick in axes.get_yticklabels()]
    assert all(high.y0 >= low.y1 - 0.25 * low.height for high, low in pairwise(boxes))
    turned = {tick.get_rotation() for tick in axes.get_xticklabels()}
    assert turned == ({0.0} if count <= 12 else {45.0} if count <= 26 else {90.0})
    assert (len(plot.axes) == 1) == (count <= 12)  # numbers in the cells, or a color bar


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_64_tokens_are_saved_in_seconds(form: str, tmp_path: Path) -> None:
    names = (POEM * 6)[:64]
    weights = causal(64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # machines without a Chinese font
        start = time.process_time()
        plots.save(plots.heat_map(weights, names, names), tmp_path / f"map.{form}")
    assert time.process_time() - start < 15  # 2 on a quiet machine


def test_numbers_are_written_where_asked() -> None:
    weights = [[1.0, 0.0], [0.25, 0.75]]
    written = texts(plots.heat_map(weights, ["a", "b"], ["a", "b"]))
    assert {"1.00", "0.00", "0.25", "0.75"} <= set(written)
    without = texts(plots.heat_map(weights, ["a", "b"], ["a", "b"], cell_text=False))
    assert "0.25" not in without


def test_what_may_not_be_looked_at_differs_from_zero() -> None:
    zeros = torch.zeros(8, 8)
    upper = torch.ones(8, 8).triu(1)
    names = list("abcdefgh")

    def shown(weights: Tensor, hidden: Tensor | None) -> np.ndarray:
        plot = plots.heat_map(weights, names, names, hidden=hidden, cell_text=False)
        image = pixels(plot)
        box = plot.axes[0].get_window_extent()
        assert box.width == pytest.approx(box.height, rel=0.01)  # square cells
        return image

    plain = shown(zeros, None)
    by_mask = shown(zeros, upper)
    by_nan = shown(zeros.masked_fill(upper.bool(), float("nan")), None)
    assert (by_mask == by_nan).all()
    changed = (plain != by_mask).any(-1)
    assert 0.1 < changed.mean() < 0.5  # a good part of the cells, not all


def test_scale_is_white_at_zero_and_two_colored_for_scores() -> None:
    def mesh(weights: list[list[float]]) -> tuple[np.ndarray, tuple[float, float]]:
        drawn = plots.heat_map(weights, ["a"], ["b", "c", "d"]).axes[0].collections[0]
        drawn.update_scalarmappable()
        return np.asarray(drawn.get_facecolor())[:, :3], drawn.get_clim()

    colors, limits = mesh([[0.0, 0.1, 0.4]])
    assert limits == (0, 0.4) and (colors[0] == 1).all()
    assert colors.sum(1)[0] > colors.sum(1)[1] > colors.sum(1)[2]
    colors, limits = mesh([[-3.0, 0.0, 1.0]])
    assert limits == (-3, 3)
    assert colors[0, 0] > colors[0, 2] and colors[2, 2] > colors[2, 0]  # orange, and blue


def test_grid_has_one_scale_and_a_row_for_each_layer() -> None:
    weights = causal(6, 2, 3)
    plot = plots.head_grid(weights, WORDS[:6], WORDS[:6], list("012345"), title="all")
    panels, bar = plot.axes[:6], plot.axes[6:]
    assert len(bar) == 1 and [panel.get_title() for panel in panels] == [f"{at}" for at in range(6)]
    assert {panel.collections[0].get_clim() for panel in panels} == {(0.0, 1.0)}
    drawn = panels[4].collections[0].get_array()
    assert isinstance(drawn, np.ma.MaskedArray)
    assert np.allclose(drawn.filled(np.nan), weights[1, 1].numpy(), equal_nan=True)
    rows = {round(panel.get_position().y0, 3) for panel in panels}
    assert len(rows) == 2
    labeled = [bool(panel.get_yticklabels()) for panel in panels]
    assert labeled == [True, False, False, True, False, False]


def test_a_large_grid_leaves_out_labels_that_nobody_could_read() -> None:
    names = [str(at) for at in range(24)]
    plot = plots.head_grid(causal(24, 6, 6), names, names)
    assert all(not panel.get_yticklabels() for panel in plot.axes[:36])
    plot = plots.head_grid(causal(12, 6, 6), names[:12], names[:12])
    assert float(plot.axes[0].get_yticklabels()[0].get_fontsize()) >= 5


def arrows(plot: Plot) -> list[tuple[float, float, float]]:
    """(x of the start, x of the end, line width)."""
    found = [patch for patch in plot.axes[0].patches if hasattr(patch, "get_arrowstyle")]
    ends = [(patch._path_original.vertices, patch.get_linewidth()) for patch in found]  # pyright: ignore
    return [(float(path[0, 0]), float(path[-1, 0]), width) for path, width in ends]


def test_arrows_run_from_the_one_looked_at_to_the_one_that_gathers() -> None:
    weights = torch.tensor([[1.0, 0, 0], [0.01, 0.99, 0], [0.7, 0.3, 0]])
    found = arrows(plots.attention_graph(weights, ["a", "b", "c"], threshold=0.05))
    assert len(found) == 4  # 0.01 and zeros have none
    between = sorted((start, end, width) for start, end, width in found if abs(start - end) > 0.3)
    assert len(between) == 2 and all(start < end for start, end, _ in between)
    assert between[0][2] > between[1][2]  # 0.7 is thicker than 0.3
    backwards = arrows(plots.attention_graph(weights.T.contiguous(), ["a", "b", "c"]))
    assert sum(start > end + 0.3 for start, end, _ in backwards) == 2


def test_bipartite_arrows_run_from_columns_to_rows() -> None:
    plot = plots.bipartite_graph([[0.0, 0.0, 1.0]], ["t"], ["a", "b", "c"])
    ((start, end, _),) = arrows(plot)
    places = {text.get_text(): text.get_position() for text in plot.axes[0].texts}
    assert start == places["c"][0] and end == places["t"][0]
    assert places["c"][1] > places["t"][1]


@pytest.mark.parametrize("count", [4, 12, 24])
def test_nodes_of_a_graph_do_not_touch(count: int) -> None:
    names = (
        "To be , or not to be , that is the question : Whether 'tis nobler in the mind to suffer".split()
    )[:count]
    names += POEM[: count - len(names)]
    plot = plots.attention_graph(causal(count), names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # machines without a Chinese font
        plot.rendered("png", 100)
    boxes = [text.get_bbox_patch().get_window_extent() for text in plot.axes[0].texts]  # pyright: ignore
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    width, height = plot.get_size_inches()
    assert width < 20 and height > width / 8


def test_focus_leaves_color_to_one_token_only() -> None:
    lit = plots.attention_graph(causal(4), list("abcd"), focus=3)
    drawn = [patch for patch in lit.axes[0].patches if hasattr(patch, "get_arrowstyle")]
    colors = {patch.get_edgecolor()[:3] for patch in drawn}
    assert len(colors) == 2


def test_image_stays_visible_and_is_orange_where_looked_at() -> None:
    image = np.zeros((3, 32, 32), dtype=np.uint8)
    image[:, :, 16:] = 200
    weights = torch.zeros(2, 16)
    weights[0, 0] = 1.0  # top left patch
    weights[1, 15] = 1.0  # bottom right patch
    plot = plots.over_image(image, weights, ["first", "second"], image_title="image")
    shown = pixels(plot)
    heights, where = shown.shape[0], (shown[..., 0] > shown[..., 2] + 0.3)
    across = shown.shape[1]
    left, right = where[:, : across // 2], where[:, across // 2 : int(across * 0.86)]
    assert np.argwhere(left)[:, 0].mean() < heights / 2 < np.argwhere(right)[:, 0].mean()
    panel = plot.axes[1].images[0].get_array()
    assert panel is not None and panel[0, 31, 0] > panel[0, 0, 0]
    assert [axes.get_title() for axes in plot.axes[:3]] == ["image", "first", "second"]


def test_alignment_frames_the_heaviest_of_each_row() -> None:
    weights = np.array([[0.1, 0.9, 0.0], [np.nan] * 3, [0.4, 0.2, 0.4]])
    plot = plots.alignment_map(weights, list("abc"), list("xyz"), target_title="t")
    patches = [patch for patch in plot.axes[0].patches if isinstance(patch, Rectangle)]
    frames = [(patch.get_y(), patch.get_x()) for patch in patches]
    assert frames == [(0, 1), (2, 0)] == [tuple(at) for at in np.argwhere(heaviest(weights)).tolist()]
    assert plot.axes[0].get_ylabel() == "t"


def test_logit_lens_writes_each_token_in_its_cell() -> None:
    tokens = [["a", "\n"], ["a very long token indeed", "$d$"]]
    plot = plots.logit_lens_table(tokens, [[0.1, 0.9], [1.0, 0.0]], ["in", "put"], ["0", "1"])
    cells = {text.get_position(): text.get_text() for text in plot.axes[0].texts}
    assert cells == {(0.5, 0.5): "a", (1.5, 0.5): "⏎", (0.5, 1.5): "a very lo…", (1.5, 1.5): "$d$"}
    plot.rendered("png", 100)
    width = plot.axes[0].get_window_extent().width / 2
    assert all(text.get_window_extent().width < width for text in plot.axes[0].texts)


def test_lines_show_what_was_expected_dashed_in_the_same_color() -> None:
    x = [1.0, 10.0, 1000.0]
    plot = plots.lines(
        {"a": (x, [3, 2, 1]), "b": (x, [float("nan"), 1, 1])},
        expected={"b": (x, [1, 1, 1]), "ln V": ([0], [4.17])},
        bands={"a": ([2.5, 1.5, 0.5], [3.5, 2.5, 1.5])},
        log_x=True,
    )
    one, two, dashed, level = plot.axes[0].lines
    assert dashed.get_color() == two.get_color() != one.get_color() and dashed.get_linestyle() == "--"
    assert np.asarray(level.get_ydata()).tolist() == [4.17, 4.17]
    legend = plot.axes[0].get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == ["a", "b", "ln V"]
    assert {"1", "10", "100", "1000"} <= in_svg(plot)  # ticks, without mathematics


def test_bars_have_errors_numbers_and_what_was_expected() -> None:
    plot = plots.bars(
        ["1", "16"],
        {"raw": [1, 15.6], "scaled": [float("nan"), 0.98]},
        errors={"raw": [0.1, 0.5]},
        expected={"raw": [1, 16]},
        expected_title="theory",
    )
    assert {"15.6", "0.98", "theory", "raw", "scaled"} <= set(texts(plot))
    assert "nan" not in texts(plot)
    levels = [np.asarray(line.get_ydata()).tolist() for line in plot.axes[0].lines]
    assert [1.0, 1.0] in levels and [16.0, 16.0] in levels
    assert all(bar.get_height() in (1, 15.6, 0.98) for bar in plot.axes[0].patches[:2])  # pyright: ignore


def test_several_drawings_in_one_picture() -> None:
    plot, axes = plots.panels(5, title="five", size=(4, 3))
    assert plot is plots.heat_map(causal(5), WORDS[:5], WORDS[:5], axes=axes[0])
    plots.attention_graph(causal(12), WORDS, axes=axes[1])
    plots.bipartite_graph(cross(3, 3), WORDS[:3], WORDS[:3], axes=axes[2])
    plots.bars(["a"], {"n": [1]}, axes=axes[3])
    plots.logit_lens_table([["a"]], [[1.0]], ["x"], ["0"], axes=axes[4])
    shown = pixels(plot)
    assert shown.shape[1] <= 1230 and shown.shape[0] <= 680
    assert "five" in in_svg(plot)
    boxes = [text.get_bbox_patch().get_window_extent() for text in axes[1].texts]  # pyright: ignore
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_tensors_of_any_kind_and_arrays_give_the_same() -> None:
    weights = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    kinds = [
        weights,
        weights.bfloat16(),
        weights.requires_grad_(),
        weights.detach().numpy(),
        weights.tolist(),
    ]
    assert len({plots.heat_map(kind, ["a", "b"], ["a", "b"]).rendered("png") for kind in kinds}) == 1


def test_a_notebook_shows_it() -> None:
    assert make("bars")._repr_png_().startswith(b"\x89PNG")


def test_saved_by_suffix_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plot = make("bars")
    path = plots.save(plot, tmp_path / "new" / "folder" / "a.PNG", dpi=50)
    assert path.read_bytes() == plot.rendered("png", 50)
    before = path.read_bytes()

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"a\.PNG: cannot be written \(No space left"):
        plots.save(plot, path)
    assert [file.name for file in path.parent.iterdir()] == ["a.PNG"] and path.read_bytes() == before


def test_no_svg_needs_what_viewers_lack() -> None:
    """Patterns come out black, and see-through fills opaque, in some viewers."""
    for name in ("heat_map", "over_image"):
        drawn = make(name).rendered("svg").decode()
        assert "<pattern" not in drawn and "fill-opacity" not in drawn


def test_more_dots_for_more_dpi() -> None:
    plot = make("bars")
    assert pixels(plot, 200).shape[1] == pytest.approx(2 * pixels(plot, 100).shape[1], abs=3)


def bad(name: str) -> Callable[[Path], object]:
    square, names = torch.ones(2, 2), ["a", "b"]
    image = torch.zeros(1, 8, 8)
    return {
        "suffix": lambda tmp: plots.save(make("bars"), tmp / "a.gif"),
        "place": lambda tmp: plots.save(
            make("bars"), (tmp / "file").write_text("") or tmp / "file" / "a.png"
        ),
        "labels": lambda tmp: plots.heat_map(square, ["a"], names),
        "one string": lambda tmp: plots.heat_map(square, "ab", names),
        "dimensions": lambda tmp: plots.heat_map(square[0], names, names),
        "empty": lambda tmp: plots.heat_map(torch.ones(0, 2), [], names),
        "ragged": lambda tmp: plots.heat_map([[1.0], [1.0, 2.0]], names, names),
        "hidden": lambda tmp: plots.heat_map(square, names, names, hidden=torch.ones(3, 3)),
        "titles": lambda tmp: plots.head_grid(torch.ones(3, 2, 2), names, names, ["x"]),
        "not square": lambda tmp: plots.attention_graph(torch.ones(2, 3), names),
        "focus": lambda tmp: plots.attention_graph(square, names, focus=2),
        "patches": lambda tmp: plots.over_image(image, torch.ones(17), ["a"]),
        "channels": lambda tmp: plots.over_image(torch.zeros(2, 8, 8), torch.ones(16), ["a"]),
        "brightness": lambda tmp: plots.over_image(image + 256, torch.ones(16), ["a"]),
        "tokens": lambda tmp: plots.logit_lens_table([["a"]], square, names, names),
        "x and y": lambda tmp: plots.lines({"a": ([1, 2], [1])}),
        "logarithm": lambda tmp: plots.lines({"a": ([0, -1], [1, 2])}, log_x=True),
        "band": lambda tmp: plots.lines({"a": ([1], [1])}, bands={"b": ([1], [1])}),
        "heights": lambda tmp: plots.bars(names, {"a": [1]}),
        "errors": lambda tmp: plots.bars(names, {"a": [1, 2]}, errors={"b": [1, 2]}),
        "no bars": lambda tmp: plots.bars(names, {}),
        "no panels": lambda tmp: plots.panels(0),
        "axes": lambda tmp: plots.bars(names, {"a": [1, 2]}, axes=matplotlib.figure.Figure().add_subplot()),
    }[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("suffix", r"a\.gif: unknown format of a plot\. End the name in \.png, \.svg, \.pdf"),
        ("place", "cannot be written"),
        ("labels", "1 labels for the rows: there are 2"),
        ("one string", "one string for the rows"),
        ("dimensions", r"shape \(2,\)\. Pass 2 dimensions"),
        ("empty", r"shape \(0, 2\)"),
        ("ragged", "rows of equal length"),
        ("hidden", r"hidden: shape \(3, 3\)"),
        ("titles", "1 titles for 3 heads"),
        ("not square", "Use bipartite_graph"),
        ("focus", r"focus 2: no such position\. Pass 0 to 1"),
        ("patches", "17 patches"),
        ("channels", "one channel or three"),
        ("brightness", "values 256 to 256"),
        ("tokens", "one string for each"),
        ("x and y", "2 x and 1 y"),
        ("logarithm", "above zero"),
        ("band", '"b": no series'),
        ("heights", "1 values for 2 groups"),
        ("errors", '"b": no bars'),
        ("no bars", "no bars"),
        ("no panels", "0 panels"),
        ("axes", "axes: belong to a Figure"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        bad(name)(tmp_path)


def test_one_warning_for_all_characters_without_a_glyph() -> None:
    names = ["\U00012000\U00012001", "\U00012002", "a", "b"]  # cuneiform
    plot = plots.heat_map(causal(4), names, names)
    with pytest.warns(UserWarning) as told:
        plot.rendered("png")
    assert len(told) == 1
    assert "(U+12000)" in str(told[0].message) and "(U+12002)" in str(told[0].message)
    assert "Install a font" in str(told[0].message)
    plot.rendered("png")  # told once; a second warning would be an error here


def test_chinese_is_drawn_not_boxed() -> None:
    if fonts.without_glyph("床前明月光"):
        pytest.skip("no Chinese font is installed: apt-get install fonts-wqy-microhei")
    drawn = [pixels(plots.bars([char], {"n": [1.0]}, title=char)).tobytes() for char in "床前明月"]
    assert len(set(drawn)) == 4  # boxes would look the same
    assert set(POEM) <= in_svg(plots.heat_map(causal(11), POEM, POEM))


def test_fonts_newer_than_matplotlibs_list_are_found(tmp_path: Path) -> None:
    """Matplotlib reads a list of fonts from a file that it wrote before they were installed."""
    ask = "from glassgpt.plots import fonts; print(*fonts.families(), sep='\\n')"
    environment = os.environ | {"MPLCONFIGDIR": str(tmp_path)}

    def found() -> list[str]:
        told = subprocess.run(
            [sys.executable, "-c", ask], env=environment, capture_output=True, check=True, text=True
        )
        return told.stdout.splitlines()

    now = found()
    if not set(now).intersection(fonts.CJK):
        pytest.skip("no Chinese font is installed: apt-get install fonts-noto-cjk")
    (written,) = tmp_path.glob("fontlist-*.json")
    stale = json.loads(written.read_text("utf-8"))
    files = {font["fname"] for font in stale["ttflist"] if font["name"] in fonts.CJK}
    stale["ttflist"] = [font for font in stale["ttflist"] if font["fname"] not in files]
    written.write_text(json.dumps(stale), "utf-8")
    assert found() == now


def test_where_matplotlib_is_missing_the_remedy_is_named() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from glassgpt.errors import UserError\n"
        "try:\n    import glassgpt.plots\nexcept UserError as problem:\n    print(problem)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.strip() == (
        "matplotlib is not installed: pip install 'glassgpt[plot]' (in a clone: '.[plot]')"
    )


def test_widths_are_known_before_anything_is_drawn() -> None:
    """So that there is room. "$or$" would be narrower if its dollars were read as mathematics."""
    plot = plots.bars(["x"], {"n": [1.0]})
    for text in ("question", "WWW", "iii", "0.25", "⏎␣", "$or$"):
        with settings():
            drawn = plot.axes[0].text(0, 0, text, fontsize=12)
        plot.rendered("png", 100)
        width = drawn.get_window_extent().width / plot.dpi
        assert inches([text], 12) == pytest.approx(width, rel=0.08)
