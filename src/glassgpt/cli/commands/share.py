"""`glassgpt share`: a copy of a run to give away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.view.terminal import Terminal, print_json
from glassgpt.errors import command_line
from glassgpt.units import data_size


def share(
    run: Path,
    *,
    out: Path | None = None,
    license: str = "",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Copy a run to give away, without its training text.

    The copy holds the best weights, tokenizer, settings, verdict and a model card. It is a run: others can
    use it, look into it, fine-tune it and export it. Its training cannot resume.

    Parameters
    ----------
    run
        Folder of a run.
    out
        A new folder; by default next to the run, such as runs/notes-shared.
    license
        License for the model card, such as mit or cc-by-4.0.
    json
        Print folder, sizes and the parts that were left out as JSON.
    """
    from glassgpt.language import _
    from glassgpt.train import LEFT_OUT, share

    shared = share(run, out, license=license)
    if json:
        print_json(shared.to_dict(), indent=1)
        return
    console = Terminal()
    console.say(
        _(
            "{path}: {size}, of a run of {run_size}",
            path=shared.path,
            size=data_size(shared.n_bytes),
            run_size=data_size(shared.run_bytes),
        )
    )
    for name, n_bytes in shared.left_out.items():
        part = _(LEFT_OUT[name])
        console.say(_("left out  {name}: {part} ({size})", name=name, part=part, size=data_size(n_bytes)))
    console.say(_("The weights still know parts of the text by heart, and may write them."), "dim")
    console.say(_("Check it  {command}", command=command_line("verify", shared.path)), "dim")
