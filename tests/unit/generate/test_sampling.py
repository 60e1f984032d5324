"""Each filter against a slow reading of its definition in plain Python; draws against chances."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from glassgpt.errors import UserError
from glassgpt.generate import sampling
from glassgpt.generate.sampling import SamplingParams, multinomial, probabilities, sample_inverse_cdf

NEVER = -math.inf
# Whole and half numbers make ties, which is where filters differ; −∞ is a token that is already forbidden.
LOGIT = st.one_of(st.floats(-30, 30), st.integers(-4, 4).map(lambda i: i / 2), st.just(NEVER))
ROW = st.lists(LOGIT, min_size=1, max_size=12).filter(lambda row: max(row) > NEVER)
SHARE = st.floats(0.01, 1)


def softmax(row: list[float]) -> list[float]:
    powers = [math.exp(x - max(row)) for x in row]
    return [power / math.fsum(powers) for power in powers]


def by_rank(row: list[float]) -> list[int]:
    return sorted(range(len(row)), key=lambda i: (-row[i], i))


def keep(row: list[float], kept: set[int]) -> list[float]:
    return [x if i in kept else NEVER for i, x in enumerate(row)]


def slow_top_k(row: list[float], k: int) -> list[float]:
    return keep(row, set(by_rank(row)[:k]))


def slow_top_p(row: list[float], p: float) -> list[float]:
    chances, kept, mass = softmax(row), set(), 0.0
    for i in by_rank(row):
        if mass >= p:
            break
        kept.add(i)
        mass += chances[i]
    return keep(row, kept)


def slow_min_p(row: list[float], share: float) -> list[float]:
    chances = softmax(row)
    return keep(row, {i for i, chance in enumerate(chances) if chance >= share * max(chances)})


def slow_temperature(row: list[float], t: float) -> list[float]:
    return [x / t for x in row] if t else [0.0 if i == by_rank(row)[0] else NEVER for i in range(len(row))]


def slow_repetition_penalty(row: list[float], past: list[int], penalty: float) -> list[float]:
    return [(x / penalty if x > 0 else x * penalty) if i in past else x for i, x in enumerate(row)]


def undecided(row: list[float], p: float, share: float) -> bool:
    """Whether a rounding error of a float64 may tip a token over the edge of top-p or min-p."""
    chances = softmax(row)
    ordered = [chances[i] for i in by_rank(row)]
    masses = [math.fsum(ordered[:n]) for n in range(1, len(row) + 1)]
    edges = [abs(mass - p) for mass in masses] + [
        abs(c - share * max(chances)) for c in chances if c < max(chances)
    ]
    return min(edges, default=1) < 1e-9


def tensor(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


@settings(deadline=None)
@given(row=ROW, k=st.integers(1, 15))
def test_top_k(row: list[float], k: int) -> None:
    assert sampling.top_k(tensor(row), k).tolist() == [slow_top_k(row, k)]


@settings(deadline=None)
@given(row=ROW, p=SHARE)
def test_top_p(row: list[float], p: float) -> None:
    assume(p == 1 or not undecided(row, p, 0))
    assert sampling.top_p(tensor(row), p).tolist() == [slow_top_p(row, p) if p < 1 else row]


def test_among_many_equals_the_lowest_ids_stay() -> None:
    """Long rows: sorting is stable by itself only in short ones."""
    level = [0.0, 1.0] * 2048
    assert sampling.top_k(tensor(level), 2500).tolist() == [slow_top_k(level, 2500)]
    kept = sampling.top_p(tensor([1.0] * 4096), 0.25).isfinite()
    assert kept.tolist() == [[True] * 1024 + [False] * 3072]


@settings(deadline=None)
@given(row=ROW, share=SHARE)
def test_min_p(row: list[float], share: float) -> None:
    assume(not undecided(row, 2, share))
    assert sampling.min_p(tensor(row), share).tolist() == [slow_min_p(row, share)]


@settings(deadline=None)
@given(row=ROW, t=st.just(0.0) | st.floats(0.05, 20))
def test_temperature(row: list[float], t: float) -> None:
    assert sampling.temperature(tensor(row), t).tolist()[0] == pytest.approx(
        slow_temperature(row, t), rel=1e-12
    )


@settings(deadline=None)
@given(row=ROW, past=st.lists(st.integers(-2, 11), max_size=6), penalty=st.floats(0.5, 3))
def test_repetition_penalty(row: list[float], past: list[int], penalty: float) -> None:
    past = [id for id in past if id < len(row)]
    expected = pytest.approx(slow_repetition_penalty(row, past, penalty), rel=1e-12)
    assert sampling.repetition_penalty(tensor(row), past, penalty).tolist()[0] == expected
    assert (
        sampling.repetition_penalty(tensor(row), torch.tensor([past]).long(), penalty).tolist()[0] == expected
    )


def test_repetition_penalty_counts_each_row_by_itself_and_no_padding() -> None:
    logits = torch.tensor([[2.0, -2.0, 4.0]] * 3)
    past = torch.tensor([[0, 1, 1], [-1, -1, 2], [-1, -1, -1]])
    expected = [[1.0, -4.0, 4.0], [2.0, -2.0, 2.0], [2.0, -2.0, 4.0]]
    assert sampling.repetition_penalty(logits, past, 2.0).tolist() == expected


@settings(deadline=None)
@given(row=ROW, bias=st.dictionaries(st.integers(0, 11), st.floats(-100, 100) | st.just(NEVER), max_size=4))
def test_logit_bias(row: list[float], bias: dict[int, float]) -> None:
    bias = {id: value for id, value in bias.items() if id < len(row)}
    assert sampling.logit_bias(tensor(row), bias).tolist() == [
        [x + bias.get(i, 0) for i, x in enumerate(row)]
    ]


@pytest.mark.parametrize("bias", [{3: 1.0}, {-1: 1.0}, {0: math.nan}, {0: math.inf}])
def test_logit_bias_that_means_nothing(bias: dict[int, float]) -> None:
    with pytest.raises(UserError, match="`logit_bias`"):
        sampling.logit_bias(torch.zeros(1, 3), bias)


PARAMS = st.builds(
    SamplingParams,
    temperature=st.just(0.0) | st.floats(0.1, 5),
    top_k=st.none() | st.integers(1, 12),
    top_p=st.none() | st.floats(0.01, 0.99),
    min_p=st.none() | SHARE,
    repetition_penalty=st.just(1.0) | st.floats(0.5, 3),
)


@settings(deadline=None)
@given(row=ROW, params=PARAMS, past=st.lists(st.integers(0, 11), max_size=5))
def test_the_filters_in_a_row(row: list[float], params: SamplingParams, past: list[int]) -> None:
    past = [id for id in past if id < len(row)]
    slow = slow_repetition_penalty(row, past, params.repetition_penalty)
    slow = slow_temperature([x - max(slow) for x in slow], params.temperature)
    assume(len({round(x, 9) for x in slow}) == len({*slow}))  # logits that rounding alone tells apart
    if params.top_k is not None:
        slow = slow_top_k(slow, params.top_k)
    assume(not undecided(slow, params.top_p or 2, 0))
    if params.top_p is not None:
        slow = slow_top_p(slow, params.top_p)
    assume(not undecided(slow, 2, params.min_p or 0))
    if params.min_p is not None:
        slow = slow_min_p(slow, params.min_p)
    assert probabilities(tensor(row), params, past=past).tolist()[0] == pytest.approx(
        softmax(slow), rel=1e-9, abs=1e-15
    )


@settings(deadline=None)
@given(rows=st.lists(st.lists(LOGIT, min_size=6, max_size=6), min_size=1, max_size=4), params=PARAMS)
def test_rows_do_not_see_each_other(rows: list[list[float]], params: SamplingParams) -> None:
    assume(all(max(row) > NEVER for row in rows))
    together = probabilities(tensor(*rows), params, past=[1, 2])
    alone = torch.cat([probabilities(tensor(row), params, past=[1, 2]) for row in rows])
    assert torch.equal(together, alone)
    assert together.sum(-1).tolist() == pytest.approx([1.0] * len(rows))


def test_the_notes() -> None:
    """Temperature on logits [0.1, 0.7, 0.2]: 1.5 flattens, 0.5 sharpens."""
    logits = torch.tensor([[0.1, 0.7, 0.2]])
    sharp, plain, flat = (probabilities(logits, SamplingParams(temperature=t)) for t in (0.5, 1.0, 1.5))
    assert sharp[0].tolist() == pytest.approx([0.18047, 0.59914, 0.22039], abs=1e-4)
    assert sharp.max() > plain.max() > flat.max() > 1 / 3


def test_bias_is_applied_before_the_filters() -> None:
    p = probabilities(torch.tensor([[3.0, 2.0, 1.0]]), SamplingParams(top_k=1), bias={0: NEVER, 2: 5.0})
    assert p.tolist() == [[0.0, 0.0, 1.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32_and_the_input_is_left_alone(dtype: torch.dtype) -> None:
    logits = torch.randn(2, 50, generator=torch.Generator().manual_seed(0)).to(dtype)
    before = logits.clone()
    p = probabilities(logits, SamplingParams(0.7, 9, 0.9, 0.05, 1.2), past=[1, 2], bias={4: 1.0})
    assert p.dtype == torch.float32
    assert torch.equal(logits, before)
    assert p.sum(-1).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("t", [1e-4, 1e4])
def test_extreme_temperatures_do_not_overflow(t: float) -> None:
    p = probabilities(torch.tensor([[3e38, -3e38, NEVER, 0.0]]), SamplingParams(temperature=t))
    assert p.tolist() == [[1, 0, 0, 0]]


@pytest.mark.parametrize("row", [[math.nan, 1.0], [math.inf, 1.0], [NEVER, NEVER]])
@pytest.mark.parametrize("t", [0, 1])
def test_broken_logits_are_refused(row: list[float], t: float) -> None:
    with pytest.raises(UserError, match=r"NaN or .inf, or every token"):
        probabilities(torch.tensor([[0.0, 0.0], row]), SamplingParams(temperature=t))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("temperature", [-1, -0.0001, 1e-5, 1e5, math.nan, math.inf, -math.inf]),
        ("top_k", [0, -1, 1.5, math.nan, True]),
        ("top_p", [0, -0.1, 1.01, math.nan, math.inf]),
        ("min_p", [-0.1, 1.01, math.nan]),
        ("repetition_penalty", [0, -1, math.nan, math.inf]),
    ],
)
def test_params_that_mean_nothing(name: str, values: list[float]) -> None:
    for value in values:
        with pytest.raises(UserError, match=f"`{name}` is {value}. It must be"):
            SamplingParams(**{name: value})


def test_params_at_their_limits() -> None:
    for params in (
        {"temperature": 0},
        {"top_k": 1},
        {"top_p": 1},
        {"min_p": 0},
        {"min_p": 1},
        {"top_p": 1e-9},
    ):
        SamplingParams(**params)
    assert hash(SamplingParams()) == hash(SamplingParams())


def test_greedy_takes_the_first_of_the_largest() -> None:
    logits = torch.tensor([[0.0, 2.0, 2.0], [5.0, 5.0, 5.0], [NEVER, NEVER, 0.0]])
    for params in (SamplingParams(temperature=0), SamplingParams(top_k=1)):
        p = probabilities(logits, params)
        assert p.argmax(-1).tolist() == [1, 0, 2] and p.max(-1).values.tolist() == [1, 1, 1]


def test_samples_follow_the_probabilities_and_the_numbers() -> None:
    logits = torch.tensor([[1.0, 0.0, -1.0, 3.0]]).repeat(40_000, 1)
    params = SamplingParams(temperature=1.5, top_k=3)

    def sample(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        u = torch.rand(40_000, dtype=torch.float64, generator=generator)
        return sample_inverse_cdf(probabilities(logits, params), u)

    first = sample(7)
    assert torch.equal(first, sample(7))
    assert not torch.equal(first, sample(8))
    shares = torch.bincount(first, minlength=4) / len(first)
    assert shares.tolist() == pytest.approx(probabilities(logits[:1], params)[0].tolist(), abs=0.012)  # 5 σ
    assert shares[2] == 0


# --- multinomial: the fact of the notes


def draws(p: torch.Tensor, n: int, replacement: bool, times: int) -> torch.Tensor:
    return multinomial(p.expand(times, -1), n, replacement, torch.Generator().manual_seed(0))


def test_three_draws_without_replacement_are_an_order_of_all() -> None:
    p = torch.tensor([0.2, 0.5, 0.3])
    drawn = draws(p, 3, False, 40_000)
    assert (drawn.sort(-1).values == torch.arange(3)).all()
    for order in [(0, 1, 2), (1, 2, 0), (2, 1, 0)]:
        a, b, _ = order
        chance = float(p[a] * p[b] / (1 - p[a]))
        share = float((drawn == torch.tensor(order)).all(-1).float().mean())
        assert share == pytest.approx(chance, abs=5 * math.sqrt(chance / 40_000))


def test_draws_with_replacement_are_independent() -> None:
    p = torch.tensor([0.2, 0.5, 0.3])
    drawn = draws(p, 2, True, 40_000)
    share = torch.bincount(drawn[:, 0] * 3 + drawn[:, 1], minlength=9) / 40_000
    assert share.tolist() == pytest.approx(torch.outer(p, p).flatten().tolist(), abs=0.0125)


def test_a_vector_gives_a_vector_and_rows_are_drawn_from_by_themselves() -> None:
    assert multinomial(torch.tensor([0.0, 1.0]), 4, replacement=True).tolist() == [1, 1, 1, 1]
    two = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 0.0, 0.0]])
    drawn = multinomial(two, 2, replacement=True)
    assert drawn.shape == (2, 2) and (drawn[0] >= 2).all() and (drawn[1] < 2).all()
    assert multinomial(torch.tensor([3, 0, 1]), 2).sort().values.tolist() == [0, 2]  # counts do, too


@pytest.mark.parametrize(
    ("p", "n", "replacement", "reason"),
    [
        ([0.5, 0.5], 0, True, "`n` is 0"),
        ([0.5, 0.5], 3, False, "`n` is 3. It must be at most 2"),
        ([[0.5, 0.5], [0.0, 1.0]], 2, False, "`n` is 2. It must be at most 1"),
        ([0.5, -0.5], 1, False, "not negative"),
        ([0.0, 0.0], 1, False, "one above 0"),
        ([[1.0, 0.0], [0.0, 0.0]], 1, True, "one above 0"),
        ([math.nan, 1.0], 1, False, "finite"),
        ([math.inf, 1.0], 1, False, "finite"),
        ([], 1, True, "one above 0"),
    ],
)
def test_what_cannot_be_drawn_from(p: list, n: int, replacement: bool, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        multinomial(torch.tensor(p), n, replacement)
