"""Model card of an export: README.md with data, verdict, limits, license and proof, for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glassgpt.config import ModelConfig
from glassgpt.diagnose import Accuracy, Score, Verdict
from glassgpt.interop.certify import FILE, Certificate
from glassgpt.interop.format import ExportFormat
from glassgpt.interop.source import ExportSource
from glassgpt.units import count

HEAD = """\
---
license: {license}
library_name: {library}
pipeline_tag: {pipeline}
tags:
- glassgpt{tag}
---
"""
PIPELINES = {"encoder": "fill-mask", "seq2seq": "translation", "captioner": "image-to-text"}
"""Task of a family, as the hub names it."""


def card(source: ExportSource, format: ExportFormat, certificate: Certificate) -> str:
    """Return the model card in Markdown, with the front matter that the hub reads."""
    proof = ("## Proof", *_proof(certificate))
    return _card(source, source.run.path.name, format.library, format.usage(source), *proof)


def shared_card(source: ExportSource, title: str, command: str) -> str:
    """Return the model card of a shared run. command: the command line that uses it."""
    usage = f"With GlassGPT installed, next to this folder:\n\n```sh\n{command}\n```"
    return _card(source, title, "glassgpt", usage)


def _card(source: ExportSource, title: str, library: str, usage: str, *more: str) -> str:
    from_scratch = not source.imported and source.config.init_from.run is None
    tag = "\n- trained-from-scratch" if from_scratch else ""
    head = HEAD.format(
        license=source.license or "other", library=library, pipeline=_pipeline(source.shape), tag=tag
    )
    parts = [f"# {title}", model_summary(source), *_verdict(source), "## Use", usage]
    return head + "\n" + "\n\n".join([*parts, "## Limits", *_limits(source), *more]) + "\n"


def _pipeline(shape: ModelConfig) -> str:
    """Return the task of a model, as the hub names it."""
    return "text-classification" if shape.labels else PIPELINES.get(shape.family, "text-generation")


def model_summary(source: ExportSource) -> str:
    """Return the sizes, the data and the tokenizer of a model, in plain text or Markdown."""
    shape, config = source.shape, source.config
    names = ", ".join(f"`{Path(each).name}`" for each in config.data.sources) or "text that is not recorded"
    n_params = sum(tensor.numel() for tensor in source.tensors.values())
    made = f"trained from random weights by GlassGPT on {names}"
    if base := config.init_from.run:
        made = f"fine-tuned by GlassGPT on {names}, from the weights of `{Path(base).name}`"
    if source.imported:
        made = f"imported into GlassGPT from {source.imported_from}, and not trained there"
    return (
        f"A model of {count(n_params)} parameters ({shape.n_layer} blocks of width {shape.n_embd}, context "
        f"{shape.block_size:,} tokens), {made}. Tokenizer: {source.tokenizer.describe()}."
    )


def _verdict(source: ExportSource) -> Iterator[str]:
    """Yield the verdict: the model next to counting, on the same held-out text."""
    if source.verdict is None:
        yield "It was not measured on held-out text."
        return
    verdict = Verdict.from_dict(source.verdict)
    yield "## Verdict"
    yield "Measured on held-out data, next to predictors that only count. The best row comes first."
    yield "\n".join(_table(verdict))
    yield verdict.sentence


def _table(verdict: Verdict) -> Iterator[str]:
    yield "| | loss, nats per character | bits per byte |" if verdict.scores else "| | correct | of |"
    yield "|---|---:|---:|"
    for row in verdict.rows:
        match row:
            case Score():
                yield f"| {row.name} | {row.nats_per_char:.3f} | {row.bits_per_byte:.3f} |"
            case Accuracy():
                yield f"| {row.name} | {row.n_correct:,} | {row.n:,} |"


def _limits(source: ExportSource) -> Iterator[str]:
    yield (
        "It knows its training text and nothing else. What it writes may repeat that text word for word, be "
        "wrong or be offensive: it was not aligned, and nothing filters it."
    )
    if not source.license:
        yield "No license was given. The rights in the training text may limit the use of this model."


def _proof(certificate: Certificate) -> Iterator[str]:
    yield (
        f"After writing, {certificate.runtime} loaded these files and was compared with the model that was "
        f"trained (`{FILE}`, with the hash of each file):"
    )
    yield "\n".join(
        f"- {each.name}: {_number(each.observed)} (expected {_number(each.expected)})"
        for each in certificate.findings
    )


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
