"""Guess a legacy encoding (older than UTF-8) from a sample; the user is told, as it can be wrong.

Chinese, Japanese and Korean are recognized by frequent characters, alphabets by charset-normalizer.
"""

from __future__ import annotations

# The most frequent characters: a fifth or more of prose, about a hundredth of a wrong decoding. They decide
# even for short texts; there charset-normalizer takes one Chinese text in twenty for Korean.
COMMON = {
    "gb18030": "的一是不了在人有我他这中大来上个国到说们为子和你地出之也者而以其，。、：",
    "big5": "的一是不了在人有我他這中大來上個國到說們為子和你地出之也者而以其，。、：",
    "cp932": "のにはをたがでてとしれさいるっなんかもこすくら、。ンスルーイトリラクア",
    "euc_jp": "のにはをたがでてとしれさいるっなんかもこすくら、。ンスルーイトリラクア",
    "cp949": "이다는에의가을지고하은를기도로한어사자서리나인아시대그",
}
SINGLE_BYTE = ["cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256"]
"""Encodings of alphabets. The first one wins a tie."""


def legacy(sample: bytes) -> str:
    """Guess the most probable legacy encoding of a sample.

    >>> legacy("Où est passée la règle du jeu, demandait-il à sa mère.".encode("latin-1"))
    'cp1252'
    """
    shares = {encoding: _common_share(sample, encoding) for encoding in COMMON}
    best = max(shares, key=shares.__getitem__)
    if shares[best] >= 0.1:
        return best
    from charset_normalizer import from_bytes

    matches = from_bytes(sample, cp_isolation=SINGLE_BYTE)
    candidates = [
        (match.chaos, -match.coherence, SINGLE_BYTE.index(encoding))
        for match in matches
        for encoding in match.could_be_from_charset
        if encoding in SINGLE_BYTE
    ]
    return SINGLE_BYTE[min(candidates)[2]] if candidates else "latin-1"


def _common_share(sample: bytes, encoding: str) -> float:
    others = [char for char in sample.decode(encoding, "replace") if char > "\x7f"]
    return sum(char in COMMON[encoding] for char in others) / max(1, len(others))
