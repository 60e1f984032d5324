"""Colors: apart for every eye, readable on their ground, in both themes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_hex
from matplotlib.text import Text

from glassgpt import plots
from glassgpt.errors import UserError
from glassgpt.plots.colors import THEMES, Theme, ink
from helpers.vision import DEFICIENCIES, contrast, distance

EVERY_THEME = pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)


@EVERY_THEME
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_series_are_apart_for_every_eye(theme: Theme, deficiency: str) -> None:
    for one, other in combinations(theme.palette, 2):
        assert distance(one, other, deficiency) > 20, (one, other)


@EVERY_THEME
def test_series_and_texts_are_readable_on_their_ground(theme: Theme) -> None:
    for color in (*theme.palette, theme.mark):
        assert contrast(color, theme.ground) >= 3, color
    for color in (theme.text, theme.faint):
        assert contrast(color, theme.ground) >= 4.5, color


@EVERY_THEME
def test_numbers_in_cells_are_readable_on_every_color(theme: Theme) -> None:
    for colors in (theme.sequential, theme.diverging):
        for share in np.linspace(0, 1, 41):
            cell = colors(float(share))
            assert contrast(ink(cell), to_hex(cell)) >= 3.5


@EVERY_THEME
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_negative_and_positive_differ_for_every_eye(theme: Theme, deficiency: str) -> None:
    for reach in (0.2, 0.35, 0.5):
        low, high = (to_hex(theme.diverging(0.5 + side * reach)) for side in (-1, 1))
        assert distance(low, high, deficiency) > 12, reach


@EVERY_THEME
def test_larger_is_farther_from_the_ground(theme: Theme) -> None:
    shades = [to_hex(theme.sequential(float(share))) for share in np.linspace(0, 1, 11)]
    steps = [contrast(shade, theme.ground) for shade in shades]
    assert steps == sorted(steps)


def test_a_plot_keeps_the_theme_that_it_was_made_with() -> None:
    light = plots.bars(["a"], {"n": [1.0]}, title="t")
    with plots.theme("dark"):
        dark = plots.bars(["a"], {"n": [1.0]}, title="t")
        assert plots.bars(["a"], {"n": [1.0]}, title="t").rendered("svg") == dark.rendered("svg")
        assert b"#171b20" not in light.rendered("svg")
    assert b"#171b20" in dark.rendered("svg") and b"#ffffff" not in dark.rendered("svg")
    ground = THEMES["dark"].ground
    written = [text for text in dark.findobj(Text) if isinstance(text, Text) and text.get_text()]
    assert written and all(contrast(to_hex(text.get_color()), ground) >= 4.5 for text in written)


def test_an_unknown_theme_is_refused() -> None:
    with pytest.raises(UserError, match="Choose one of light, dark"), plots.theme("sepia"):
        pass
