"""Groups of options in help pages and in the guide. Each setting names its group where it is declared.

The first line of a group's help is its line on the page of a command; the rest is shown below its options.
"""

from __future__ import annotations

from cyclopts import Group

FORMATS = (
    "Any file of text is running text. With --model seq2seq, give pairs of texts: tsv, csv, jsonl, or two "
    "files with the same number of lines; with --model captioner, a folder of images with captions.csv; with "
    "--model encoder, text, or a table with a column of labels. A jsonl of `messages` (system, user, "
    "assistant), or a chat exported from WhatsApp, Telegram or Discord with --me NAME, makes a model for "
    "`glassgpt chat`. A built-in name wins over a file of that name: give ./python for the file."
)

BASICS = Group("Basics", "Length, seed, folder of the run.", sort_key=1)
KIND = Group("Kind", "Size, architecture and family of the model; its tokenizer.", sort_key=2)
DATA = Group("Data", "Columns, chats, encoding, held-out part, vocabulary.\n" + FORMATS, sort_key=3)
MODEL = Group("Model", "Blocks, heads, context, positions, norms, images, adapters.", sort_key=4)
OPTIMIZER = Group("Optimizer", "Learning rates, weight decay, batches, smoothing.", sort_key=5)
SAMPLING = Group("Sampling", "Choice of the next token: top-k, top-p, penalties.", sort_key=6)
MACHINE = Group("Machine", "Device, precision, threads, compiling.", sort_key=7)
SAVING = Group("Saving", "Checkpoints, errors, resuming, starting from a run.", sort_key=8)
OUTPUT = Group("Output", "Evaluations, samples, JSON, dashboards, plots.", sort_key=9)

FIRST = (BASICS, KIND)
"""Groups that every help page shows."""

GROUPS = (BASICS, KIND, DATA, MODEL, OPTIMIZER, SAMPLING, MACHINE, SAVING, OUTPUT)
