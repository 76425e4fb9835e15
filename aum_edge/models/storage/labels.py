"""Class names in config.json: our list, and the two maps that model hubs read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def label_maps(labels: Iterable[str]) -> dict[str, Any]:
    """``id2label`` and ``label2id`` of labels in the order of the logits."""
    named = list(enumerate(labels))
    return {
        "id2label": {str(index): label for index, label in named},
        "label2id": {label: index for index, label in named},
    }


def read_labels(config: dict[str, Any]) -> list[str]:
    """The labels of a config.json: ``labels``, or ``id2label`` where that is all there is.

    Raises:
        ValueError: If there are none, or two of ``labels``, ``id2label`` and ``label2id`` disagree.
    """
    by_index = _by_index(config["id2label"], "id2label") if "id2label" in config else None
    labels = config.get("labels", by_index)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"`labels` must be a list of texts, got {str(labels)[:60]}")
    if by_index is not None:
        _agree(labels, by_index, "id2label")
    if "label2id" in config:
        names = config["label2id"]
        if not isinstance(names, dict) or not all(type(i) is int for i in names.values()):
            raise ValueError(f"`label2id` must map names to numbers, got {str(names)[:60]}")
        inverse = {index: label for label, index in names.items()}
        if len(inverse) != len(names):
            raise ValueError("`label2id` gives one number to two labels")
        _agree(labels, _by_index(inverse, "label2id"), "label2id")
    return labels


def _by_index(names: Any, key: str) -> list[str]:
    """Labels in the order of their numbers, which must be 0 to n - 1."""
    try:
        numbered = {int(index): str(label) for index, label in names.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"`{key}` must number the labels, got {str(names)[:60]}") from error
    if sorted(numbered) != list(range(len(names))):
        raise ValueError(f"`{key}` must number its {len(names)} labels from 0 without gaps")
    return [numbered[index] for index in range(len(numbered))]


def _agree(labels: list[str], others: list[str], key: str) -> None:
    if len(labels) != len(others):
        raise ValueError(f"`{key}` has {len(others)} labels where `labels` has {len(labels)}")
    for index, (label, other) in enumerate(zip(labels, others, strict=True)):
        if label != other:
            raise ValueError(f"class {index} is `{label}` in `labels` and `{other}` in `{key}`")
