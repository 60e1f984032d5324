"""`glassgpt sample`: text from a trained model, token by token."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.checkpoint import Run, run_tokens
from glassgpt.cli.arguments import Device, Draft, Json, MinP, RunFolder, Temperature, TopK, TopP, unescaped
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.terminal import Terminal, print_json, print_line, print_text
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
    stream_text,
)
from glassgpt.option_groups import BASICS, MACHINE, SAMPLING
from glassgpt.paths import check_file

DRAFTS = ("none", "prompt", "text")


def sample(
    run: RunFolder,
    *,
    prompt: Annotated[str | None, Parameter(group=BASICS)] = None,
    prompt_file: Annotated[Path | None, Parameter(group=BASICS)] = None,
    max_new_tokens: Annotated[int, Parameter(group=BASICS)] = 500,
    temperature: Temperature = 0.8,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    repetition_penalty: Annotated[float, Parameter(group=SAMPLING)] = 1.0,
    stop: Annotated[list[str] | None, Parameter(negative="", group=BASICS)] = None,
    seed: Annotated[int | None, Parameter(group=BASICS)] = None,
    num_samples: Annotated[int, Parameter(group=BASICS)] = 1,
    best_of: Annotated[int | None, Parameter(group=SAMPLING)] = None,
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
    repetition_penalty
        Above 1 makes used tokens less probable.
    stop
        Text that ends a sample; may be given several times. \\n is a newline, \\t a tab,
        \\\\ a backslash.
    seed
        The same seed gives the same text.
    num_samples
        Number of samples.
    best_of
        Generate this many texts and show the most probable --num-samples of them.
    precision
        Format of the weights: `float32`, or rounded for speed: `bfloat16`, `int8`.
    json
        Print a JSON object per sample, with `prompt`, `text`, `finish_reason`, `logprob` and `seed`.
    """
    for name, value in (("max-new-tokens", max_new_tokens), ("num-samples", num_samples)):
        if value < 1:
            raise UserError("--{name}: must be at least 1, got {value}.", name=name, value=value)
    params = SamplingParams(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
    )
    model, tokenizer = open_for("sample", run, device)
    if prompt_file is not None:
        prompt = _read_prompt(prompt_file)
    prompt = model.config.prompt if prompt is None else prompt
    stops = [unescaped(text) for text in stop or ()]
    first = random.SystemRandom().getrandbits(31) if seed is None else seed
    drafter = make_draft(draft, run, model.n_vocab)
    engine = Engine(model, max_batch=min(16, best_of or 1), precision=precision, draft=drafter)

    def completions() -> Iterator[Completion]:
        for i, n in [(0, num_samples)] if best_of is not None else [(i, 1) for i in range(num_samples)]:
            found = complete(
                engine,
                tokenizer,
                [prompt],
                params,
                n=n,
                best_of=best_of,
                max_new_tokens=max_new_tokens,
                stop=stops,
                seed=first + i,
            )
            yield from found[0]

    if json:
        for i, each in enumerate(completions()):
            seeds = {"seed": first + (0 if best_of is not None else i)}
            print_json({"prompt": prompt, **_fields(each), **seeds})
        return
    console = Terminal()
    if best_of is not None:
        for i, completion in enumerate(completions()):
            _show(console, i, num_samples, prompt, [completion.text])
        return
    ids = tokenizer.encode(prompt)
    for i in range(num_samples):
        request = Request(ids, params, max_new_tokens, first + i)
        tokens = (token.id for token in engine.stream(request))
        _show(console, i, num_samples, prompt, stream_text(tokenizer, tokens, stops))


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


def _fields(completion: Completion) -> dict[str, object]:
    return {
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "logprob": completion.logprob,
    }


def make_draft(name: str, run: Path, n_vocab: int) -> PromptLookup | None:
    """Return the drafter with this name. Raises UserError if DRAFTS does not have the name."""
    if name not in DRAFTS:
        raise UserError(
            "--draft: must be one of {drafts}, got {name!r}.", drafts=", ".join(DRAFTS), name=name
        )
    if name == "none":
        return None
    return PromptLookup(text=run_tokens(Run.open(run), n_vocab).train.ids if name == "text" else None)


def _show(console: Terminal, i: int, n: int, prompt: str, pieces: Iterable[str]) -> None:
    """Print sample i of n piece by piece."""
    if n > 1 and console.is_terminal:
        console.rule(f"sample {i + 1}", style="dim")
    elif i:
        print_line("\n" + "-" * 20)
    opening = prompt.lstrip("\n")
    if console.is_terminal:
        console.print(opening, end="", style="bold", soft_wrap=True)
    else:
        print_text(opening)
    for piece in pieces:
        print_text(piece)
    print_line()
