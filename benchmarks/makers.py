"""Twelve jobs of people, from the files that they have to a sample; and the names bar.

    python benchmarks/makers.py [--minutes 1] [--only whatsapp names …]

Each job writes its files (makers_files.py), gives them to `glassgpt train FILES --minutes M` with no other
option, and uses the run. An error that names the missing option and the answer counts as a question; the
person then answers it. A job is as expected if the task is right, every row is used and nothing else is
learned, the sample has the right form, and there was at most one question.

The names bar: of 100 sampled names at least 60 % are new, their score by a counted trigram lies within 0.3
nats per character of that of held-out names, and a χ² test of the first letters (p ≥ 0.01) finds no
difference from the list.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import makers_files as files
import names_bar
from glassgpt.checkpoint import Run, run_examples, run_tokens
from glassgpt.data import ChatTemplate
from report import write_report

SENTENCE = r"[^\d\[\]<>]*[a-z]{2}[^\[\]<>]*"
HEADER = f"{'job':<12}{'task':<16}{'asked':>6}{'used':>7}{'of':>7}  {'sample'}"


class Job(NamedTuple):
    """Files, and what a person expects of them."""

    write: Callable[[Path], files.Found]
    task: str
    use: tuple[str, ...]
    """Command and arguments that use the run."""
    form: str
    """Pattern of each line of the sample."""
    answer: tuple[str, str] | None = None
    """Option and value with which the person answers a question."""
    rows: str = ""
    """Pattern that each row of a running text has once; else its documents are counted."""
    line_by_line: bool = True
    """False if the form is that of the whole sample."""


def _names(folder: Path) -> files.Found:
    path = folder / "names.txt"
    path.write_text("\n".join(names_bar.NAMES) + "\n", "utf-8")
    return files.Found(path, len(names_bar.NAMES))


TEXT = ("sample", "--max-new-tokens", "200", "--seed", "1")
JOBS = {
    "whatsapp": Job(files.whatsapp, "chat", ("chat",), SENTENCE, ("--me", "Ana")),
    "telegram": Job(files.telegram, "chat", ("chat",), SENTENCE, ("--me", "Ana")),
    "discord": Job(files.discord, "chat", ("chat",), SENTENCE, ("--me", "Ana")),
    "sharegpt": Job(files.sharegpt, "chat", ("chat",), SENTENCE),
    "names": Job(_names, "language", ("sample", "--lines", "20"), r"\w{1,20}", rows=r"(?m)^.+$"),
    "recipes": Job(
        files.recipes,
        "language",
        TEXT,
        r"(?s).*\b[2-4]\. .*",
        ("--column", "instructions"),
        r"(?m)^4\. ",
        False,
    ),
    "reviews": Job(files.reviews, "classification", ("classify", "it tastes of soap"), r"[1245]\b.*"),
    "mails": Job(files.mails, "language", TEXT, SENTENCE, rows="Über ", line_by_line=False),
    "documents": Job(files.documents, "language", TEXT, SENTENCE, line_by_line=False),
    "subtitles": Job(files.subtitles, "language", TEXT, SENTENCE, line_by_line=False),
    "pairs": Job(files.pairs, "translation", ("translate", "The baker sells old maps again."), SENTENCE),
    "captions": Job(
        files.captions, "captioning", ("ask", "{photo}"), r"a (red|green|blue) (square|circle) +\(\d+% sure\)"
    ),
}


class Outcome(NamedTuple):
    """What became of a job."""

    job: str
    task: str
    n_questions: int
    n_used: int
    n_rows: int
    learned_junk: tuple[str, ...]
    sample: str
    as_expected: bool
    seconds: float

    def line(self) -> str:
        """Return a line of the table."""
        shown = re.sub(r"\s+", " ", self.sample)[:44]
        junk = f"  JUNK {self.learned_junk}" if self.learned_junk else ""
        mark = "" if self.as_expected else "  NOT AS EXPECTED"
        counts = f"{self.n_questions:>6}{self.n_used:>7}{self.n_rows:>7}"
        return f"{self.job:<12}{self.task:<16}{counts}  {shown}{junk}{mark}"


def glassgpt(folder: Path, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in a folder."""
    command = [sys.executable, "-m", "glassgpt", *words]
    return subprocess.run(command, cwd=folder, input=typed, capture_output=True, text=True, check=False)


def do(name: str, job: Job, minutes: float, folder: Path) -> Outcome:
    """Do one job in an empty folder."""
    began, found, n_questions = time.monotonic(), job.write(folder), 0
    words = ["train", str(found.source), "--minutes", f"{minutes:g}"]
    trained = glassgpt(folder, *words)
    if trained.returncode == 2 and job.answer and all(word in trained.stderr for word in job.answer):
        n_questions += 1
        trained = glassgpt(folder, *words, *job.answer)
    if trained.returncode:
        sys.exit(f"{name}: {trained.stderr}")
    run = Run.open(next((folder / "runs").iterdir()))
    n_used, text = learned(run, job)
    junk = tuple(each for each in found.never if each in text)
    photo = next((found.source / "Images").iterdir()) if name == "captions" else ""
    use = [word.format(photo=photo) for word in job.use]
    typed = "What about the baker?\n" if job.task == "chat" else ""
    sample = glassgpt(folder, use[0], str(run.path), *use[1:], typed=typed).stdout.strip()
    lines = sample.split("\n") if job.line_by_line else [sample]
    formed = bool(sample) and all(re.fullmatch(job.form, line.strip()) for line in lines)
    task = str(run.config().task)
    right = task == job.task and n_used == found.n_rows and not junk and formed and n_questions <= 1
    seconds = time.monotonic() - began
    return Outcome(name, task, n_questions, n_used, found.n_rows, junk, sample, right, seconds)


def learned(run: Run, job: Job) -> tuple[int, str]:
    """Return the number of rows that a run holds, training and validation, and their text."""
    tokenizer = run.tokenizer()
    tokens = run_tokens(run, tokenizer.n_vocab)
    text = "\n".join(tokenizer.decode(split.ids.tolist()) for split in (tokens.train, tokens.val))
    if job.task == "language":
        manifest = json.loads((run.data / "manifest.json").read_text("utf-8"))
        return len(re.findall(job.rows, text)) if job.rows else len(manifest["documents"]), text
    examples = run_examples(run, tokenizer.n_vocab)
    splits = examples.train, examples.val
    if job.task != "chat":
        return sum(map(len, splits)), text
    template = ChatTemplate(tokenizer)
    rows = [template.read(split.text[row].tolist()) for split in splits for row in range(len(split))]
    return sum(map(len, rows)), text


def main() -> None:
    """Do all jobs, print a table, and measure the names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS))
    given = parser.parse_args()
    outcomes, bar = list[Outcome](), None
    print(HEADER, flush=True)
    for name in given.only:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            outcomes.append(do(name, JOBS[name], given.minutes, folder))
            print(outcomes[-1].line(), flush=True)
            if name == "names":
                sampled = glassgpt(
                    folder, "sample", "runs/names", "--lines", "100", "--seed", "1"
                ).stdout.split("\n")
                bar = names_bar.measure([line for line in sampled if line])
    n = sum(outcome.as_expected for outcome in outcomes)
    print(f"{n} of {len(outcomes)} as expected")
    if bar:
        print(bar.line())
    if given.only == list(JOBS):
        rows = [outcome._asdict() for outcome in outcomes]
        figures = {"minutes": given.minutes, "jobs": rows, "names": bar._asdict() if bar else None}
        write_report("makers", figures)
    sys.exit(n < len(outcomes) or bool(bar and not bar.is_met))


if __name__ == "__main__":
    main()
