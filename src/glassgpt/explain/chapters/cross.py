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
    Cut,
    Looks,
    alignment,
    asked_cell,
    cross_weights,
    cut,
    question,
    resting,
)
from glassgpt.lens import token_labels

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "Cross-attention: one sequence asks another, or an image"

N_EXAMPLES, N_CUT = 400, 200
"""Held-out examples in which heads are compared, and those that are answered with and without
memory."""
TEXT_FITS, SOURCE_FITS, FEW = 12, 24, 20
"""Tokens of an example that is shown, and how many such examples it is chosen from."""


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """The chapter, computed now."""
    sentence, image = parts = _sentence(context, _), _image(context, _)
    body = (
        _(
            "In self-attention queries, keys and values come from the same tokens. In cross-attention "
            "the queries come from what is being written, keys and values from something else that "
            "stays as it is: the memory. Nothing else differs; it is the same module with the same "
            "arithmetic, and no causal mask, since all of the memory may be looked at."
        ),
        *sentence.body,
        *image.body,
        _(
            "The counter-test: put zeros in place of the memory and ask again. Then all keys are alike "
            "and all values are alike, and what is left is guessing: at best the most frequent answer "
            "to each question."
        ),
        Grid(
            _("answers exactly right, share"),
            [part.demo.name for part in parts],
            (_("with memory"), _("memory zeroed"), _("best guess")),
            [
                [n / part.cut.n for n in (part.cut.right, part.cut.blind, part.cut.countable)]
                for part in parts
            ],
            decimals=3,
        ),
    )
    findings = [finding for part in parts for finding in part.findings]

    def draw() -> Plot:
        return _picture(sentence, image, _)

    return Chapter("cross", _(TITLE), body, tuple(findings), draw, _)


@dataclass(frozen=True)
class Part:
    """A half of the chapter, and what its picture shows."""

    demo: Demo
    cut: Cut
    looks: Looks | None
    body: tuple[str | Grid, ...]
    findings: tuple[Finding, ...]
    title: str
    weights: Tensor
    """(T, S) of the sentence, (patches, patches) of the image."""
    row: int


def _sentence(context: ChapterContext, _: Translate) -> Part:
    demo = context.demo("seq2seq")
    split, rows = demo.examples.val, _rows(demo, context)
    cut_off, looks = cut(demo, rows[:N_CUT]), alignment(demo, rows)
    row = _short(split, rows)
    layer, head = (looks.layer, looks.head) if looks else (demo.model.config.n_layer - 1, 0)
    weights = cross_weights(demo, np.array([row]))[0, layer, head]  # (T, S)
    source, target = (token_labels(demo.tokenizer, ids) for ids in _sides(split, row))
    source_text, target_text = (demo.tokenizer.decode(ids) for ids in _sides(split, row))
    body = [
        _(
            "Translation: {name} has read “{source}” and writes “{target}”. Layer {layer}, head "
            "{head}: each column is a token that is being written, each row one of the source, and the "
            "weights of a column sum to 1."
        ).format(name=demo.name, source=source_text, target=target_text, layer=layer, head=head),
        Grid.of(_("where each written token (column) looks in the source (row)"), source, target, weights.mT),
    ]
    told, found = _how_it_looks(
        looks,
        _("head on the token that is copied, share"),
        measured=_(
            "Nobody told it what belongs to what. Over {n} tokens of other held-out examples that "
            "are copied from one place, this head looks hardest at just that place in {share:.0%}; "
            "a head that looks anywhere would in {chance:.0%}. The head was chosen on half of the "
            "examples and measured on the other half."
        ),
        otherwise=_(
            "Too few tokens of this run stand both in the source and in the answer to measure "
            "which head aligns them best; the last layer's first head is shown."
        ),
    )
    findings = (*found, *_cut_findings(_("sentence"), cut_off, _))
    return Part(demo, cut_off, looks, (*body, told), findings, target_text, weights, row)


def _image(context: ChapterContext, _: Translate) -> Part:
    demo = context.demo("captioner")
    split, rows = demo.examples.val, _rows(demo, context)
    cut_off, looks = cut(demo, rows[:N_CUT]), resting(demo, rows)
    side = demo.model.config.image_size // demo.model.config.patch_size
    row = _shown(demo, rows, side)
    layer, head = (looks.layer, looks.head) if looks else (demo.model.config.n_layer - 1, 0)
    weights = cross_weights(demo, np.array([row]))[0, layer, head, split.n_prompt[row] - 1].view(side, side)
    asked = question(demo, row)
    said = demo.tokenizer.decode(split.text[row][split.n_prompt[row] :])
    places = [str(i + 1) for i in range(side)]
    body = [
        _(
            "An image: {name} is asked “{question}” (right is “{answer}”). The question is the query, "
            "the {n} patches of the image are keys and values. This is what layer {layer}, head {head} "
            "looks at, patch by patch, just before the answer."
        ).format(name=demo.name, question=asked, answer=said, n=side * side, layer=layer, head=head),
        Grid.of(_("attention by row and column of patches"), places, places, weights),
    ]
    told, found = _how_it_looks(
        looks,
        _("attention in the asked cell, share"),
        measured=_(
            "Over {n} other questions that name a place, {share:.0%} of its attention rests in the "
            "cell that is asked for, which is {chance:.0%} of the image."
        ),
        otherwise=_(
            "Its questions name no cell of a grid, so nothing says where it should look; the last "
            "layer's first head is shown."
        ),
    )
    findings = (*found, *_cut_findings(_("image"), cut_off, _))
    return Part(demo, cut_off, looks, (*body, told), findings, asked, weights, row)


