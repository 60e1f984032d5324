"""Format of another program: how to write it, and how to load it there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from glassgpt.diagnose import Finding
from glassgpt.errors import UserError, missing_extra
from glassgpt.interop.certify import Runtime, Tolerance
from glassgpt.interop.source import ExportSource

MODULES = {"hf": "huggingface", "gguf": "gguf", "onnx": "onnx", "safetensors": "plain"}
"""Module of each format in this package; it has a `FORMAT`."""


@dataclass(frozen=True)
class ExportFormat:
    """A format of another program."""

    name: str
    title: str
    """Name for people, such as `Hugging Face`."""
    library: str
    """Library that loads the files, as the hub names it."""
    limits: Mapping[str, Tolerance]
    """Largest differences that are allowed, by dtype; the first dtype is the default."""
    obstacle: Callable[[ExportSource], str]
    """Returns the reason why this format cannot hold a run; empty if it can."""
    write: Callable[[ExportSource, Path, str], None]
    """Writes a source into an empty folder, with a dtype."""
    open: Callable[[Path], Runtime]
    """Loads a written folder in the foreign program. Raises UserError if its package is not installed."""
    usage: Callable[[ExportSource], str]
    """Returns the part of the model card that says how to use the files, in Markdown."""
    checks: Callable[[ExportSource, Any], Iterator[Finding]] = lambda source, program: iter(())
    """Yields more findings about the result of `open`."""
    left_out: Callable[[ExportSource], str] = lambda source: ""
    """Returns the characters that the program encodes otherwise."""
    wider: Callable[[ExportSource], Mapping[str, Tolerance]] = lambda source: {}
    """Returns limits for a model that the program computes less exactly, by dtype."""

    def tolerance(self, source: ExportSource, dtype: str) -> Tolerance:
        """Return the limits of an export."""
        return {**self.limits, **self.wider(source)}[dtype]


def find_format(name: str) -> ExportFormat:
    """Return a format by its name. Raises UserError for an unknown name, or without its extra."""
    if name not in MODULES:
        raise UserError(
            "there is no format {name!r}. Choose one of {modules}.", name=name, modules=", ".join(MODULES)
        )
    try:
        return import_module(f"glassgpt.interop.{MODULES[name]}").FORMAT
    except ModuleNotFoundError as error:  # the extra has the name of the format
        raise missing_extra(name, str(error.name)) from None
