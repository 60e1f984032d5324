"""Rows of different lengths survive being flattened and padded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassgpt.data.batches.ragged import Ragged

ROWS = st.lists(st.lists(st.integers(0, 1 << 20), max_size=6), max_size=8)


@given(ROWS)
def test_rows_come_back(rows: list[list[int]]) -> None:
    ragged = Ragged.of(rows)
    assert [ragged[i].tolist() for i in range(len(ragged))] == rows
    assert ragged.lengths.tolist() == [len(row) for row in rows]


@given(ROWS.filter(bool), st.data())
def test_a_matrix_holds_the_chosen_rows_filled_up(rows: list[list[int]], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=5))
    matrix = Ragged.of(rows).matrix(np.array(chosen, np.int64), fill=-1)
    longest = max((len(rows[i]) for i in chosen), default=0)
    assert matrix.dtype == np.int64 and matrix.shape == (len(chosen), longest)
    assert matrix.tolist() == [rows[i] + [-1] * (longest - len(rows[i])) for i in chosen]


@pytest.mark.parametrize(("largest", "dtype"), [(65_535, np.uint16), (65_536, np.int32)])
def test_ids_take_two_bytes_where_they_fit(largest: int, dtype: type) -> None:
    ragged = Ragged.of([[0], [largest]])
    assert ragged.ids.dtype == dtype and ragged[1].tolist() == [largest]
