"""How the doctor's rates are counted: the words of others in ours, detections, categories, causes."""

from __future__ import annotations

from collections import Counter
from typing import Any

CATEGORIES = {
    "masking": {"mask"},
    "qkv": {"projections", "attention"},
    "score": {"attention scores", "numerics"},
    "positional": {"positions"},
    "kernel": {"attention scores", "dropout"},
    "variant": {"projections", "attention", "mask"},
    "kv_cache": {"cache"},
    "embedding": {"embedding"},
    "ffn": {"mlp"},
    "layernorm": {"normalization"},
    "residual": {"residual"},
    "output": {"output"},
}
"""Their categories → ours."""
CAUSES = {
    "mask_application": {"the mask is not applied", "the mask is inverted"},
    "mask_generation": {
        "the mask hides and opens the wrong keys",
        "the mask differs between sequences or heads",
        "a part of the past is not seen",
    },
    "dynamic_mask": {"a position sees a part of the future", "the mask differs between sequences or heads"},
    "parameter_initialization": {"a matrix is zero", "queries or keys are zero"},
    "head_interaction": {"queries and keys are exchanged", "rows of a matrix are equal", "heads are equal"},
    "dynamic_parameter_registration": {"the gradient does not reach a parameter", "parameters are frozen"},
    "normalization": {"scores are not divided by √d", "scores have the wrong size"},
    "implementation": {"dropout before the softmax"},
    "precision_handling": {"computed in lower precision than the weights"},
    "indexing": {"the order of tokens is not seen", "position vectors are zero"},
    "relative_position": {"positions are shifted", "positions repeat"},
    "interpolation": {"positions repeat"},
    "variant_configuration": {"queries or keys are zero", "heads are equal", "rows of a matrix are equal"},
    "cache_invalidation": {"cached states are used wrongly", "decoding with the cache fails"},
    "cache_position": {"cached states are used wrongly"},
    "memory_layout": {"the cache loses the beginning", "cached states are used wrongly"},
    "distributed_synchronization": {"a cache keeps states of another text"},
    "input_initialization": {"rows of a matrix are zero"},
    "input_type": {"tokens are exchanged"},
    "weight_scaling": {"the MLP's matrices have the wrong size", "the MLP's output has the wrong size"},
    "neuron_dropout": {"rows of a matrix are zero", "hidden units are dead"},
    "activation_function": {"the activation is not the stated one"},
    "weight_initialization": {"a matrix is constant", "a part does harm", "a matrix is zero"},
    "scale_parameter": {"the gain has the wrong size", "the gain is zero"},
    "bias_parameter": {"the bias is shifted in all channels"},
    "stability_parameter": {"eps is not the stated one", "eps is large"},
    "skip_connection": {"the skip connection is missing"},
    "residual_scaling": {"the skip connection is scaled"},
    "residual_path": {"noise is added"},
    "output_scaling": {"logits have the wrong size"},
    "output_dimension": {
        "a matrix is zero",
        "logits are shifted against the tokens",
        "logits do not fit the vocabulary",
        "rows of a matrix are zero",
    },
    "output_type": {"a matrix is zero", "logits have the wrong size", "worse than a uniform guess"},
}
"""Their root causes → ours."""
Row = dict[str, Any]


def rates(found: int, alarms: int, of: int) -> dict[str, float]:
    """Return precision, recall and F1 of `found` faults of `of`, with `alarms` on healthy ones."""
    precision, recall = found / max(1, found + alarms), found / max(1, of)
    f1 = 2 * precision * recall / max(1e-9, precision + recall)
    return {"precision": round(precision, 3), "recall": round(recall, 3), "f1": round(f1, 3)}


def of_foreign(rows: list[Row]) -> Row:
    """Count detections, categories and causes of killed mutants, and alarms on healthy models.

    A mutant is detected if there is any problem; category and cause are those of the first.
    """
    clean = [row for row in rows if row["operator"] is None]
    killed = [row for row in rows if row.get("killed") and "error" not in row]
    detected = [row for row in killed if row["problems"]]
    right = [row for row in detected if row["problems"][0][0] in CATEGORIES[row["category"]]]
    caused = [row for row in detected if row["problems"][0][1] in CAUSES.get(row["cause"], set())]
    alarms = [row for row in clean if row["problems"]]
    matrix = Counter(
        (row["category"], row["problems"][0][0] if row["problems"] else "none") for row in killed
    )
    return {
        "mutants": sum(row["operator"] is not None for row in rows),
        "not applicable or not runnable": sum("error" in row for row in rows),
        "killed": len(killed),
        "detected": len(detected),
        "healthy controls": len(clean),
        "alarms on healthy controls": len(alarms),
        **rates(len(detected), len(alarms), len(killed)),
        "category": round(len(right) / max(1, len(killed)), 3),
        "cause": round(len(caused) / max(1, len(killed)), 3),
        "confusion": {f"{theirs} → {ours}": n for (theirs, ours), n in sorted(matrix.items())},
        "misses": [
            {key: row.get(key) for key in ("model", "operator", "value", "blocks", "category", "cause")}
            | {"named": [problem[:2] for problem in row["problems"][:2]]}
            for row in killed
            if row not in right or row not in caused
        ],
        "alarms": [row["problems"][0][:2] for row in alarms],
    }


def of_ports(rows: list[Row]) -> Row:
    """Count ported faults that are named where their healthy twin is silent.

    A problem that the twin has as well does not count. A cause is right if it is named first or second.
    """
    for row in rows:
        twin = {cause for _, cause in row["twin"]}
        row["own"] = [problem for problem in row["named"] if problem[1] not in twin]
        row["cause found"] = any(cause in row["causes"] for _, cause in row["own"][:2])
        row["category found"] = any(category in row["categories"] for category, _ in row["own"][:2])
    return {
        "ported": len(rows),
        "detected": sum(bool(row["own"]) for row in rows),
        "category": sum(row["category found"] for row in rows),
        "cause": sum(row["cause found"] for row in rows),
        "alarms on healthy twins": sum(bool(row["twin"]) for row in rows),
        "misses": [
            {key: row[key] for key in ("name", "what", "named", "twin")}
            for row in rows
            if not row["cause found"]
        ],
    }


def of_planted(rows: list[Row]) -> Row:
    """Count planted bugs whose part is named first or second."""
    matrix = Counter((row["part"], row["named"][0][0] if row["named"] else "none") for row in rows)
    return {
        "bugs": len({row["bug"] for row in rows}),
        "cases": len(rows),
        "detected": sum(bool(row["named"]) for row in rows),
        "named first or second": round(sum(row["ok"] for row in rows) / max(1, len(rows)), 3),
        "confusion": {f"{part} → {named}": n for (part, named), n in sorted(matrix.items())},
        "misses": [row for row in rows if not row["ok"]],
    }
