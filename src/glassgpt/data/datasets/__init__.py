"""Built-in datasets: dates, scenes, Multi30k."""

from glassgpt.data.datasets.dates import dates, located_test_dates
from glassgpt.data.datasets.multi30k import multi30k_en_de
from glassgpt.data.datasets.scenes import ENGLISH, cell_of, kind_of, scenes

__all__ = ["ENGLISH", "cell_of", "dates", "kind_of", "located_test_dates", "multi30k_en_de", "scenes"]
