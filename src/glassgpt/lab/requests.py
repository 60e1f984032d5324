"""Bodies of requests. Unknown fields are refused."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_TEXT = 1_000_000
"""Characters of a text; a model sees far less."""
MAX_TRAINING_TEXT = 12_000_000
"""Characters of a pasted text to train on; larger ones are trained on in a terminal."""
MAX_IMAGE = 12_000_000
"""Characters of a picture in base64."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TraceRequest(_Body):
    """A text to look at."""

    text: str = Field(max_length=MAX_TEXT)
    target: str | None = Field(default=None, max_length=MAX_TEXT)
    hide: str | None = Field(default=None, max_length=MAX_TEXT)
    image: str | None = Field(default=None, max_length=MAX_IMAGE)
    step: int | None = None
    snapshot: int | None = None
    edits: dict[str, Any] = Field(default_factory=dict)


class LabelsRequest(_Body):
    """Ids whose text is asked for."""

    ids: list[int] = Field(max_length=10_000)


class NextRequest(_Body):
    """Ids to continue by one."""

    ids: list[int] = Field(min_length=1, max_length=1 << 20)
    n_prompt: int | None = None
    seed: int = 0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    text: str = Field(default="", max_length=MAX_TEXT)
    image: str | None = Field(default=None, max_length=MAX_IMAGE)
    step: int | None = None
    snapshot: int | None = None


class SampleRequest(_Body):
    """Ids to continue by many."""

    ids: list[int] = Field(min_length=1, max_length=1 << 20)
    n: int = Field(default=80, ge=1, le=1000)
    seed: int = 0
    temperature: float = 1.0
    text: str = Field(default="", max_length=MAX_TEXT)
    image: str | None = Field(default=None, max_length=MAX_IMAGE)
    step: int | None = None
    snapshot: int | None = None


class TrainRequest(_Body):
    """A text to train on."""

    name: str = Field(max_length=200)
    text: str = Field(min_length=1, max_length=MAX_TRAINING_TEXT)
    minutes: float = Field(gt=0, le=100_000)
    size: Literal["", "nano", "micro", "mini", "small"] = ""
    settings: dict[str, str] = Field(default_factory=dict)


class ResumeRequest(_Body):
    """A new length of a training, in total."""

    minutes: float = Field(gt=0, le=100_000)


class ChapterRequest(_Body):
    """A run to measure a chapter on: an id; `builtin` for the built-in run; none to choose one that fits."""

    run: str | None = Field(default=None, max_length=100)
    language: Literal["en", "zh"] = "en"


class AnswerRequest(_Body):
    """A number that answers an exercise."""

    exercise: int
    answer: str = Field(max_length=200)
    language: Literal["en", "zh"] = "en"
