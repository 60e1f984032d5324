"""`glassgpt push`: a certified export to the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.view.terminal import Terminal
from glassgpt.language import _


def push(
    folder: Path,
    name: str,
    *,
    private: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Upload a certified export to the Hugging Face hub. Without --yes, only list what would be uploaded.

    Each file is compared with certificate.json first. Only the export is uploaded, never the run, so your
    text is not among the files. The model card (README.md) names the files of the text.

    Parameters
    ----------
    folder
        A folder of `glassgpt export --to hf`, or the run that it is of.
    name
        Owner and name on the hub, such as ada/notes-gpt.
    private
        Only you see it.
    yes
        Upload. This needs a token: `hf auth login`, or HF_TOKEN.
    """
    from rich.table import Table

    from glassgpt.interop import check_export, check_hub_name
    from glassgpt.interop import push as push_export

    console = Terminal()
    check_hub_name(name)
    export, files = check_export(folder)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    for file in files:
        table.add_row(file.name, f"{file.n_bytes:,} bytes")
    console.table(table)
    who = _("only you see") if private else _("everyone sees")
    if not yes:
        console.say(
            _(
                "\n{export} would become {name}, which {who}. Nothing was sent; --yes uploads it.",
                export=export,
                name=name,
                who=who,
            )
        )
        return
    console.say(_("\nuploading {export} to {name}, which {who} …", export=export, name=name, who=who), "dim")
    console.say(push_export(export, name, private=private))