def _shown(demo: Demo, rows: np.ndarray, side: int) -> int:
    """The first question for a place with something in it, in the script that every font has; else the
    first."""
    split = demo.examples.val
    for row in rows.tolist():
        asked = question(demo, row)
        answer = demo.tokenizer.decode(split.text[row][split.n_prompt[row] :])
        if asked.isascii() and answer.isdigit() and asked_cell(asked, side) is not None:
            return row
    return int(rows[0])


def _how_it_looks(
    looks: Looks | None, name: str, *, measured: str, otherwise: str
) -> tuple[str, tuple[Finding, ...]]:
    """What is said of the head that is shown, and its finding where its looks could be measured."""
    if looks is None:
        return otherwise, ()
    told = measured.format(n=looks.n, share=looks.share, chance=looks.chance)
    return told, (Finding.at_least(name, looks.share, looks.limit),)


def _cut_findings(what: str, cut_off: Cut, _: Translate) -> tuple[Finding, ...]:
    name = _("{what}: tokens that the memory makes right, share").format(what=what)
    gain = Finding.at_least(name, cut_off.gain, cut_off.limit)
    if gain.outcome != "ok":  # a model that has learned little may gain little: no theory forbids it
        advice = _("too little to tell from chance here; train it longer")
        gain = replace(gain, outcome="unclear", advice=advice)
    return (
        gain,
        Finding.at_most(
            _("{what}: answers right with the memory zeroed, share").format(what=what),
            cut_off.blind / cut_off.n,
            cut_off.countable / cut_off.n,
        ),
    )


def _rows(demo: Demo, context: ChapterContext) -> np.ndarray:
    """Held-out examples in random order."""
    order = torch.randperm(len(demo.examples.val), generator=context.generator())
    return order[:N_EXAMPLES].numpy()


def _sides(split: ExampleSplit, row: int) -> tuple[np.ndarray, np.ndarray]:
    return split.source[row], split.text[row][split.n_prompt[row] :]


def _short(split: ExampleSplit, rows: np.ndarray) -> int:
    """Of the examples that fit a page the one with the most different tokens in its source, else the
    shortest."""
    sides = {row: _sides(split, row) for row in rows.tolist()}
    fitting = [
        r for r, (source, target) in sides.items() if len(source) <= SOURCE_FITS and len(target) <= TEXT_FITS
    ]
    if not fitting:
        return int(rows[split.lengths[rows].argmin()])
    return max(fitting[:FEW], key=lambda row: len(set(sides[row][0].tolist())))


def _picture(sentence: Part, image: Part, _: Translate) -> Plot:
    from glassgpt.plots import heat_map, heaviest, panels

    tokenizer, (source, target) = (
        sentence.demo.tokenizer,
        _sides(sentence.demo.examples.val, sentence.row),
    )
    weights, side = sentence.weights.mT.numpy(), len(image.weights)
    picture, (left, middle, right) = panels(3, size=(5.2, 6.2))
    heat_map(
        weights,
        token_labels(tokenizer, source),
        token_labels(tokenizer, target),
        title=sentence.title,
        row_title=_("source"),
        column_title=_("answer"),
        marked=heaviest(weights.T).T,
        limits=(0.0, 1.0),
        cell_text=False,
        bar_title=_("weight"),
        axes=left,
    )
    split = image.demo.examples.val
    assert split.images is not None and split.image is not None
    pixels = split.images[split.image[image.row]].mean(0) / 255  # (H, W)
    blank, title = [""] * len(pixels), image.title
    heat_map(pixels, blank, blank, title=title, cell_text=False, bar_title=_("brightness"), axes=middle)
    heat_map(
        image.weights,
        blank[:side],
        blank[:side],
        title=_("where the question looks"),
        marked=asked_cell(image.title, side),
        limits=(0.0, 1.0),
        axes=right,
    )
    for axes in (middle, right):
        axes.set(xticks=[], yticks=[])
    return picture
