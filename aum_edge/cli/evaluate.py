"""`aum-edge eval MODEL --data CORPUS=DIR`: scores overall, by class and by device."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from aum_edge.cli.options import CACHE, add_corpus_arguments, corpus_config
from aum_edge.core.progress import stderr_progress

NAMES = {
    "accuracy": "accuracy",
    "macro_accuracy": "macro",
    "log_loss": "log loss",
    "precision": "weighted precision",
    "recall": "recall",
    "f1": "f1",
    "map": "mAP",
    "mean_auc": "AUC",
    "d_prime": "d-prime",
}
"""Those that the corpus has are printed; clips with several labels have no right or wrong."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="model or run directory, or an exported file"
    )
    add_corpus_arguments(parser)
    parser.add_argument("--split", default="test", choices=("train", "val", "test"))
    parser.add_argument("--cache", type=Path, default=CACHE, help="feature cache")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(options: argparse.Namespace) -> int:
    """Score the model on one split of a corpus."""
    from aum_edge.data.corpora.load import load_manifest
    from aum_edge.data.features.cache import build_cache
    from aum_edge.data.labels import with_model_labels
    from aum_edge.runtimes.predictor import open_predictor, waveforms_as_features
    from aum_edge.training.metrics.classification import evaluate

    predictor = open_predictor(options.model)
    progress = stderr_progress()
    manifest = load_manifest(corpus_config(options), options.cache, progress)
    manifest = with_model_labels(manifest, predictor.labels)
    wanted = replace(manifest, clips=manifest.split(options.split))
    takes_waveform = predictor.input_name == "waveform"
    arrays = build_cache(wanted, predictor.frontend, options.cache, takes_waveform, progress)
    split = arrays[options.split]
    if takes_waveform:
        split = waveforms_as_features(split, predictor.frontend)
    scores = evaluate(predictor.logits, split, predictor.labels, predictor.activation).to_dict()
    if options.json:
        print(json.dumps(scores, indent=1))
        return 0
    named = [f"{text} {scores[name]:.3f}" for name, text in NAMES.items() if name in scores]
    print(f"{scores['n']} clips: {', '.join(named)}")
    for kind in ("per_class", "per_device"):
        for name, value in scores[kind].items():
            print(f"  {kind[4:]} {name:<24} {value:.3f}")
    return 0
