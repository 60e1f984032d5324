"""Lesson `cross`: queries from one sequence, keys and values from another."""

# %% [markdown]
# In self-attention Q, K and V come from the same x. In cross-attention Q comes from x, the sequence that
# asks; K and V come from another one, the memory.

# %%
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(1337)
T, S, C, D = 3, 5, 32, 16
x = torch.randn(T, C)  # the text that asks: T tokens
memory = torch.randn(S, C)  # the text that answers: S tokens
query, key, value = [nn.Linear(C, D, bias=False) for _ in range(3)]
q, k, v = query(x), key(memory), value(memory)  # (T, D), (S, D), (S, D)
weights = F.softmax(q @ k.mT * D**-0.5, dim=-1)  # (T, S)
y = weights @ v  # (T, S) @ (S, D) -> (T, D)

print(f"{T} tokens ask {S}: weights {tuple(weights.shape)}, result {tuple(y.shape)}: a row for each query.")

# %% [markdown]
# The notes have “X → K, others → Q, V”. Try it. K from x leaves T columns of weights, but V has S rows: each
# column needs a value of its own. So K and V come from the same sequence, and X gives Q.

# %%
swapped = F.softmax(query(memory) @ key(x).mT * D**-0.5, dim=-1)  # (S, T)
problem = "none"
try:
    wrong = swapped @ value(memory)  # (S, T) @ (S, D)
except RuntimeError as error:
    problem = str(error)

print(f"Weights {tuple(swapped.shape)} @ values {(S, D)}: {problem}.")

# %% [markdown]
# There is no causal mask: each query may look at the whole memory, also at its end. And the tokens that ask
# do not see each other: one more query changes no other row.

# %%
more = torch.cat([x, torch.randn(1, C)])  # (T + 1, C)
longer = F.softmax(query(more) @ k.mT * D**-0.5, dim=-1) @ v  # (T + 1, D)
change = (longer[:T] - y).abs().max()
last = weights[:, -1]  # (T,): weight on the last token of the memory

print(f"The {T} queries give the last token of the memory {last.detach().numpy().round(2)}.")
print(f"With {len(more)} queries, the first {T} results change by {change:.1g}.")

# %% [markdown]
# The memory can be an image. Cut it into patches; each patch becomes a vector, as a token does. The question
# gives the queries: what is in this picture?

# %%
SIDE, PATCH = 32, 8
image = torch.rand(1, 1, SIDE, SIDE)  # (B, channels, height, width)
patches = F.unfold(image, PATCH, stride=PATCH)[0].mT  # (S, PATCH²)
memory = nn.Linear(PATCH**2, C)(patches)  # (S, C)
k, v = key(memory), value(memory)  # (S, D) each
weights = F.softmax(query(x) @ k.mT * D**-0.5, dim=-1)  # (T, S)

print(
    f"An image of {SIDE} × {SIDE} is {len(patches)} patches: {T} tokens ask, weights {tuple(weights.shape)}."
)

# %% [markdown]
# ## The same on a run
#
# A trained translator writes. Each position asks the whole source; here is the one that writes
# the first token.

# %%
import glassgpt as gg
from glassgpt.explain import BUILTIN, held_out_prompt

RUN = BUILTIN / "dates"  # or the folder of your own run: "runs/notes"
prompt = held_out_prompt(RUN)
trace = gg.trace(*gg.load_run(RUN), **prompt)
attn = trace.attention(-1, "cross")  # the last layer
W = trace.tensors[f"{attn}.weights"][:, trace.n_prompt - 1]  # (H, S)
first = trace.next_tokens[trace.n_prompt - 1]
head, best = divmod(int(W.argmax()), W.shape[1])

print(f"“{prompt['text']}”: {len(trace.tokens)} queries ask {len(trace.source)} vectors of the memory.")
print(
    f"To write {first!r}, head {head} gives {W[head, best]:.0%} of its weight to {trace.source[best]!r}, "
    f"vector {best}."
)

# %% [markdown]
# A trained captioner answers a question about an image. The same lines show it: only the memory is another.

# %%
SCENES, QUESTION = BUILTIN / "scenes", 3
prompt = held_out_prompt(SCENES, seed=QUESTION)  # a question, an image
trace = gg.trace(*gg.load_run(SCENES), **prompt)
attn = trace.attention(-1, "cross")
W = trace.tensors[f"{attn}.weights"][:, trace.n_prompt - 1]  # (H, S)
answer = trace.next_tokens[trace.n_prompt - 1]
head, best = divmod(int(W.argmax()), W.shape[1])

print(f"“{prompt['text']}” is asked of {len(trace.source)} patches. The model says {answer!r}.")
print(
    f"Head {head} gives {W[head, best]:.0%} of its weight to the patch at {trace.source[best]} (row, column)."
)
