"""Upgrade of stored verdicts from format 1, which knew rows by their names."""

from typing import Any

MODEL = "this model"
WITHOUT_SOURCE = "this model, source hidden"


def upgrade(data: dict[str, Any]) -> dict[str, Any]:
    """Return a verdict of format 1, {"scores": …} or {"rows": …}, in format 2.

    Raises KeyError or TypeError for missing or wrong fields.
    """
    rows = [_row(row) for row in (data["rows"] if "rows" in data else data["scores"])]
    named = {row["name"]: row for row in rows}
    return {
        "format": 2,
        "model": named.get(MODEL),
        "without_source": named.get(WITHOUT_SOURCE),
        "baselines": [row for row in rows if row["name"] not in (MODEL, WITHOUT_SOURCE)],
        "losses": [_row(score) for score in data.get("losses", ())],
        "asked": data.get("asked", ""),
        "sentence": data["sentence"],
        "finding": data.get("finding"),
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """Add the kind, and rename `n_right` to `n_correct`."""
    renamed = {"n_correct" if key == "n_right" else key: value for key, value in row.items()}
    return {"kind": _kind(row["name"])} | renamed


def _kind(name: str) -> str:
    known = {
        "uniform": "uniform",
        "xz": "compressor",
        "counted neighbors": "bidirectional_ngram",
        "counted neighbours": "bidirectional_ngram",
        "copying the source": "copy",
        "the most frequent answer": "most_frequent",
        "the most frequent answer to each question": "most_frequent",
        "counted n-grams of each class": "ngram",
        WITHOUT_SOURCE: "source_hidden",
    }
    return known.get(name, "ngram" if name.partition(",")[0].endswith("gram") else "other")
