"""A training loop of your own, made of the library's parts: text, tokens, batches, model, loss, optimizers.

Change here what no option changes: the loss, the schedule, the order of the batches. It is not a second
trainer: it writes no run, cannot resume, and compares the model with no baseline. `glassgpt train` does.

    python examples/own_loop.py notes.txt 200
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from glassgpt.config import DataConfig, ModelConfig, OptimConfig
from glassgpt.data import TrainWindows, eval_batches, read_corpus, write_tokens
from glassgpt.models import build
from glassgpt.objective import CrossEntropy, evaluate
from glassgpt.tokenizers import train_tokenizer
from glassgpt.train import lr_scale, make_optimizers, set_lr

B, T, EVALS = 8, 64, 4


def train(text: Path, steps: int, folder: Path) -> Iterator[tuple[int, float, float]]:
    """Train a small model; yield the step, its training loss and the held-out loss, in nats per token."""
    torch.manual_seed(1337)
    corpus = read_corpus(DataConfig(sources=(str(text),)))
    tokenizer = train_tokenizer("char", corpus.train.chunks())
    data = write_tokens(corpus, tokenizer, folder)

    model = build(ModelConfig.model_validate({"size": "micro", "block_size": T}), tokenizer.n_vocab)
    objective = CrossEntropy(model)
    optim = OptimConfig()
    optimizers = make_optimizers(model, optim)  # Muon for the matrices, AdamW for the rest
    windows = TrainWindows(data.train, T, seed=1337)

    for step in range(steps):
        batch = windows.batch(step, B)  # tokens and targets, (B, T) each
        loss = objective(batch)  # summed over the tokens
        (loss.total / loss.n_tokens).backward()
        set_lr(optimizers, lr_scale((step + 0.5) / steps, optim))
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        if (step + 1) % max(1, steps // EVALS) == 0:
            held_out = evaluate(model, eval_batches(data, T, B))
            yield step + 1, loss.nats.item() / int(loss.n_tokens), held_out.nats_per_token


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python own_loop.py TEXT_FILE STEPS")
    with TemporaryDirectory() as scratch:
        for step, loss, held_out in train(Path(sys.argv[1]), int(sys.argv[2]), Path(scratch)):
            print(f"step {step:5}  train {loss:.3f}  held-out {held_out:.3f} nats per token")
