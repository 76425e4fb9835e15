"""Model cards: the front matter that every card has, and the short card of a model on its own."""

from __future__ import annotations

from typing import Any

import yaml

from aum_edge.models.registry import architecture_of
from aum_edge.models.storage.parts import ModelParts

TASK = "audio-classification"


def front_matter(scores: dict[str, float] | None = None, name: str = "", corpus: str = "") -> str:
    """The YAML that model hubs read at the top of a README.md.

    No licence is named: that of the weights follows from the recordings, which nobody here knows.

    Args:
        scores: Metrics of the test clips by their hub names, such as ``accuracy`` in 0 .. 1.
        name: The model's name beside the scores.
        corpus: What the test clips are from.
    """
    head: dict[str, Any] = {
        "library_name": "aum-edge",
        "pipeline_tag": TASK,
        "tags": [TASK, "audio-mamba", "edge"],
    }
    if scores:
        found = [{"type": kind, "value": round(value, 6)} for kind, value in scores.items()]
        result = {
            "task": {"type": TASK},
            "dataset": {"name": corpus, "type": corpus.lower().replace(" ", "-")},
            "metrics": found,
        }
        head["metrics"] = list(scores)
        head["model-index"] = [{"name": name, "results": [result]}]
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---"


def short_card(model: ModelParts, payload: tuple[int, int]) -> str:
    """Model card of a model that was not evaluated.

    ``payload`` are the stored bytes of parameters and of buffers.
    """
    parameters, buffers = payload
    weights = sum(parameter.numel() for parameter in model.backbone.parameters())
    steps = [str(step["step"]) for step in model.lineage if "step" in step]
    frontend = model.frontend
    what, known, use = _words(model)
    return "\n".join(
        (
            front_matter(),
            "",
            f"# {architecture_of(model.backbone.config)}",
            "",
            f"{what}, written by aum-edge.",
            "",
            f"- Parameters: {weights:,}; {parameters:,} bytes, and {buffers:,} bytes of buffers.",
            f"- Audio: {frontend.clip_seconds:g} s at {frontend.sample_rate:,} Hz, "
            f"{frontend.n_mels} mels by {frontend.n_frames} frames.",
            f"- Made by: {', then '.join(steps) or 'not recorded'}.",
            *known,
            "",
            f'Use: {use}, or `aum_edge.load("DIR")` in Python.',
            "",
        )
    )


def _words(model: ModelParts) -> tuple[str, tuple[str, ...], str]:
    """What a model is, what is known of it, and the command that uses it."""
    if not model.labels:
        nothing = ("- Labels: none. In Python it answers with embeddings of features.",)
        use = "`aum-edge train RECIPE --set teacher.model.init=DIR` fine-tunes it"
        return "An audio encoder without classes", nothing, use
    known = (
        "- Accuracy: not measured when this card was written.",
        f"- Labels: {', '.join(model.labels)}.",
    )
    return (
        f"An audio classifier of {len(model.labels)} classes",
        known,
        "`aum-edge predict DIR AUDIO`",
    )
