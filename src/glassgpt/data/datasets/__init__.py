"""Built-in datasets: dates, scenes and Multi30k."""

from glassgpt.data.datasets.dates import located_test_dates, make_dates
from glassgpt.data.datasets.fields import answer_fields
from glassgpt.data.datasets.multi30k import multi30k_en_de
from glassgpt.data.datasets.registry import BUILT_IN, check_dataset, datasets_for, read_dataset
from glassgpt.data.datasets.scenes import ENGLISH, cell_of, kind_of, make_scenes

__all__ = [
    "BUILT_IN",
    "ENGLISH",
    "answer_fields",
    "cell_of",
    "check_dataset",
    "datasets_for",
    "kind_of",
    "located_test_dates",
    "make_dates",
    "make_scenes",
    "multi30k_en_de",
    "read_dataset",
]
