"""Colors as the color-blind see them, their distance and contrast.

Sources: Machado, Oliveira and Fernandes 2009, "A physiologically-based model for simulation of color vision
deficiency" (severity 1, in linear RGB); CIE 1976 L*a*b*; WCAG 2.2 for contrast.
"""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

Colors = NDArray[np.float64]

DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array([[0.41246, 0.35758, 0.18044], [0.21267, 0.71515, 0.07217], [0.01933, 0.11919, 0.95030]])
WHITE = XYZ.sum(1)


def linear(color: str) -> Colors:
    """Return linear RGB, (3,), of a color in sRGB."""
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: Colors) -> Colors:
    """Convert linear RGB (3,) to L*a*b*, where a distance of about 2.3 is just visible."""
    share = XYZ @ rgb / WHITE
    x, y, z = np.where(share > 0.008856, np.cbrt(share), 7.787 * share + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(one: str, other: str, deficiency: str) -> float:
    """Return the distance of two colors in L*a*b*, as seen with a deficiency."""
    seen = [lab(np.clip(DEFICIENCIES[deficiency] @ linear(color), 0, 1)) for color in (one, other)]
    return float(np.linalg.norm(seen[0] - seen[1]))


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colors: 1 to 21."""
    low, high = sorted(float(XYZ[1] @ linear(color)) for color in (one, other))
    return (high + 0.05) / (low + 0.05)
