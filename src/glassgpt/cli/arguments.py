"""Arguments shared by several commands, with their help texts."""

import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.option_groups import BASICS, MACHINE, OUTPUT, SAMPLING

Source = str
"""A file, a folder, a glob, `-` for standard input, or the name of a corpus."""

RunFolder = Annotated[Path, Parameter(help="Folder of a run.")]
"""The run that a command uses."""

Device = Annotated[str, Parameter(help="`cpu`, `cuda`, `mps` or `auto`.", group=MACHINE)]
"""The device of the model."""

Json = Annotated[bool, Parameter(negative="", group=OUTPUT)]
"""A switch for JSON output. Each command documents its own objects."""

Temperature = Annotated[
    float,
    Parameter(
        help="Below 1 safer, above 1 more random; 0 always takes the most probable token.", group=BASICS
    ),
]
TopK = Annotated[int | None, Parameter(help="Sample from the k most probable tokens only.", group=SAMPLING)]
TopP = Annotated[
    float | None,
    Parameter(
        help="Sample from the smallest set of tokens with at least this total probability.", group=SAMPLING
    ),
]
MinP = Annotated[
    float | None,
    Parameter(help="Drop tokens below this fraction of the largest probability.", group=SAMPLING),
]

Draft = Annotated[
    str,
    Parameter(
        help="Speculative decoding by prompt lookup: faster on repetitive text, never changes the output. "
        "`prompt` searches the sequence so far, `text` also the training text; `none` is off.",
        group=MACHINE,
    ),
]


ESCAPES = {"n": "\n", "t": "\t", "\\": "\\"}


def unescaped(text: str) -> str:
    r"""Replace \\n, \\t and \\\\ by a newline, a tab and a backslash. Other backslashes stay.

    >>> unescaped(r"a\nb\\n \end")
    'a\nb\\n \\end'
    """
    return re.sub(r"\\([nt\\])", lambda match: ESCAPES[match[1]], text)
