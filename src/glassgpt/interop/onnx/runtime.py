"""A written folder in onnxruntime, run by the program that the folder brings along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from glassgpt.data import Batch
from glassgpt.errors import missing_extra
from glassgpt.safe_io import read_json

if TYPE_CHECKING:
    from glassgpt.interop.onnx.programs.generate import Model as Generator
    from glassgpt.interop.onnx.programs.predict import Model as Predictor


class OnnxRuntime:
    """An exported folder in onnxruntime; see `certify.Runtime`."""

    def __init__(self, folder: Path) -> None:
        """Load it. Raises UserError if onnxruntime is not installed."""
        try:
            import onnxruntime
        except ImportError:
            raise missing_extra("onnx", "onnxruntime") from None
        onnxruntime.set_default_logger_severity(4)  # it reports errors twice, once in color
        self.name = f"onnxruntime {onnxruntime.__version__}"
        settings = read_json(folder / "model.json")
        self.dtype: str = settings["dtype"]
        self._generator: Generator | None = None
        self._predictor: Predictor | None = None
        if settings["family"] == "encoder":
            from glassgpt.interop.onnx.programs.predict import Model as Predictor

            self._predictor = Predictor(folder)
        else:
            from glassgpt.interop.onnx.programs.generate import Model as Generator

            self._generator = Generator(folder)

    @property
    def generator(self) -> Generator:
        """The decoder. Fails for an encoder."""
        assert self._generator is not None
        return self._generator

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        return (self._predictor or self.generator).encode(text)

    def logits(self, ids: Sequence[int], positions: Sequence[int]) -> Tensor:
        """Return the logits after the tokens at n positions, without a cache: (n, V)."""
        tokens = torch.tensor([ids])
        return self.predict(Batch(tokens, tokens))[0, list(positions)]

    def greedy(self, ids: Sequence[int], n: int) -> list[int]:
        """Return n more tokens, each the most probable one, generated with the cache."""
        return [*self.generator.generate(ids, n)]

    def predict(self, batch: Batch) -> Tensor:
        """Compute the logits of a batch: (B, T, V), or (B, 1, n_class)."""
        tokens = batch.tokens.numpy()
        if self._predictor is not None:
            found = torch.from_numpy(self._predictor.logits(tokens))
            return found if found.ndim == 3 else found[:, None]
        past = self.generator.empty(len(tokens))
        return torch.from_numpy(self.generator.read(tokens, past, self.memory(batch))[0])

    def predict_in_chunks(self, batch: Batch, sizes: Sequence[int]) -> Tensor:
        """Compute the same as `predict` with the cache, some tokens at a time."""
        found, memory = [], self.memory(batch)
        past: Mapping[str, np.ndarray] = self.generator.empty(len(batch.tokens))
        for tokens in batch.tokens.split(list(sizes), dim=1):
            logits, past = self.generator.read(tokens.numpy(), past, memory)
            found.append(torch.from_numpy(logits))
        return torch.cat(found, dim=1)

    def memory(self, batch: Batch) -> dict[str, np.ndarray]:
        """Encode the sources of a batch, one for each row; nothing without sources."""
        if batch.source is None:
            return {}
        memory = self.generator.memory(batch.source.numpy())
        rows = slice(None) if batch.source_of is None else batch.source_of.numpy()
        return {name: each[rows] for name, each in memory.items()}
