"""`glassgpt export`: a run in a format of other programs, compared there before it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from glassgpt.cli.view.terminal import Terminal, print_json
from glassgpt.language import _
from glassgpt.paths import size_on_disk
from glassgpt.units import data_size


def export(
    run: Path,
    *,
    to: Literal["hf", "gguf", "onnx", "safetensors"],
    out: Path | None = None,
    dtype: str | None = None,
    license: str = "",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Export a run's best model to a format of other programs.

    The other program loads the files and is compared with the run: token ids, predictions, generated tokens
    and the loss on held-out text. If they differ, nothing is kept.

    Parameters
    ----------
    run
        Folder of a run.
    to
        hf, a folder for transformers; gguf, a file for llama.cpp, Ollama and LM Studio; onnx, graphs for
        onnxruntime; or safetensors, a file with the names of GlassGPT.
    out
        A new folder; by default next to the run, such as runs/notes-hf.
    dtype
        Type of the weights: float32; bfloat16 (hf, safetensors), float16 (hf, gguf, onnx), q8_0 (gguf).
    license
        License for the model card, such as mit or cc-by-4.0.
    json
        Print the certificate as JSON.
    """
    from glassgpt.cli.view.findings import findings_table
    from glassgpt.interop import export as export_run

    console = Terminal()
    target, certificate = export_run(
        run,
        to,
        out,
        dtype=dtype,
        license=license,
        stage=lambda doing: None if json else console.say(f"{_(doing)} …", "dim"),
    )
    if json:
        print_json({"folder": str(target), **certificate.to_dict()}, indent=1)
        return
    console.table(findings_table(certificate.findings))
    console.say(_("\n{runtime} computes the same as the run.", runtime=certificate.runtime))
    console.say(
        _(
            "{target}: {size}, with README.md (model card) and certificate.json",
            target=target,
            size=data_size(size_on_disk(target)),
        )
    )
