"""audio-mamba-asc: Lightning checkpoints of an AuM in layer pairs with a hidden layer in its head.

Its depth is always 24 and its target length has no effect, as there are no positions. A 1 s clip
gives 256 mels by 65 frames, of which patches of 16 use 64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.checkpoints.aum import load_network
from aum_edge.checkpoints.classifier import ClassifierSettings, classifier, labels_of
from aum_edge.checkpoints.flags import Flags
from aum_edge.checkpoints.shapes import network_shapes
from aum_edge.checkpoints.strict_load import drop, rename, strip_prefixes
from aum_edge.core.text import few
from aum_edge.errors import CheckpointError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import AudioMambaConfig

SCENES = (
    "airport bus metro metro_station park public_square shopping_mall street_pedestrian "
    "street_traffic tram"
).split()
VALUES = {
    # Front end settings of the published checkpoints.
    "n_mels": 256,
    "sample_rate": 32_000,
    "orig_sample_rate": 44_100,
    "window_length": 3072,
    "hop_length": 500,
    "n_fft": 4096,
}


def convert_asc(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> AudioClassifier:
    """A checkpoint of audio-mamba-asc as a model; 10 classes are the challenge's unless named.

    Raises:
        CheckpointError: If a tensor is missing, unexpected or of another shape, or the front end
            is another.
        RecipeError: If a flag is unknown.
    """
    notes: list[str] = []
    flags = Flags(values)
    named = dict(tensors)
    _check_front_end(named)
    drop(named, "mel.", "the front end's own tables, which are made from its settings", notes)
    named = strip_prefixes(named, "model.")
    named = rename(named, {"aum_model.": "", "classifier.": "head."})
    found = network_shapes(named, "The audio-mamba-asc checkpoint")
    if "head.5.bias" not in named:
        raise CheckpointError(
            f"The audio-mamba-asc checkpoint lacks classifier.5.bias; it has {few(sorted(named))}."
        )
    for name, value in VALUES.items():
        flags.refuse(value, name)
    flags.ignore("depth", "target_length", "patch_size")  # upstream takes 24 and 16 whatever
    stated = {"embed_dim": found.fields["d_model"], "n_classes": named["head.5.bias"].shape[0]}
    for name, value in stated.items():
        if flags.take(value, name) != value:
            raise CheckpointError(f"The flag `{name}` is not {value}, as the checkpoint has it.")
    frontend = FrontEndConfig()  # audio-mamba-asc has the defaults: the DCASE baseline's
    config = AudioMambaConfig(
        **found.fields,
        n_classes=named["head.5.bias"].shape[0],
        n_mels=frontend.n_mels,
        n_frames=frontend.n_frames,
        layer_pairs=True,
        head="mlp",
    )
    if config.n_classes == len(SCENES) and not flags.has("labels", "label_csv"):
        labels = tuple(SCENES)
    else:
        labels = labels_of(flags, config.n_classes, notes)
    flags.finish()
    network = load_network(config, named, "The audio-mamba-asc checkpoint")
    settings = ClassifierSettings(frontend, Normalization(), labels)
    return classifier(network, settings, "asc", notes, values)


def _check_front_end(tensors: Mapping[str, Tensor]) -> None:
    """The stored filter bank must be of the size that the front end here has."""
    wanted = (VALUES["n_fft"] // 2 + 1, VALUES["n_mels"])
    for name, tensor in tensors.items():
        if name.startswith("mel.") and name.endswith(".fb") and tuple(tensor.shape) != wanted:
            raise CheckpointError(
                f"{name} is a filter bank of {tuple(tensor.shape)}, the published front end has "
                f"{wanted}: this checkpoint was trained on other features."
            )
