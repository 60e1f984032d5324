"""`glassgpt sample`: text from a trained model, token by token."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.checkpoint import Run, learned_a_list, run_tokens
from glassgpt.cli.arguments import Device, Draft, Json, MinP, RunFolder, TopK, TopP, unescaped
from glassgpt.cli.progress import record_use
from glassgpt.cli.view.copying import open_meter, print_copying
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.samples import note_known, print_sample, write_samples
from glassgpt.cli.view.terminal import Terminal, print_json, print_line, print_note
from glassgpt.cli.view.terminal_input import read_text
from glassgpt.errors import UserError
from glassgpt.generate import (
    Completion,
    Engine,
    Precision,
    PromptLookup,
    Request,
    SamplingParams,
    complete,
    derived_seed,
    sample_lines,
    stream_text,
)
from glassgpt.language import _
from glassgpt.option_groups import BASICS, MACHINE, OUTPUT, SAMPLING
from glassgpt.paths import check_file
from glassgpt.tokenizers import END_OF_DOCUMENT, Tokenizer

LINES = 10
"""Number of lines of a model that learned a list, if no other length is given."""
TEMPERATURE, LIST_TEMPERATURE = 0.8, 1.0
"""Below 1, frequent beginnings of a list become more frequent, and more of its lines come back."""
DRAFTS = ("none", "prompt", "text")


def sample(
    run: RunFolder,
    *,
    prompt: Annotated[str | None, Parameter(group=BASICS)] = None,
    prompt_file: Annotated[Path | None, Parameter(group=BASICS)] = None,
    max_new_tokens: Annotated[int, Parameter(group=BASICS)] = 500,
    temperature: Annotated[float | None, Parameter(group=BASICS)] = None,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    repetition_penalty: Annotated[float, Parameter(group=SAMPLING)] = 1.0,
    stop: Annotated[list[str] | None, Parameter(negative="", group=BASICS)] = None,
    until: Annotated[list[str] | None, Parameter(negative="", group=BASICS)] = None,
    ignore_end: Annotated[bool, Parameter(negative="", group=BASICS)] = False,
    seed: Annotated[int | None, Parameter(group=BASICS)] = None,
    num_samples: Annotated[int, Parameter(group=BASICS)] = 1,
    lines: Annotated[int | None, Parameter(group=BASICS)] = None,
    best_of: Annotated[int | None, Parameter(group=SAMPLING)] = None,
    no_prompt: Annotated[bool, Parameter(negative="", group=OUTPUT)] = False,
    copying: Annotated[bool, Parameter(negative="", group=OUTPUT)] = False,
    out: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    precision: Annotated[Precision, Parameter(group=MACHINE)] = "float32",
    draft: Draft = "none",
    json: Json = False,
    device: Device = "cpu",
) -> None:
    """Generate text with a trained model.

    --prompt means exactly the text given: a backslash is a backslash. For a prompt of several lines, use
    --prompt-file.

    Parameters
    ----------
    prompt
        Text to continue; may use characters unseen in training. By default a newline, or the first word of a
        training text without lines.
    prompt_file
        UTF-8 file with the text to continue; `-` for standard input.
    max_new_tokens
        Length of each sample, in tokens.
    temperature
        Below 1 safer, above 1 more random; 0 always takes the most probable token. By default 0.8, and 1 for
        single lines.
    repetition_penalty
        Above 1 makes used tokens less probable.
    stop
        Text that ends a sample; may be given several times. \\n is a newline, \\t a tab,
        \\\\ a backslash.
    until
        As --stop, but the sample ends after this text and contains it.
    ignore_end
        Go on where a document ends. By default a model that learned many documents stops there.
    seed
        The same seed gives the same text.
    num_samples
        Number of samples.
    lines
        Generate this many single lines, such as names, and count the new ones. A model that learned a list
        makes 10 by default.
    best_of
        Generate this many texts and show the most probable --num-samples of them.
    no_prompt
        Print the new text only, without its prompt.
    copying
        Underline passages that stand word for word in the training text, and say where. See `glassgpt
        copying`.
    out
        Write the samples to this file instead of the screen.
    precision
        Format of the weights: `float32`, or rounded for speed: `bfloat16`, `int8`.
    json
        Print a JSON object per sample, with `prompt`, `text`, `finish_reason`, `logprob` and `seed`.
    """
    limits = {
        "max-new-tokens": max_new_tokens,
        "num-samples": num_samples,
        "lines": 1 if lines is None else lines,
    }
    _check(limits, lines, {"stop": stop, "until": until, "best-of": best_of, "num-samples": num_samples > 1})
    if copying and (
        given := [name for name, value in {"lines": lines, "json": json, "out": out}.items() if value]
    ):
        raise UserError("--copying: takes no --{given}. Leave one of them out.", given=given[0])
    single = (lines, stop, until, best_of, out, json, num_samples > 1, copying)
    if learned_a_list(Run.open(run)) and not any(single):
        lines = LINES
    usual = TEMPERATURE if lines is None else LIST_TEMPERATURE
    params = SamplingParams(
        temperature=usual if temperature is None else temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
    )
    model, tokenizer = open_for("sample", run, device)
    meter = open_meter(Run.open(run)) if copying else None
    if prompt_file is not None:
        prompt = _read_prompt(prompt_file)
    drafter = make_draft(draft, run, model.n_vocab)
    batch = 16 if lines is not None else min(16, best_of or 1)
    first = random.SystemRandom().getrandbits(31) if seed is None else seed
    source = Samples(
        Engine(model, max_batch=batch, precision=precision, draft=drafter),
        tokenizer,
        model.config.prompt if prompt is None else prompt,
        params,
        max_new_tokens,
        tuple(map(unescaped, stop or ())),
        tuple(map(unescaped, until or ())),
        ignore_end,
        first,
    )
    shown = "" if no_prompt else source.prompt.lstrip(f"\n{END_OF_DOCUMENT}")
    if lines is not None:
        _lines(source, run, prompt or "", lines, out, json)
    elif meter is not None:
        for each in source.completions(num_samples, best_of):
            print_copying(Terminal(), meter.measure(each.text), shown)
    elif json:
        for i, each in enumerate(source.completions(num_samples, best_of)):
            print_json(source.fields(each, first + (0 if best_of is not None else i)))
    elif out is not None:
        texts = [shown + each.text for each in source.completions(num_samples, best_of)]
        write_samples(out, texts)
    elif best_of is not None:
        for i, completion in enumerate(source.completions(num_samples, best_of)):
            print_sample(i, num_samples, shown, [completion.text])
    else:
        for i in range(num_samples):
            print_sample(i, num_samples, shown, source.pieces(first + i))
    record_use("sample", model.config.family)


@dataclass(frozen=True)
class Samples:
    """Texts of one prompt, with the settings of the command."""

    engine: Engine
    tokenizer: Tokenizer
    prompt: str
    params: SamplingParams
    max_new_tokens: int
    stop: tuple[str, ...]
    until: tuple[str, ...]
    ignore_end: bool
    seed: int

    def pieces(self, seed: int) -> Iterator[str]:
        """Yield one text piece by piece."""
        request = Request(self.tokenizer.encode(self.prompt), self.params, self.max_new_tokens, seed)
        ids = (token.id for token in self.engine.stream(request))
        end = self.engine.model.config.end
        stop = (*self.stop, end) if end and not self.ignore_end else self.stop
        pieces = stream_text(self.tokenizer, ids, stop, self.until)
        return (piece.replace(end, "\n") for piece in pieces) if end else pieces

    def completions(self, n: int, best_of: int | None) -> Iterator[Completion]:
        """Yield n texts one after the other, or the best n of `best_of` together."""
        for i, many in [(0, n)] if best_of is not None else [(i, 1) for i in range(n)]:
            [found] = complete(
                self.engine,
                self.tokenizer,
                [self.prompt],
                self.params,
                n=many,
                best_of=best_of,
                max_new_tokens=self.max_new_tokens,
                stop=self.stop,
                until=self.until,
                ignore_end=self.ignore_end,
                seed=self.seed + i if best_of is None else derived_seed(self.seed, 0),
            )
            yield from found

    def fields(self, completion: Completion, seed: int) -> dict[str, object]:
        """Return a completion for JSON."""
        values = asdict(completion)
        del values["ids"]
        return {"prompt": self.prompt, **values, "seed": seed}


def _lines(source: Samples, run: Path, prompt: str, n: int, out: Path | None, json: bool) -> None:
    """Print lines or write them, and say how many are new."""
    lines = sample_lines(
        source.engine,
        source.tokenizer,
        n,
        prompt,
        source.params,
        max_new_tokens=source.max_new_tokens,
        seed=source.seed,
    )
    if out is not None:
        write_samples(out, lines, separator="\n")
    for line in lines if out is None else ():
        print_json({"text": line, "seed": source.seed}) if json else print_line(line)
    if len(lines) < n:
        print_note(_("the model made {found} of {n} lines: the others were blank", found=len(lines), n=n))
    note_known(run, source.tokenizer, lines)


def _check(limits: Mapping[str, int | None], lines: int | None, others: dict[str, object]) -> None:
    """Raise UserError for a number below 1, and for an option that does not go with --lines."""
    for name, value in limits.items():
        if value is not None and value < 1:
            raise UserError("--{name}: must be at least 1, got {value}.", name=name, value=value)
    if lines is not None and (given := [name for name, value in others.items() if value]):
        raise UserError(
            "--lines: makes single lines and takes no --{given}. Leave one of them out.", given=given[0]
        )


def _read_prompt(path: Path) -> str:
    """Read a prompt. One newline at the end of the file is the file's, not the prompt's."""
    if str(path) == "-":
        text = read_text("-")
    else:
        check_file(path, "--prompt-file")
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                "--prompt-file {path}: cannot be read ({error}). Give a UTF-8 file.", path=path, error=error
            ) from error
    if not text.removesuffix("\n"):
        raise UserError("--prompt-file {path}: it is empty. Write the text to continue into it.", path=path)
    return text.removesuffix("\n")


def make_draft(name: str, run: Path, n_vocab: int) -> PromptLookup | None:
    """Return the drafter with this name. Raises UserError if DRAFTS does not have the name."""
    if name not in DRAFTS:
        raise UserError(
            "--draft: must be one of {drafts}, got {name!r}.", drafts=", ".join(DRAFTS), name=name
        )
    if name == "none":
        return None
    return PromptLookup(text=run_tokens(Run.open(run), n_vocab).train.ids if name == "text" else None)
