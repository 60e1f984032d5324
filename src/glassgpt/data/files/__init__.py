"""Files to text: sources, formats, character sets, records and images."""

from glassgpt.data.files.charset import NotText, as_told, decode, detect, scan
from glassgpt.data.files.corpora import known_file, open_python, open_shakespeare
from glassgpt.data.files.pixels import as_channels, check_pillow, read_image, read_pixels, write_image
from glassgpt.data.files.readers import read
from glassgpt.data.files.records import csv_rows, ending, json_rows, lines_of
from glassgpt.data.files.sources import Source, resolve, unpack

__all__ = [
    "NotText",
    "Source",
    "as_channels",
    "as_told",
    "check_pillow",
    "csv_rows",
    "decode",
    "detect",
    "ending",
    "json_rows",
    "known_file",
    "lines_of",
    "open_python",
    "open_shakespeare",
    "read",
    "read_image",
    "read_pixels",
    "resolve",
    "scan",
    "unpack",
    "write_image",
]
