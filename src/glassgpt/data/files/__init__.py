"""Files to text: sources, formats, character encodings, records and images."""

from glassgpt.data.files.charset import detect_and_decode, replace_surrogates
from glassgpt.data.files.chat_logs import ChatLog, ChatMessage, is_whatsapp, parse_exports, parse_whatsapp
from glassgpt.data.files.corpora import known_file, open_python, open_shakespeare
from glassgpt.data.files.json_records import field_text, json_rows
from glassgpt.data.files.messages import parse_message
from glassgpt.data.files.pixels import as_channels, check_pillow, read_image, read_pixels, write_image
from glassgpt.data.files.readers import open_document
from glassgpt.data.files.records import csv_rows, find_column, lines_of, suffix_of
from glassgpt.data.files.report import Report, shorten, without_remedy
from glassgpt.data.files.sources import Source, hidden_files, resolve_sources, unpack
from glassgpt.data.files.unreadable import NotText, readable, reading

__all__ = [
    "ChatLog",
    "ChatMessage",
    "NotText",
    "Report",
    "Source",
    "as_channels",
    "check_pillow",
    "csv_rows",
    "detect_and_decode",
    "field_text",
    "find_column",
    "hidden_files",
    "is_whatsapp",
    "json_rows",
    "known_file",
    "lines_of",
    "open_document",
    "open_python",
    "open_shakespeare",
    "parse_exports",
    "parse_message",
    "parse_whatsapp",
    "read_image",
    "read_pixels",
    "readable",
    "reading",
    "replace_surrogates",
    "resolve_sources",
    "shorten",
    "suffix_of",
    "unpack",
    "without_remedy",
    "write_image",
]
