"""Models in memory, and what the page asks of them: traces, tensors, next tokens.

A few models and traces stay in memory, up to a limit; older ones are dropped. One question at a time has the
models, since a recorder attaches hooks.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, RLock
from typing import Any

import numpy as np
import torch

from glassgpt.checkpoint import Run, read_pointer, snapshot_steps
from glassgpt.data import PairTemplate, read_image
from glassgpt.errors import UserError
from glassgpt.explain import held_out_prompt, held_out_questions
from glassgpt.generate import Engine, NextToken, Request, SamplingParams, stream_text
from glassgpt.lab.catalog import Catalog
from glassgpt.lab.edits import make_edits, new_tokens
from glassgpt.lab.embeddings import embedding_map
from glassgpt.lab.findings import examined
from glassgpt.lab.labels import vocabulary
from glassgpt.lab.patches import make_patches
from glassgpt.lab.requests import NextRequest, SampleRequest, TraceRequest
from glassgpt.lab.traced import Traced, float_bytes
from glassgpt.lens import Trace, token_labels, trace, visible_label
from glassgpt.models import Model
from glassgpt.nn import Memory
from glassgpt.tasks import Prompt, task_of_model
from glassgpt.tokenizers import Tokenizer

MAX_MODELS = 2
MAX_TRACE_BYTES = 32 << 20
"""Memory for traces."""
KEPT_TRACES = 2
"""Traces that stay, however large they are: a text, and a change of it that is compared with it."""
NO_DATA_PROMPT = "The quick brown fox"
"""Text for a model that came without data."""


class UnknownTrace(UserError):
    """A trace that is no longer in memory."""


@dataclass
class Loaded:
    """A model in memory."""

    run: Run
    model: Model
    tokenizer: Tokenizer

    @cached_property
    def next_token(self) -> NextToken:
        """Draws its next tokens."""
        return NextToken(self.model)

    @cached_property
    def vocabulary(self) -> list[str]:
        """The visible text of each id."""
        return vocabulary(self.tokenizer)

    @cached_property
    def prompt(self) -> dict[str, Any]:
        """A held-out text of the run, of a captioner with its image."""
        try:
            prompt = held_out_prompt(self.run.path)
        except (UserError, OSError):
            return {"text": NO_DATA_PROMPT}
        return prompt | {"text": _from_a_word(prompt["text"]), "questions": held_out_questions(self.run.path)}

    _memory: tuple[tuple[str, str | None], Memory | None] | None = None

    def memory(self, text: str, image: str | None) -> Memory | None:
        """Return the encoded source of a prompt; the last one is kept."""
        if self._memory is None or self._memory[0] != (text, image):
            prompt = Prompt(text, self.pixels(image), target="")
            inputs = task_of_model(self.model.config).inputs(self.model, self.tokenizer, prompt)
            source = inputs.source if inputs.image is None else torch.from_numpy(inputs.image)
            with torch.inference_mode():
                states = None if source is None else self.model.encode(torch.as_tensor(source)[None])
            self._memory = (text, image), states
        return self._memory[1]

    def pixels(self, image: str | None) -> np.ndarray | None:
        """Return the pixels of a picture file in base64; of a captioner without one, a held-out image."""
        config = self.model.config
        if config.family != "captioner":
            if image is not None:
                raise UserError(
                    "`image`: a {family} does not look at images. Leave it out.", family=config.family
                )
            return None
        if image is None:
            return self.prompt.get("image")
        try:
            content = base64.b64decode(image, validate=True)
        except (binascii.Error, ValueError) as error:
            raise UserError("`image`: this is no base64. Choose a picture file again.") from error
        with TemporaryDirectory(prefix="glassgpt-") as folder:
            path = Path(folder, "image")
            path.write_bytes(content)
            try:
                return read_image(path, config.image_size, config.channels)
            except UserError as error:
                raise UserError(error.message.replace(str(path), "image")) from error


def _from_a_word(text: str) -> str:
    """Return a text from its first line or word that is whole, if that leaves most of it."""
    for begin in (r"^[^\n]*\n+", r"^\S*\s+"):
        rest = re.sub(begin, "", text, count=1)
        if len(rest) * 2 > len(text):
            return rest
    return text


class Studio:
    """Answers questions about the models of a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._models: OrderedDict[tuple[Any, ...], Loaded] = OrderedDict()
        self._traces: OrderedDict[str, Traced] = OrderedDict()
        self._prompts: dict[str, dict[str, Any]] = {}
        self._maps: dict[str, tuple[list[int], dict[str, Any]]] = {}
        self._lock = RLock()
        self._examining = Lock()

    def _open(self, id: str, step: int | None = None, snapshot: int | None = None) -> Loaded:
        """Return the model of a run, loaded once; again after a new best step. Raises UserError."""
        if step is not None and snapshot is not None:
            raise UserError("`step` and `snapshot` name different weights. Give one of them.")
        run = self.catalog.run(id)
        best = read_pointer(run.checkpoints, "best") if step is None else None
        key = (str(run.path), step, snapshot, best, tuple(run.saved_steps()))
        if key not in self._models:
            self._models[key] = Loaded(run, run.model(step=step, snapshot=snapshot), run.tokenizer())
        self._models.move_to_end(key)
        while len(self._models) > MAX_MODELS:
            self._models.popitem(last=False)
        return self._models[key]

    def details(self, id: str) -> dict[str, Any]:
        """Return the catalog's details, with a prompt to begin with."""
        details = self.catalog.details(id)
        if details["can_trace"] and id not in self._prompts:  # a page that follows a training asks often
            with self._lock:
                self._prompts[id] = self._open(id).prompt
        prompt = self._prompts.get(id, {})
        return details | {"prompt": prompt.get("text", ""), "questions": prompt.get("questions", [])}

    def examine(self, id: str) -> dict[str, Any]:
        """Examine a run as the doctor does. Raises UserError if there is no model to load."""
        with self._examining:
            return examined(self.catalog.run(id))

    def embeddings(self, id: str) -> dict[str, Any]:
        """Return the map of a run's token embeddings; again when it has other snapshots."""
        run = self.catalog.run(id)
        steps = snapshot_steps(run)
        with self._lock:
            if id not in self._maps or self._maps[id][0] != steps:
                self._maps[id] = steps, embedding_map(run)
            return self._maps[id][1]

    def vocabulary(self, id: str) -> list[str]:
        """Return the visible text of each id of a run's tokenizer."""
        loaded = self._loaded(id)
        return loaded.vocabulary if loaded else vocabulary(self.catalog.run(id).tokenizer())

    def labels(self, id: str, ids: list[int]) -> list[str]:
        """Return the visible text of some ids; of one without a text its number."""
        loaded = self._loaded(id)
        tokenizer = loaded.tokenizer if loaded else self.catalog.run(id).tokenizer()
        known = [each for each in ids if 0 <= each < tokenizer.n_vocab]
        texts = dict(zip(known, map(visible_label, token_labels(tokenizer, known)), strict=True))
        return [texts.get(each, f"#{each}") for each in ids]

    def _loaded(self, id: str) -> Loaded | None:
        """Return a model of a run if there is one in memory."""
        path = self.catalog.run(id).path
        return next((each for each in self._models.values() if each.run.path == path), None)

    def trace(self, id: str, asked: TraceRequest) -> dict[str, Any]:
        """Record a forward pass and return its header. Raises UserError for a prompt that does not fit."""
        with self._lock:
            loaded = self._open(id, asked.step, asked.snapshot)
            traced = traced_run(loaded, asked, run=id)
            self._traces[traced.id] = traced
            while len(self._traces) > KEPT_TRACES and self._n_bytes() > MAX_TRACE_BYTES:
                self._traces.popitem(last=False)
            return traced.header() | {"n_snapshots": len(snapshot_steps(loaded.run))}

    def _n_bytes(self) -> int:
        """Memory of the traces, and of models that only they keep."""
        loaded = {id(each.model) for each in self._models.values()}
        kept = {id(each.model): each.model for each in self._traces.values() if id(each.model) not in loaded}
        weights = sum(p.nbytes for model in kept.values() for p in model.parameters())
        return weights + sum(each.n_bytes for each in self._traces.values())

    def _traced(self, id: str) -> Traced:
        if (traced := self._traces.get(id)) is None:
            raise UnknownTrace("this trace is no longer in memory. Look at the text again.")
        self._traces.move_to_end(id)
        return traced

    def tensor(self, trace: str, name: str, head: int | None) -> bytes:
        """Return the bytes of a tensor of a trace, or of one head of it. Raises UserError."""
        with self._lock:
            return float_bytes(self._traced(trace).tensor(name, head))

    def rows(self, trace: str, names: list[str], row: int) -> bytes:
        """Return the bytes of one row of each matrix, one after the other. Raises UserError."""
        with self._lock:
            return float_bytes(self._traced(trace).rows(names, row))

    def lens(self, trace: str, start: int, stop: int | None) -> dict[str, Any] | None:
        """Return the logit lens of a trace at positions start … stop − 1. Raises UserError."""
        with self._lock:
            return self._traced(trace).lens(max(0, start), stop)

    def heads(self, trace: str) -> list[dict[str, Any]]:
        """Return what each head of a trace attends to. Raises UnknownTrace."""
        with self._lock:
            return self._traced(trace).heads()

    def next(self, id: str, asked: NextRequest) -> dict[str, Any]:
        """Draw a next token. Raises UserError for unusable ids and settings."""
        params = SamplingParams(
            asked.temperature, asked.top_k, asked.top_p, asked.min_p, asked.repetition_penalty
        )
        with self._lock:
            loaded = self._open(id, asked.step, asked.snapshot)
            memory = _memory(loaded, asked)
            n_prompt = len(asked.ids) if asked.n_prompt is None else asked.n_prompt
            if not 1 <= n_prompt <= len(asked.ids):
                raise UserError("n_prompt is {n}. It must be between 1 and the number of ids.", n=n_prompt)
            drawn = loaded.next_token.draw(asked.ids, n_prompt, params, asked.seed, memory)
        return {**vars(drawn), "logits": base64.b64encode(float_bytes(drawn.logits)).decode()}

    def sample(self, id: str, asked: SampleRequest) -> dict[str, Any]:
        """Continue ids as the engine does with this seed. Raises UserError for unusable ids and settings."""
        with self._lock:
            loaded = self._open(id, asked.step, asked.snapshot)
            memory, params = _memory(loaded, asked), SamplingParams(asked.temperature)
            end = None if memory is None else PairTemplate(loaded.tokenizer).end
            request = Request(asked.ids, params, asked.n, asked.seed, eos_id=end, memory=memory)
            ids = [token.id for token in Engine(loaded.model, max_batch=1).stream(request)]
        text = ids[:-1] if ids[-1] == end else ids
        return {"ids": ids, "text": "".join(stream_text(loaded.tokenizer, text))}


def _memory(loaded: Loaded, asked: NextRequest | SampleRequest) -> Memory | None:
    """Return what a model that writes attends to. Raises UserError for a model that does not write."""
    family = loaded.model.config.family
    if family == "encoder":
        raise UserError("an encoder writes no text. Choose a model that does.")
    return loaded.memory(asked.text, asked.image) if family in ("seq2seq", "captioner") else None


def traced_run(loaded: Loaded, asked: TraceRequest, run: str) -> Traced:
    """Record a forward pass of a loaded model."""
    model, tokenizer = loaded.model, loaded.tokenizer
    given: dict[str, Any] = {"image": loaded.pixels(asked.image), "target": asked.target}

    def look(text: str, states: list[str]) -> Trace:
        return trace(model, tokenizer, text, **given, pattern=states, lens=False)

    recorded = trace(
        model,
        tokenizer,
        asked.text,
        **given,
        hide=asked.hide,
        pattern="*",
        edits=make_edits(model, asked.edits) | make_patches(model, asked.edits, look),
        replace=new_tokens(asked.edits),
        lens=False,
    )
    about = {"run": run, "task": task_of_model(model.config).name, "edits": asked.edits}
    return Traced(recorded, model, tokenizer, **about)
