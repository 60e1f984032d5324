"""Expected loss of a freshly initialized model, and its noise on a small batch."""

import math


def expected_initial_loss(n_vocab: int, logit_variance: float) -> float:
    """Return the mean cross-entropy of random logits in nats: about ln V + σ²/2.

    The loss is ln Σ exp(z_j) − z_y. Logits drawn from N(0, σ²) are independent of the target, so the second
    term is 0 on average. The sum has V terms of mean E[exp(z)] = exp(σ²/2) (the mean of a log-normal),
    which gives ln V + σ²/2: random confidence costs more than uniform ignorance. For V = 65:

    - a uniform guess (σ² = 0) costs 4.17;
    - a table of N(0, 1) logits is expected to cost 4.67. The logarithm of a sum of finitely many terms is a
      little lower, by about (exp(σ²) − 1) / 2V = 0.013: 300 random tables average 4.66;
    - one batch of 32 tokens may well show 4.87, because its noise is 0.18 (`initial_loss_noise`).

    >>> round(expected_initial_loss(65, 0.0), 2), round(expected_initial_loss(65, 1.0), 2)
    (4.17, 4.67)
    """
    return math.log(n_vocab) + logit_variance / 2


def initial_loss_noise(n_tokens: int, logit_variance: float) -> float:
    """Return the standard error of that loss on `n_tokens` targets, in nats: about σ/√n.

    z_y varies from one token to the next with standard deviation σ; ln Σ exp(z_j) hardly varies.

    >>> round(initial_loss_noise(32, 1.0), 2)
    0.18
    """
    return math.sqrt(logit_variance / n_tokens)
