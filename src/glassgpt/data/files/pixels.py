"""Image files as arrays of one size. Pillow decodes; what it is given and what comes out is decided here.

Which images, and what is said about them, is not: see images.py.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from glassgpt.errors import UserError, missing_extra

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""What Pillow may take a file for; its other decoders are many and seldom tested."""
MAX_PIXELS = 64_000_000
"""Of one image, which is held in memory whole, as up to 4 bytes a pixel."""


def read_image(path: Path, image_size: int, channels: int) -> np.ndarray:
    """(channels, image_size, image_size) of uint8: the whole image, upright, in the middle of a square.

    The rest of the square is black, what is transparent is white; an animation is its first frame.
    channels is 1 (gray) or 3 (RGB). Raises UserError for what is no png, jpg, webp, gif or bmp, is
    damaged, or has over MAX_PIXELS pixels, which its header tells before anything is decoded.
    """
    return as_channels(read_pixels(path, image_size), channels)


def write_image(pixels: np.ndarray, path: Path) -> None:
    """Write (channels, H, W) of uint8 as a png; a file that is there is replaced."""
    check_pillow()
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(path, "PNG")


def check_pillow() -> None:
    """Raise UserError where Pillow is missing."""
    if not find_spec("PIL"):
        raise missing_extra("data", "pillow")


def read_pixels(path: Path, image_size: int) -> np.ndarray:
    """The same with as many channels as it takes: 1 where every pixel is gray, otherwise 3."""
    check_pillow()
    from PIL import Image, ImageOps

    too_large = UserError(f"{path} has over {MAX_PIXELS:,} pixels; make it smaller")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of oddities in files that read well; size is checked here
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise too_large
                image.draft(None, (image_size, image_size))  # a large jpg decodes faster smaller
                upright = _plain(ImageOps.exif_transpose(image))
            square = _on_white(ImageOps.pad(upright, (image_size, image_size), color="black"))
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise too_large from error
    except Exception as error:  # a damaged image makes Pillow raise nearly anything
        raise UserError(
            f"{path} is not a readable image ({_reason(error)}); save it again as png or jpg"
        ) from error
    pixels = np.asarray(square).transpose(2, 0, 1)
    gray = (pixels == pixels[0]).all()
    return pixels[:1].copy() if gray else pixels.copy()


def as_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """(1 or 3, H, W) as (channels, H, W). What is made gray is its luma by ITU-R BT.601."""
    if len(pixels) == channels:
        return pixels
    if channels == 3:
        return pixels.repeat(3, axis=0)
    return np.tensordot([[0.299, 0.587, 0.114]], pixels, 1).round().astype(np.uint8)


def _plain(image: Image) -> Image:
    """The image as RGB, or RGBA where some of it may be transparent."""
    from PIL.Image import fromarray

    if image.mode.startswith("I"):  # 16-bit gray, which convert() would cut off at 255
        image = fromarray((np.asarray(image) // 256).astype(np.uint8))
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _on_white(image: Image) -> Image:
    """The image without transparency, in RGB."""
    from PIL.Image import alpha_composite, new

    if image.mode == "RGBA":
        image = alpha_composite(new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    """What went wrong, without the name of the file, which the message has already."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "its format is unknown" if "cannot identify" in str(error) else str(error)
