"""Image files as arrays of one size, decoded by Pillow.

examples/images.py chooses the images and reads the text about them.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from glassgpt.errors import UserError, missing_extra
from glassgpt.language import N_
from glassgpt.paths import check_file

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""Formats that Pillow may decode. Its other decoders are many and rarely tested."""
MAX_PIXELS = 64_000_000
"""Limit of one image, held in RAM with up to 4 bytes per pixel."""
MAX_SIDE = 65_535
"""Limit of one side, that of jpg. Making a longer one small needs a table of its length."""


def read_image(path: Path, image_size: int, channels: int) -> np.ndarray:
    """Read an image, upright, centered in a square: (channels, image_size, image_size) of uint8.

    The rest of the square is black; transparent pixels are white; an animation is its first frame. channels
    is 1 (gray) or 3 (RGB). Raises UserError for other formats than png, jpg, webp, gif and bmp, for a damaged
    file, and for more than MAX_PIXELS pixels or MAX_SIDE on a side; the size is read from the header before
    decoding.
    """
    return as_channels(read_pixels(path, image_size), channels)


def write_image(pixels: np.ndarray, path: Path) -> None:
    """Write (channels, H, W) of uint8 as a png. An existing file is replaced."""
    check_pillow()
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)  # (H, W) or (H, W, 3)
    Image.fromarray(image).save(path, "PNG")


def check_pillow() -> None:
    """Raise UserError if Pillow is missing."""
    if not find_spec("PIL"):
        raise missing_extra("data", "pillow")


def read_pixels(path: Path, image_size: int) -> np.ndarray:
    """Read an image with 1 channel if all pixels are gray, else with 3; see `read_image`."""
    check_pillow()
    check_file(path)
    from PIL import Image, ImageOps

    too_large = UserError(
        "{path}: the image has more than {max_pixels:,} pixels, or {max_side:,} on a side. Make it smaller.",
        path=path,
        max_pixels=MAX_PIXELS,
        max_side=MAX_SIDE,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about oddities in readable files; the size is checked here
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS or max(image.size) > MAX_SIDE:
                    raise too_large
                image.draft(None, (image_size, image_size))  # decode a large jpg at a lower resolution
                ImageOps.exif_transpose(image, in_place=True)  # without a copy of the pixels
                square = ImageOps.pad(_plain(image), (image_size, image_size), color="black")
            square = _on_white(square)
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise too_large from error
    except Exception as error:  # Pillow raises nearly anything for a damaged image
        raise UserError(
            "{path}: this is not a readable image ({reason}). Save it again as png or jpg.",
            path=path,
            reason=_reason(error),
        ) from error
    pixels = np.asarray(square).transpose(2, 0, 1)  # (H, W, 3) -> (3, H, W)
    gray = (pixels == pixels[0]).all()
    return pixels[:1].copy() if gray else pixels.copy()


def as_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Convert (1 or 3, H, W) to (channels, H, W). Gray is the luma of ITU-R BT.601."""
    if len(pixels) == channels:
        return pixels
    if channels == 3:
        return pixels.repeat(3, axis=0)
    return np.tensordot([[0.299, 0.587, 0.114]], pixels, 1).round().astype(np.uint8)


def _plain(image: Image) -> Image:
    """Convert an image to RGB, or to RGBA if some pixels may be transparent."""
    from PIL.Image import fromarray

    if image.mode.startswith("I"):  # 16-bit gray; convert() would clip it at 255
        image = fromarray((np.asarray(image) // 256).astype(np.uint8))
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _on_white(image: Image) -> Image:
    """Convert an image to RGB, transparent pixels on white."""
    from PIL.Image import alpha_composite, new

    if image.mode == "RGBA":
        image = alpha_composite(new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    """Return the reason of an error without the file's name, already in the message."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return N_("its format is unknown") if "cannot identify" in str(error) else str(error)
