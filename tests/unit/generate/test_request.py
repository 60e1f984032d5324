"""A request is checked as a whole when it is added, and nobody can change it afterwards."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from glassgpt.errors import UserError
from glassgpt.generate import (
    Engine,
    PromptLookup,
    Request,
    RequestError,
    SamplingParams,
    complete,
    generate,
    sample_text,
)
from glassgpt.models import Model
from glassgpt.nn import AttnMask, Memory
from glassgpt.tokenizers import train_tokenizer
from helpers.requests import memories_for, small
from helpers.zoo import V

GOOD = Request([1, 2], SamplingParams(temperature=0), 6, seed=1)
MODEL, TRANSLATOR = small("modern", 0), small("seq2seq-gpt2", 0)
NAN = float("nan")


def tokens(engine: Engine, request_id: int) -> list[int]:
    found: list[int] = []
    while not (new := engine.fetch(request_id)) or not new[-1].finish_reason:
        found += [token.id for token in new]
        engine.step()
    return [*found, *(token.id for token in new)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (dict(prompt=[]), "the prompt is empty"),
        (dict(prompt=[V]), "ids outside"),
        (dict(prompt=[-1]), "ids outside"),
        (dict(prompt=[1, 0.0]), r"the prompt has 0\.0 among its ids"),
        (dict(prompt="text"), "the prompt has 't'"),
        (dict(prompt=[True]), "the prompt has True"),
        (dict(prompt=torch.tensor([1.0])), "the prompt has"),
        (dict(params=None), "`params` is None"),
        (dict(max_new_tokens=0), "`max_new_tokens` is 0"),
        (dict(max_new_tokens=2.5), r"`max_new_tokens` is 2\.5"),
        (dict(seed=0.5), r"`seed` is 0\.5"),
        (dict(eos_id=V), f"`eos_id` is {V}"),
        (dict(eos_id=-1), "`eos_id` is -1"),
        (dict(logprobs=-1), "`logprobs` is -1"),
        (dict(logprobs="all"), "`logprobs` is 'all'"),
        (dict(logit_bias=[(1, 2.0)]), "a mapping"),
        *((dict(logit_bias={id: 1.0}), "`logit_bias` is for id") for id in (V, -1, 1.0, "a", True)),
        *((dict(logit_bias={3: x}), "`logit_bias` is") for x in (NAN, math.inf, 1e39, -1e39, "1", None)),
        (dict(logit_bias=dict.fromkeys(range(V), -math.inf)), "for every id"),
        (dict(memory=Memory(torch.zeros(1, 3, 16), AttnMask.full())), "cannot use"),
    ],
)
def test_a_bad_request_is_refused_as_it_comes(change: dict, problem: str) -> None:
    engine = Engine(MODEL, max_batch=2)
    good = engine.add(GOOD)
    bad = replace(GOOD, **change)
    with pytest.raises(UserError, match=problem):
        engine.add(bad)
    with pytest.raises(UserError, match=problem):
        engine.stream(bad)  # before its first token is asked for
    assert tokens(engine, good) == list(generate(MODEL, [1, 2], GOOD.params, max_new_tokens=6))
    assert not engine.busy


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        (None, "has no `memory`"),
        (torch.zeros(2, 3, 16), "one encoded source"),
        (torch.zeros(1, 3, 8), "8 channels"),
        (torch.full((1, 3, 16), NAN), "NaN"),
    ],
)
def test_a_bad_memory(states: torch.Tensor | None, problem: str) -> None:
    memory = None if states is None else Memory(states, AttnMask.full())
    with pytest.raises(UserError, match=problem):
        Engine(TRANSLATOR).add(replace(GOOD, memory=memory))
    Engine(TRANSLATOR).add(replace(GOOD, memory=memories_for(TRANSLATOR)[0]))


@pytest.mark.parametrize(
    "params",
    [
        *({"repetition_penalty": x} for x in (0, 3e-39, 1e39, NAN, "1")),
        *({"temperature": x} for x in (-1, NAN, "hot", 1e-9)),
        *({"top_k": x} for x in (0, 2.0, True)),
        *({"top_p": x} for x in (0, 1.1, "x")),
        *({"min_p": x} for x in (-0.1, 2, NAN)),
    ],
)
def test_bad_parameters(params: dict) -> None:
    with pytest.raises(UserError, match=f"`{next(iter(params))}` is"):
        SamplingParams(**params)


@pytest.mark.parametrize(
    "params", [{"repetition_penalty": 1e-3}, {"repetition_penalty": 1e3}, {"temperature": 1e-4}]
)
def test_extreme_parameters_with_extreme_biases(params: dict) -> None:
    request = Request([1], SamplingParams(**params), 8, 1, logit_bias={1: 1e38, 2: -1e38, 3: -math.inf})
    assert len(list(Engine(MODEL).stream(request))) == 8


def test_numbers_of_numpy_and_torch() -> None:
    wanted = list(generate(MODEL, [1, 2], GOOD.params, max_new_tokens=6))
    one = np.int64(1)
    for prompt in (np.array([1, 2]), torch.tensor([1, 2]), (one, np.int32(2))):
        numbers: dict = dict(seed=one, logit_bias={one: np.float32(0)}, max_new_tokens=np.int64(6))
        request = Request(prompt, GOOD.params, **numbers)  # pyright: ignore
        assert [token.id for token in Engine(MODEL).stream(request)] == wanted


def test_later_changes_have_no_effect() -> None:
    bias, prompt = {3: 5.0}, [1, 2]
    request = Request(prompt, SamplingParams(), 10, 1, logit_bias=bias)
    wanted = [token.id for token in Engine(MODEL).stream(request)]
    engine = Engine(MODEL)
    request_id = engine.add(request)
    engine.step()
    bias[V + 7] = NAN
    prompt.append(9)
    assert tokens(engine, request_id) == wanted


def with_nan_after(model: Model, id: int) -> Model:
    """A model whose logits are NaN once a text has this token."""
    with torch.no_grad():
        model.get_submodule("wte").weight[id] = NAN
    return model


@pytest.mark.parametrize("max_batch", [1, 3])
def test_a_request_that_cannot_go_on_ends_alone(max_batch: int) -> None:
    model = with_nan_after(small("modern", 1), 7)
    never = {7: -math.inf}
    good = [Request([i], max_new_tokens=9, seed=i, logit_bias=never) for i in (1, 2)]
    wanted = [[token.id for token in Engine(model).stream(request)] for request in good]
    engine = Engine(model, max_batch=max_batch)
    first = engine.add(good[0])
    at_once = engine.add(Request([7], max_new_tokens=9, seed=3))
    later = engine.add(Request([1], max_new_tokens=9, seed=3, logit_bias={7: 50.0}))
    second = engine.add(good[1])
    assert [tokens(engine, first), tokens(engine, second)] == wanted
    with pytest.raises(RequestError, match="NaN") as error:
        engine.fetch(at_once)
    assert error.value.request_id == at_once
    with pytest.raises(RequestError, match="NaN"):
        engine.fetch(later)
    assert engine.fetch(later) == [] and not engine.busy
    with pytest.raises(RequestError, match="NaN"):
        list(engine.stream(Request([7])))


def test_completions_leave_no_request_after_an_error() -> None:
    tokenizer = train_tokenizer("byte", [""])
    model = small("modern", 0)
    engine = Engine(model)
    text = "a"  # 97 is outside of the vocabulary
    for prompts, stop in ((["\n", text], ()), (["\n"], [""]), (["\n"], "ab"), (["\n"], [3])):
        with pytest.raises(UserError):
            complete(engine, tokenizer, prompts, stop=stop)  # type: ignore
        assert not engine.busy
    with pytest.raises(UserError, match="`stop` is 'ab'"):
        sample_text(model, tokenizer, stop="ab")


def test_a_cancelled_stream_ends() -> None:
    engine = Engine(MODEL, max_batch=1)
    stream = engine.stream(GOOD)
    next(stream)
    engine.cancel(1)
    assert list(stream) == []


class Nosy(PromptLookup):
    """Calls the engine during its step."""

    engine: Engine

    def propose(self, ids: object) -> list[int]:
        with pytest.raises(RuntimeError, match="busy"):
            self.engine.add(GOOD)
        with pytest.raises(RuntimeError, match="busy"):
            self.engine.step()
        self.engine.cancel(1)
        return []


def test_calls_from_within_a_step() -> None:
    draft = Nosy()
    draft.engine = engine = Engine(MODEL, draft=draft)
    engine.add(GOOD)
    second = engine.add(replace(GOOD, prompt=[3]))
    engine.step()
    assert tokens(engine, second) == list(generate(MODEL, [3], GOOD.params, max_new_tokens=6))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (dict(n_draft=0), "`n_draft` is 0"),
        (dict(min_ngram=0), "`min_ngram` is 0"),
        (dict(max_ngram=2), r"`max_ngram` is 2\. It must be at least 3"),
    ],
)
def test_bad_drafts_and_sizes(change: dict, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        PromptLookup(**change)
    with pytest.raises(UserError, match="`max_batch` is 'many'"):
        Engine(MODEL, max_batch="many")  # type: ignore
