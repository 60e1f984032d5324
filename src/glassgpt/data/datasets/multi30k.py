"""Multi30k, task 1: English captions of photographs and their German translations.

It has 29,000 training pairs, 1,014 validation pairs and the 1,000 pairs of test_2016_flickr. This is the
authors' split, so published figures are comparable. The user's own pairs are read by examples/pairs.py.
Source: Elliott et al. 2016, "Multi30K: Multilingual English-German Image Descriptions".
"""

from __future__ import annotations

import gzip

from glassgpt.data.examples import Example, ExampleCorpus
from glassgpt.data.files import known_file
from glassgpt.language import N_

URL = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/{}"
SHA256 = {
    "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "test_2016_flickr.de.gz": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
}
OTHERWISE = N_("train on 'dates', which needs no download")


def multi30k_en_de() -> ExampleCorpus:
    """Read Multi30k, English to German, with the original text of each line.

    The files are `multi30k/*.gz` in $GLASSGPT_DATA, or downloaded (1.3 MB); their SHA-256 is verified.
    Raises UserError if a hash differs or a download fails.
    """
    return ExampleCorpus(_pairs("train"), _pairs("val"), test=_pairs("test_2016_flickr"))


def _pairs(split: str) -> list[Example]:
    english, german = _lines(f"{split}.en.gz"), _lines(f"{split}.de.gz")
    return [
        Example(source=source, target=target, where=f"multi30k/{split}.en.gz:{number}")
        for number, (source, target) in enumerate(zip(english, german, strict=True), 1)
    ]


def _lines(name: str) -> list[str]:
    data = known_file(f"multi30k/{name}", URL.format(name), SHA256[name], OTHERWISE)
    return gzip.decompress(data).decode("utf-8").splitlines()
