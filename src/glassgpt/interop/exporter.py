"""Export of a run: write, load in a foreign program, compare, and only then keep the files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from glassgpt.checkpoint import Run
from glassgpt.config import exportable_as
from glassgpt.errors import UserError
from glassgpt.interop.atomic_folder import whole_folder
from glassgpt.interop.card import card
from glassgpt.interop.certify import Certificate, certify, write_certificate
from glassgpt.interop.format import ExportFormat, find_format
from glassgpt.interop.source import ExportSource
from glassgpt.language import N_
from glassgpt.safe_io import quoted


def export(
    run: Path | str,
    to: str,
    out: Path | str | None = None,
    *,
    dtype: str | None = None,
    license: str = "",
    stage: Callable[[str], None] | None = None,
) -> tuple[Path, Certificate]:
    """Export a run's best model; return the folder and its certificate.

    to: `hf`, `gguf`, `onnx` or `safetensors`. out: a new folder, by default `RUN-FORMAT` next to the run.
    dtype: of the weights, by default float32. license: its name, for the model card. The files are loaded by
    the foreign program and compared with the run's model on its held-out text. Raises UserError, and leaves
    nothing behind, if the format cannot hold the model or a comparison fails.
    """
    stage = stage or (lambda _: None)
    format, opened = find_format(to), Run.open(run)
    dtype = _dtype(format, dtype)
    target = Path(out) if out else opened.path.with_name(f"{opened.path.name}-{to}")
    source = ExportSource.open(opened, license)
    if reason := format.obstacle(source):
        raise UserError(
            "{path} cannot be exported to {title}: {reason}. {remedy}",
            path=opened.path,
            title=format.title,
            reason=reason,
            remedy=_remedy(source, format),
        )
    with whole_folder(target) as folder:
        stage(N_("writing {title}", title=format.title))
        format.write(source, folder, dtype)
        stage(N_("loading it in the other program and comparing"))
        certificate = certify_folder(source, folder, format, dtype)
        if not certificate.is_confirmed:
            raise UserError(
                "{path}: {runtime} does not compute what the run does ({failures}). Nothing was exported.",
                path=opened.path,
                runtime=certificate.runtime,
                failures="; ".join(certificate.failures),
            )
        (folder / "README.md").write_text(card(source, format, certificate), "utf-8")
        write_certificate(folder, certificate, origin(source))
    return target, certificate


def _remedy(source: ExportSource, format: ExportFormat) -> str:
    """Return what to do with a model that a format cannot hold."""
    if source.shape.family == "gpt" and exportable_as(source.shape).reason:
        return N_("Export it with `to=onnx`, or train a model with `exportable`.")
    return N_("Export it with `to={other}`.", other="safetensors" if format.name == "onnx" else "onnx")


def certify_folder(source: ExportSource, folder: Path, format: ExportFormat, dtype: str) -> Certificate:
    """Load a written folder in the foreign program and compare it with its source.

    Raises UserError if the program cannot load it.
    """
    try:
        program = format.open(folder)
        title, limits = f"{format.name} {dtype}", format.tolerance(source, dtype)
        found = certify(source, program, title, limits, format.left_out(source))
        return replace(found, findings=(*found.findings, *format.checks(source, program)))
    except UserError:
        raise
    except Exception as error:  # a foreign program fails with any exception
        reason = quoted(f"{type(error).__name__}: {error}".splitlines()[0], 200)
        raise UserError(
            "{title}: the other program cannot use the files ({reason}).", title=format.title, reason=reason
        ) from error


def origin(source: ExportSource) -> dict[str, Any]:
    """Return the origin of an export, ready for JSON."""
    step = source.run.best_checkpoint()
    return {"glassgpt": version("glassgpt"), "run": source.run.path.name, "step": step.name}


def _dtype(format: ExportFormat, dtype: str | None) -> str:
    """Return the dtype, or the default one. Raises UserError for one that the format does not have."""
    if dtype is not None and dtype not in format.limits:
        known = ", ".join(format.limits)
        raise UserError(
            "`dtype` is {dtype}: {title} has {known} here. Choose one of them.",
            dtype=dtype,
            title=format.title,
            known=known,
        )
    return dtype or next(iter(format.limits))
