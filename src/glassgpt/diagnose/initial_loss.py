"""What a freshly initialized model should score, and how far a small batch may stray from that."""

import math


def expected_initial_loss(n_vocab: int, logit_variance: float) -> float:
    """Mean cross-entropy, in nats, of random logits over `n_vocab` tokens: about ln V + σ²/2.

    The loss is ln Σ exp(z_j) − z_y. Logits drawn from N(0, σ²) know nothing of the target, so the second
    term is 0 on average. The sum has V terms of mean E[exp(z)] = exp(σ²/2) (the mean of a log-normal),
    which gives ln V + σ²/2: being confident at random costs more than not knowing. For V = 65:

    - a uniform guess (σ² = 0) costs 4.17;
    - a table of N(0, 1) logits is expected to cost 4.67. The logarithm of a sum of finitely many terms lies a
      little lower, by about (exp(σ²) − 1) / 2V = 0.013: 300 random tables average 4.66;
    - one batch of 32 tokens may well show 4.87, because its noise is 0.18 (`initial_loss_noise`).

    >>> round(expected_initial_loss(65, 0.0), 2), round(expected_initial_loss(65, 1.0), 2)
    (4.17, 4.67)
    """
    return math.log(n_vocab) + logit_variance / 2


def initial_loss_noise(n_tokens: int, logit_variance: float) -> float:
    """Standard error, in nats, of that loss measured on `n_tokens` targets: about σ/√n.

    What varies from one token to the next is z_y, with standard deviation σ; ln Σ exp(z_j) hardly moves.

    >>> round(initial_loss_noise(32, 1.0), 2)
    0.18
    """
    return math.sqrt(logit_variance / n_tokens)
