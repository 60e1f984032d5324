"""Chapter `cross`: queries from one sequence, keys and values from another.

A sentence is aligned with its translation, and a question asks an image. The counter-test takes the memory
away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from glassgpt.data import ExampleSplit
from glassgpt.diagnose import Finding
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext, Demo
from glassgpt.explain.cross_attention import (
    BestHead,
    MemoryAblation,
    ablate_memory,
    asked_cell,
    cell_head,
    copy_head,
    cross_weights,
    question,
)
from glassgpt.language import language
from glassgpt.lens import token_labels

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "Cross-attention: one sequence asks another, or an image"

N_EXAMPLES, N_CUT = 400, 200
"""Held-out examples to compare heads, and to answer with and without memory."""
TEXT_FITS, SOURCE_FITS, FEW = 12, 24, 20
"""Maximum of tokens in the example, and the number of examples to choose from."""


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    sentence, image = parts = _sentence(context, _), _image(context, _)
    body = (
        _(
            "In self-attention, queries, keys and values come from the same tokens. In cross-attention, "
            "queries come from the text that the decoder generates; keys and values come from fixed encoder "
            "states, the memory. It is the same module with the same arithmetic. It has no causal mask: "
            "every query may attend to the whole memory."
        ),
        _(
            "The notes have it the other way round, “X → K, others → Q, V”. The sequence that asks, X, gives "
            "Q. The other one gives both K and V. The shapes leave no choice: below, {T} tokens ask "
            "{S} source tokens, so the weights Q @ Kᵀ are ({T}, {S}). Weights @ V needs one value for each "
            "column, so V has {S} rows, as K has, and the result has {T} rows, as Q has."
        ).format(T=sentence.weights.shape[0], S=sentence.weights.shape[1]),
        *sentence.body,
        *image.body,
        _(
            "The counter-test: replace the memory by zeros and ask again. Then all keys are equal and all "
            "values are equal, so the model can only guess: at best the most frequent answer to each "
            "question."
        ),
        Grid(
            _("answers exactly right, share"),
            [part.demo.name for part in parts],
            (_("with memory"), _("memory zeroed"), _("best guess")),
            [
                [
                    n / part.ablated.n
                    for n in (
                        part.ablated.n_correct,
                        part.ablated.n_correct_zeroed,
                        part.ablated.n_best_guess,
                    )
                ]
                for part in parts
            ],
            decimals=3,
        ),
    )
    findings = [finding for part in parts for finding in part.findings]

    def draw() -> Plot:
        return _plot(sentence, image, _)

    return Chapter("cross", _(TITLE), body, tuple(findings), draw, _)


@dataclass(frozen=True)
class Part:
    """Half of the chapter, with the data of its plot."""

    demo: Demo
    ablated: MemoryAblation
    looks: BestHead | None
    body: tuple[str | Grid, ...]
    findings: tuple[Finding, ...]
    head: str
    """Layer and head, in words."""
    title: str
    weights: Tensor
    """(T, S) of the sentence, (patches, patches) of the image."""
    row: int


def _sentence(context: ChapterContext, _: Translate) -> Part:
    demo = context.demo("seq2seq")
    split, rows = demo.examples.val, _rows(demo, context)
    ablated, looks = ablate_memory(demo, rows[:N_CUT]), copy_head(demo, rows)
    row = _short(split, rows)
    layer, head = (looks.layer, looks.head) if looks else (demo.model.config.n_layer - 1, 0)
    weights = cross_weights(demo, np.array([row]))[0, layer, head]  # (T, S)
    source, target = (token_labels(demo.tokenizer, ids) for ids in _sides(split, row))
    source_text, target_text = (demo.tokenizer.decode(ids) for ids in _sides(split, row))
    body = [
        _(
            "Translation: {name} gets “{source}” and generates “{target}”. In layer {layer}, head {head}, "
            "each column is a generated token and each row a source token; the weights of a column sum to "
            "1."
        ).format(name=demo.name, source=source_text, target=target_text, layer=layer, head=head),
        Grid.of(
            _("attention of each generated token (column) to the source (row)"), source, target, weights.mT
        ),
    ]
    told, found = _head_text(
        looks,
        _("head on the copied token, share"),
        measured=_(
            "The training data has no alignments. In other held-out examples, {n} tokens are copied from "
            "one source token. This head has its largest weight on that source token in {share:.0%} of "
            "them; a random head would reach {chance:.0%}. The head was chosen on half of the examples and "
            "measured on the other half."
        ),
        otherwise=_(
            "In this run, too few tokens occur both in the source and in the answer to find the best "
            "aligning head. The first head of the last layer is shown."
        ),
    )
    findings = (*found, *_memory_findings(_("sentence"), ablated, _))
    return Part(
        demo, ablated, looks, (*body, told), findings, _place(layer, head, _), target_text, weights, row
    )


def _image(context: ChapterContext, _: Translate) -> Part:
    demo = context.demo("captioner")
    split, rows = demo.examples.val, _rows(demo, context)
    ablated, looks = ablate_memory(demo, rows[:N_CUT]), cell_head(demo, rows)
    side = demo.model.config.image_size // demo.model.config.patch_size
    row = _shown(demo, rows, side)
    layer, head = (looks.layer, looks.head) if looks else (demo.model.config.n_layer - 1, 0)
    weights = cross_weights(demo, np.array([row]))[0, layer, head, split.n_prompt[row] - 1].view(side, side)
    asked = question(demo, row)
    said = demo.tokenizer.decode(split.text[row][split.n_prompt[row] :])
    places = [str(i + 1) for i in range(side)]
    body = [
        _(
            "An image: the question to {name} is “{question}” (correct answer: “{answer}”). The question "
            "gives the queries, the {n} patches of the image give keys and values. The table shows the "
            "attention of layer {layer}, head {head} to each patch, just before the answer."
        ).format(name=demo.name, question=asked, answer=said, n=side * side, layer=layer, head=head),
        Grid.of(_("attention by row and column of patches"), places, places, weights),
    ]
    told, found = _head_text(
        looks,
        _("attention in the asked cell, share"),
        measured=_(
            "On {n} other questions about a place, {share:.0%} of its attention is in the cell of the "
            "question; this cell is {chance:.0%} of the image."
        ),
        otherwise=_(
            "Its questions name no cell of a grid, so the right place is unknown. The first head of the "
            "last layer is shown."
        ),
    )
    findings = (*found, *_memory_findings(_("image"), ablated, _))
    return Part(demo, ablated, looks, (*body, told), findings, _place(layer, head, _), asked, weights, row)


def _place(layer: int, head: int, _: Translate) -> str:
    return _("layer {layer}, head {head}").format(layer=layer, head=head)


def _shown(demo: Demo, rows: np.ndarray, side: int) -> int:
    """Choose the first question about a place with a digit, in the reader's language; else the first one."""
    split, english = demo.examples.val, language() == "en"
    for row in rows.tolist():
        asked = question(demo, row)
        answer = demo.tokenizer.decode(split.text[row][split.n_prompt[row] :])
        if asked.isascii() == english and answer.isdigit() and asked_cell(asked, side) is not None:
            return row
    return int(rows[0])


