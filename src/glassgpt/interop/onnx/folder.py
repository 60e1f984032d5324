"""All files of an ONNX folder: graphs, tokenizer, settings and the program that runs them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from glassgpt.checkpoint import write_json
from glassgpt.data import BEGIN, CHAT_SPECIALS, END, MASK, SEPARATE
from glassgpt.errors import missing_extra
from glassgpt.interop.chat import end_id
from glassgpt.interop.source import ExportSource

PROGRAMS = Path(__file__).parent / "programs"
MAX_BYTES = 2**31 - 2**20
"""Weights of one file: protobuf ends at 2 GiB, and the graph needs some room."""


def write(source: ExportSource, folder: Path, dtype: str) -> None:
    """Write a run's model as ONNX. dtype: of the stored weights. Raises UserError without the package."""
    try:
        from glassgpt.interop.onnx.models import graphs
    except ImportError:
        raise missing_extra("onnx", "onnx") from None
    about = {"run": source.run.path.name}
    for name, graph in graphs(source.model, dtype):
        (folder / f"{name}.onnx").write_bytes(graph.build(name, about).SerializeToString())
    source.tokenizer.save(folder / "tokenizer.json")
    write_json(folder / "model.json", model_settings(source, dtype))
    shutil.copyfile(PROGRAMS / program(source), folder / program(source))


def program(source: ExportSource) -> str:
    """Return the name of the program that a folder brings along."""
    return "predict.py" if source.shape.family == "encoder" else "generate.py"


def model_settings(source: ExportSource, dtype: str) -> dict[str, Any]:
    """Return the content of model.json: all that is in no graph."""
    shape, specials = source.shape, source.tokenizer.specials
    family = shape.family
    before, after, end = _around(source)
    return {
        "family": family,
        "dtype": dtype,
        "context": None if family == "bigram" or shape.position == "none" else shape.block_size,
        "before": before,
        "after": after,
        "end": end,
        "mask": specials.get(MASK),
        "labels": list(shape.labels),
        "image": [shape.channels, shape.image_size, shape.image_size] if family == "captioner" else [],
        "prompt": shape.prompt,
        "specials": specials,
    }


def _around(source: ExportSource) -> tuple[list[int], list[int], int | None]:
    """Return the ids before and after a prompt, and the id that ends an answer or a document."""
    family, specials = source.shape.family, source.tokenizer.specials
    if family == "seq2seq":  # the text is the source
        return [specials[BEGIN]], [], specials[END]
    if family == "captioner":
        return [specials[BEGIN]], [specials[SEPARATE]], specials[END]
    if all(name in specials for name in CHAT_SPECIALS):
        _, user, assistant, end = (specials[name] for name in CHAT_SPECIALS)
        return [user], [end, assistant], end
    return [], [], end_id(source)


def export_obstacle(source: ExportSource) -> str:
    """Return the reason why ONNX cannot hold a run; empty if it can."""
    n_bytes = 4 * sum(tensor.numel() for tensor in source.tensors.values())
    if n_bytes > MAX_BYTES:
        return f"its weights take {n_bytes / 1e9:,.1f} GB, and one file holds 2.1"
    return ""


USAGE = """\
```sh
pip install {packages}
python {program} {example}
```

`{program}` is short. It shows the inputs and outputs of `model.onnx`{encoder}{cache}. `model.json` has
{settings}."""


def usage(source: ExportSource) -> str:
    """Return the commands that run the folder, in Markdown."""
    family = source.shape.family
    examples = {"captioner": '"a question" --image picture.png', "seq2seq": '"a text like those of training"'}
    examples["encoder"] = '"a text"' if source.shape.labels else '"a text with [?] masks"'
    return USAGE.format(
        packages="numpy onnxruntime tokenizers" + (" pillow" if family == "captioner" else ""),
        program=program(source),
        example=examples.get(family, f"{source.prompt.strip() or 'The'!r} --tokens 200 --temperature 0.8"),
        encoder=" and `encoder.onnx`" if family in ("seq2seq", "captioner") else "",
        cache="" if family == "encoder" else ", and how the cache is passed on",
        settings="the special tokens and the context" + (" and the classes" if source.shape.labels else ""),
    )
