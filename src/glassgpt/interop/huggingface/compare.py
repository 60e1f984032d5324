"""Comparison of an imported run with transformers, which loads the folder that it came from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from glassgpt.checkpoint import Run, write_json
from glassgpt.errors import UserError
from glassgpt.interop.certify import FILE, Certificate, Tolerance, certify
from glassgpt.interop.huggingface.foreign import ForeignModel
from glassgpt.interop.huggingface.runtime import Transformers
from glassgpt.interop.source import ExportSource
from glassgpt.language import _
from glassgpt.safe_io import quoted

LIMITS = Tolerance(logit=1e-4, kl=1e-8)
"""Largest differences of float32 sums in another order."""
N_GREEDY = 64


def compare_import(run: Run, found: ForeignModel) -> Iterator[str]:
    """Compare a run with the folder that it came from, and write certificate.json into it.

    Yields a note if transformers is not installed. Raises UserError if anything differs.
    """
    if find_spec("transformers") is None:
        yield _("not compared: transformers is not installed (pip install 'glassgpt[hf]')")
        return
    certificate = certify_import(run, found)
    if not certificate.is_confirmed:
        raise UserError(
            "{runtime} does not compute what the imported model does ({failures}). Nothing was imported.",
            runtime=certificate.runtime,
            failures="; ".join(certificate.failures),
        )
    write_json(run.path / FILE, {**certificate.to_dict(), "files": found.source()["files"]})


def certify_import(run: Run, found: ForeignModel) -> Certificate:
    """Load the checked files of a folder in transformers, and compare it with the run."""
    with tempfile.TemporaryDirectory(prefix="glassgpt-") as temporary:
        for name, path in found.files.items():  # no other file of the folder
            (Path(temporary) / name).symlink_to(path.resolve())
        try:
            program = Transformers(Path(temporary), n_vocab=found.tokenizer.n_vocab)
            return certify(ExportSource.open(run), program, f"import {found.name}", LIMITS, n_greedy=N_GREEDY)
        except UserError:
            raise
        except Exception as error:  # a foreign program fails with any exception
            reason = quoted(f"{type(error).__name__}: {error}".splitlines()[0], 200)
            raise UserError(
                "transformers cannot use the files ({reason}). Nothing was imported.", reason=reason
            ) from error
