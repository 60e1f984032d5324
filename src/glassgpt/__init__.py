"""GlassGPT: train a GPT from scratch on your own text, and see through it.

Names are imported when first used, so `import glassgpt` costs nothing. `train` is a function and a
package: the package can be called. No other name here is also the name of a package (`generate`): importing
the package would put it in the function's place.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glassgpt.checkpoint import Run, RunsTable, load_run, runs, snapshot_steps
    from glassgpt.config import RunConfig
    from glassgpt.data import Corpus, Example, ExampleCorpus, Message, read_corpus
    from glassgpt.diagnose import (
        Accuracy,
        Comparison,
        Examination,
        Score,
        Sweep,
        Symptom,
        Verdict,
        baselines,
        judge,
    )
    from glassgpt.doctor import examine
    from glassgpt.errors import UserError
    from glassgpt.explain import Chapter, LearningPath, chapter, check, learning_path
    from glassgpt.generate import (
        Completion,
        Engine,
        PromptLookup,
        Request,
        RequestError,
        SamplingParams,
        Token,
        answer,
        beam_search,
        classify,
        complete,
        fill,
        measure_speed,
        reply,
        sample_lines,
        sample_text,
        translate,
    )
    from glassgpt.hooks import Recording, activation_names, edit, logit_lens, record, zero_heads
    from glassgpt.interop import Certificate, export, push
    from glassgpt.lab import show
    from glassgpt.language import set_language
    from glassgpt.lens import Trace, ablate, trace
    from glassgpt.models import Model, build
    from glassgpt.plots import plot, plot_forward
    from glassgpt.reports import RunReport, check_report, report
    from glassgpt.tasks import copying
    from glassgpt.tokenizers import Tokenizer, load_tokenizer, train_tokenizer
    from glassgpt.train import (
        Outlook,
        Session,
        Trainer,
        compare,
        examine_run,
        import_nanogpt,
        import_pretrained,
        outlook,
        progress,
        resume,
        share,
        start,
        sweep,
        train,
    )

_HOMES = {
    "checkpoint": ("Run", "RunsTable", "load_run", "runs", "snapshot_steps"),
    "config": ("RunConfig",),
    "data": ("Corpus", "Example", "ExampleCorpus", "Message", "read_corpus"),
    "diagnose": (
        "Accuracy",
        "Comparison",
        "Examination",
        "Score",
        "Sweep",
        "Symptom",
        "Verdict",
        "baselines",
        "judge",
    ),
    "doctor": ("examine",),
    "errors": ("UserError",),
    "generate": (
        "Completion",
        "PromptLookup",
        "Engine",
        "Request",
        "RequestError",
        "SamplingParams",
        "Token",
        "answer",
        "beam_search",
        "classify",
        "complete",
        "fill",
        "measure_speed",
        "reply",
        "sample_lines",
        "sample_text",
        "translate",
    ),
    "explain": ("Chapter", "LearningPath", "chapter", "check", "learning_path"),
    "lab": ("show",),
    "language": ("set_language",),
    "lens": ("Trace", "ablate", "trace"),
    "models": ("Model", "build"),
    "hooks": ("Recording", "activation_names", "edit", "logit_lens", "record", "zero_heads"),
    "plots": ("plot", "plot_forward"),
    "interop": ("Certificate", "export", "push"),
    "reports": ("RunReport", "check_report", "report"),
    "tasks": ("copying",),
    "tokenizers": ("Tokenizer", "load_tokenizer", "train_tokenizer"),
    "train": (
        "Outlook",
        "Session",
        "Trainer",
        "compare",
        "examine_run",
        "import_nanogpt",
        "import_pretrained",
        "outlook",
        "progress",
        "resume",
        "share",
        "start",
        "sweep",
        "train",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Accuracy",
    "Certificate",
    "Chapter",
    "Comparison",
    "Completion",
    "Corpus",
    "Engine",
    "Examination",
    "Example",
    "ExampleCorpus",
    "LearningPath",
    "Message",
    "Model",
    "Outlook",
    "PromptLookup",
    "Recording",
    "Request",
    "RequestError",
    "Run",
    "RunConfig",
    "RunReport",
    "RunsTable",
    "SamplingParams",
    "Score",
    "Session",
    "Sweep",
    "Symptom",
    "Token",
    "Tokenizer",
    "Trace",
    "Trainer",
    "UserError",
    "Verdict",
    "ablate",
    "activation_names",
    "answer",
    "baselines",
    "beam_search",
    "build",
    "chapter",
    "check",
    "check_report",
    "classify",
    "compare",
    "complete",
    "copying",
    "edit",
    "examine",
    "examine_run",
    "export",
    "fill",
    "import_nanogpt",
    "import_pretrained",
    "judge",
    "learning_path",
    "load_run",
    "load_tokenizer",
    "logit_lens",
    "measure_speed",
    "outlook",
    "plot",
    "plot_forward",
    "progress",
    "push",
    "read_corpus",
    "record",
    "reply",
    "report",
    "resume",
    "runs",
    "sample_lines",
    "sample_text",
    "set_language",
    "share",
    "show",
    "snapshot_steps",
    "start",
    "sweep",
    "trace",
    "train",
    "train_tokenizer",
    "translate",
    "zero_heads",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # 20 ms that an import does not need

        return version("glassgpt")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'glassgpt' has no attribute {name!r}")
    return getattr(import_module(f"glassgpt.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
