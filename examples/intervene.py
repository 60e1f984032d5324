"""Two interventions: watch each layer's gradient while a model trains, then switch off its heads one by one.

The first is an `Observer`: a place for your own line in a training step. The second is an `edit` of an
activation. Neither changes the model's code. It shows which heads matter, not what they do.

    python examples/intervene.py notes.txt 200 runs/watched
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from glassgpt.config import RunConfig
from glassgpt.hooks import edit, n_heads, zero_heads
from glassgpt.models import Model
from glassgpt.objective import evaluate
from glassgpt.train import Event, Observer, Session, Warned, start

EVERY = 50


class LayerGradients(Observer):
    """Yields the gradient norm of each layer, every EVERY steps."""

    def on_gradients(self, step: int, model: Model) -> Iterator[Event]:
        """Sum the squared gradients by layer: blocks.0, blocks.1, …, and the rest."""
        if step % EVERY:
            return
        squares: dict[str, float] = defaultdict(float)
        for name, p in model.named_parameters():
            if p.grad is not None:
                layer = ".".join(name.split(".")[:2]) if name.startswith("blocks.") else "rest"
                squares[layer] += float(p.grad.square().sum())
        norms = "  ".join(f"{layer} {square**0.5:.4f}" for layer, square in squares.items())
        yield Warned(f"step {step}: gradient norms  {norms}")


def head_costs(session: Session) -> dict[str, float]:
    """Return how much the held-out loss rises without each head, in nats per token."""
    model = session.trainer.model
    whole = evaluate(model, session.data.eval_batches()).nats_per_token
    costs = {}
    for name, head in ((name, head) for name, n in n_heads(model).items() for head in range(n)):
        with edit(model, {name: zero_heads(head)}):  # name: "blocks.0.attn.heads"
            costs[f"{name} {head}"] = evaluate(model, session.data.eval_batches()).nats_per_token - whole
    return costs


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python intervene.py TEXT_FILE STEPS NEW_RUN")
    size = {"model": {"size": "micro", "block_size": 64}, "train": {"steps": int(sys.argv[2])}}
    config = RunConfig.model_validate({"data": {"sources": [sys.argv[1]]}, **size})
    session = start(config, Path(sys.argv[3]), observers=[LayerGradients()])
    for event in session.run():
        if isinstance(event, Warned):
            print(event.message)
    for head, cost in sorted(head_costs(session).items(), key=lambda pair: -pair[1]):
        print(f"{head}: {cost:+.4f} nats per token without it")