def _head_text(
    looks: BestHead | None, name: str, *, measured: str, otherwise: str
) -> tuple[str, tuple[Finding, ...]]:
    """Return the text about the head, and its finding if it was measured."""
    if looks is None:
        return otherwise, ()
    told = measured.format(n=looks.n, share=looks.share, chance=looks.chance)
    return told, (Finding.at_least(name, looks.share, looks.limit),)


def _memory_findings(what: str, ablated: MemoryAblation, _: Translate) -> tuple[Finding, ...]:
    name = _("{what}: tokens correct only with the memory, share").format(what=what)
    gain = Finding.at_least(name, ablated.gain, ablated.limit)
    if gain.outcome != "ok":  # a model that has learned little may gain little: no theory forbids it
        advice = _("too little to tell from chance. Train it longer.")
        gain = replace(gain, outcome="unclear", advice=advice)
    return (
        gain,
        Finding.at_most(
            _("{what}: correct answers with the memory zeroed, share").format(what=what),
            ablated.n_correct_zeroed / ablated.n,
            ablated.n_best_guess / ablated.n,
        ),
    )


def _rows(demo: Demo, context: ChapterContext) -> np.ndarray:
    """Return rows of held-out examples in random order."""
    order = torch.randperm(len(demo.examples.val), generator=context.generator())
    return order[:N_EXAMPLES].numpy()


def _sides(split: ExampleSplit, row: int) -> tuple[np.ndarray, np.ndarray]:
    return split.source[row], split.text[row][split.n_prompt[row] :]


def _short(split: ExampleSplit, rows: np.ndarray) -> int:
    """Choose a short example with many different source tokens, or the shortest."""
    sides = {row: _sides(split, row) for row in rows.tolist()}
    fitting = [
        r for r, (source, target) in sides.items() if len(source) <= SOURCE_FITS and len(target) <= TEXT_FITS
    ]
    if not fitting:
        return int(rows[split.lengths[rows].argmin()])
    return max(fitting[:FEW], key=lambda row: len(set(sides[row][0].tolist())))


def _plot(sentence: Part, image: Part, _: Translate) -> Plot:
    from glassgpt.explain.pictures.cross import draw

    split = image.demo.examples.val
    assert split.images is not None and split.image is not None
    source, target = _sides(sentence.demo.examples.val, sentence.row)
    tokenizer = sentence.demo.tokenizer
    return draw(
        _,
        token_labels(tokenizer, source),
        token_labels(tokenizer, target),
        sentence.weights,
        sentence.head,
        torch.from_numpy(split.images[split.image[image.row]]),
        image.weights,
        image.title,
        image.demo.tokenizer.decode(split.text[image.row][split.n_prompt[image.row] :]),
        image.head,
    )
