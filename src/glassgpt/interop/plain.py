"""Export to one safetensors file with our names, next to its configuration and tokenizer.

For programs that have no format of their own: `examples/gpt_in_one_file.py` loads these names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from glassgpt.checkpoint import load_weights, write_json
from glassgpt.config import ModelConfig
from glassgpt.interop.certify import Tolerance, greedy
from glassgpt.interop.format import ExportFormat
from glassgpt.interop.source import ExportSource
from glassgpt.language import N_
from glassgpt.models import build
from glassgpt.safe_io import read_json
from glassgpt.tokenizers import load_tokenizer

USAGE = """\
```python
from safetensors.torch import load_file

weights = load_file("{folder}/model.safetensors")  # names and shapes of GlassGPT
```

`model.json` has the sizes, `tokenizer.json` is a file of the `tokenizers` library."""


class Reloaded:
    """The written files, loaded into a new model by their names; see `certify.Runtime`."""

    name = N_("GlassGPT itself")

    def __init__(self, folder: Path) -> None:
        self.tokenizer = load_tokenizer(folder / "tokenizer.json")
        config = ModelConfig.model_validate(read_json(folder / "model.json"))
        self.model = build(config, self.tokenizer.n_vocab).eval()
        load_weights(self.model, load_file(folder / "model.safetensors"))

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        return self.tokenizer.encode(text)

    @torch.inference_mode()
    def logits(self, ids: Sequence[int], positions: Sequence[int]) -> Tensor:
        """Return the logits after the tokens at n positions: (n, V)."""
        return self.model(torch.tensor([ids]))[0, positions]

    def greedy(self, ids: Sequence[int], n: int) -> list[int]:
        """Return n more tokens, each the most probable one."""
        return greedy(self.model, ids, n)[0]


def _write(source: ExportSource, folder: Path, dtype: str) -> None:
    save_file(
        {name: tensor.to(getattr(torch, dtype)).contiguous() for name, tensor in source.tensors.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    write_json(folder / "model.json", source.shape.model_dump(mode="json"))
    source.tokenizer.save(folder / "tokenizer.json")


def _obstacle(source: ExportSource) -> str:
    family = source.shape.family
    return "" if family in ("gpt", "bigram") else f"{family} is not compared yet (`family`)"


FORMAT = ExportFormat(
    name="safetensors",
    title=N_("plain safetensors"),
    library="pytorch",
    limits={
        "float32": Tolerance(logit=1e-6, kl=1e-12),
        "bfloat16": Tolerance(logit=1.0, kl=1e-2, same_tokens=False),
    },
    obstacle=_obstacle,
    write=_write,
    open=Reloaded,
    usage=lambda source: USAGE.format(folder=f"{source.run.path.name}-safetensors"),
)
