"""Arguments that several commands take."""

from typing import Annotated

from cyclopts import Parameter, Token

STDIN = "<stdin>"
"""Stands for a lone hyphen until it is parsed, because cyclopts would take that for an option."""


def _source(_: type, tokens: tuple[Token, ...]) -> str:
    return "-" if tokens[0].value == STDIN else tokens[0].value


Source = Annotated[str, Parameter(converter=_source)]
"""A file, a folder, a glob, `-` for standard input, or the name of a corpus."""
