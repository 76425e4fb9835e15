"""SSAMBA: pretraining checkpoints and fine-tuned models.

=====================  ============================================================================
upstream               here
=====================  ============================================================================
model_size             d_model 192/384/768 for tiny/small/base (or embed_dim)
fshape, tshape         patch_size (freq, time); fstride, tstride its stride
input_fdim, input_tdim (n_mels, n_frames) (or num_mel_bins, target_length)
label_dim, n_class     n_classes; without it a pretraining checkpoint stays one
task                   pooling: ft_avgtok the mean of the patches, ft_cls the class token
if_bidirectional       layer_pairs (true in the published scripts)
if_devide_out          halve_directions (true in the published scripts)
=====================  ============================================================================

The class token is always first and the last norm is applied twice. What argparse has as defaults
differs from the published scripts; the scripts' values are taken. Source: SSAMBA
``src/models/both_models.py``, ``src/run_amba.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from torch import Tensor

from aum_edge.checkpoints.aum import agree
from aum_edge.checkpoints.classifier import classifier, classifier_settings
from aum_edge.checkpoints.flags import Flags
from aum_edge.checkpoints.initialise import initialise_from
from aum_edge.checkpoints.shapes import NetworkShapes, network_shapes, sized_for
from aum_edge.checkpoints.strict_load import drop, load_strict, rename, strip_prefixes
from aum_edge.errors import CheckpointError, RecipeError
from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.architectures.masked_patch import MaskedPatchModel, masked_patch_config
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import AudioMambaConfig

WHAT = "The SSAMBA checkpoint"
POOLING = {"ft_avgtok": "mean", "ft_cls": "class"}
PRETRAINING = ("pretrain_joint", "pretrain_mpc", "pretrain_mpg")
TASKS = ", ".join([*POOLING, *PRETRAINING])
FRAMES = 1024


def convert_ssamba(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> AudioClassifier:
    """A pretraining checkpoint, one to be fine-tuned, or a fine-tuned model.

    A pretraining checkpoint without ``label_dim`` becomes a masked-patch model, from which
    pretraining can go on or fine-tuning can start; with it, a classifier with a fresh head.

    Raises:
        CheckpointError: If a tensor is missing, unexpected or of another shape.
        RecipeError: If a flag is unknown or contradicts the tensors.
    """
    notes: list[str] = []
    flags = Flags(values)
    named = strip_prefixes(tensors, "module.", "_orig_mod.")
    sizes = [named.pop(name, None) for name in ("p_input_fdim", "p_input_tdim")]
    drop(named, "v.head.", "a head of ImageNet's classes that SSAMBA never uses", notes)
    named = rename(named, {"v.pos_embed": "pos_embed.pos_embed", "v.": "", "mlp_head.": "head."})
    found = network_shapes(named, WHAT)
    if "mask_embed" in named:
        source = pretraining_config(flags, found, sizes)
        model = pretrained(source, named)
        classes = flags.take(0, "label_dim", "n_class")
        task = flags.take("", "task")
        if task in POOLING and not classes:
            raise RecipeError(f"The task {task} needs the flag `label_dim`: how many classes.")
        if not classes or task in PRETRAINING:
            if task not in (*PRETRAINING, ""):
                raise RecipeError(f"The flag `task` must be one of {TASKS}, got {task!r}.")
            flags.ignore("label_dim", "n_class", "label_csv", "labels")
            backbone: Any = continued(model, flags, notes)
        else:
            backbone = fine_tuning(model.encoder, flags, classes, notes)
    else:
        backbone = fine_tuned(flags, found, named, notes)
    config = backbone.config
    settings = classifier_settings(flags, config.n_mels, config.n_frames, config.n_classes, notes)
    flags.ignore("pretrain_stage", "num_classes", "patch_size", "stride", "img_size", "depth")
    flags.finish()
    return classifier(backbone, settings, "ssamba", notes, values)


def encoder_config(flags: Flags, found: NetworkShapes) -> AudioMambaConfig:
    """What tensors and flags say of the encoder; its size is set by the caller."""
    agree(flags, found.fields)
    for name in ("if_rope", "if_rope_residual"):
        flags.refuse(False, name)
    flags.refuse(1, "channels")
    flags.ignore("if_cls_token", "use_middle_cls_token", "use_double_cls_token", "final_pool_type")
    flags.ignore("if_abs_pos_embed")
    return AudioMambaConfig(
        **found.fields,
        n_classes=0,
        class_token="first",
        final_norms=2,
        norm_eps=flags.take(1e-5, "norm_epsilon"),
        layer_pairs=flags.take(True, "if_bidirectional"),
        halve_directions=flags.take(True, "if_devide_out", "if_divide_out"),
        drop_path=flags.take(0.1, "drop_path_rate"),
    )


def pretraining_config(
    flags: Flags, found: NetworkShapes, sizes: list[Tensor | None]
) -> AudioMambaConfig:
    """The encoder as it was pretrained, at the size stored in the checkpoint."""
    config = encoder_config(flags, found)
    if sizes[0] is None or sizes[1] is None:
        raise CheckpointError(f"{WHAT} lacks p_input_fdim or p_input_tdim: its input size.")
    return replace(config, n_mels=int(sizes[0]), n_frames=int(sizes[1]))


def pretrained(config: AudioMambaConfig, named: Mapping[str, Tensor]) -> MaskedPatchModel:
    """The masked-patch model with exactly these weights."""
    own = ("mask_embed", "cpredlayer.", "gpredlayer.")
    weights = {
        name if name.startswith(own) else f"encoder.{name}": tensor
        for name, tensor in named.items()
    }
    model = MaskedPatchModel(masked_patch_config(config))
    load_strict(model, weights, WHAT)
    return model


def wanted_size(flags: Flags, config: AudioMambaConfig) -> AudioMambaConfig:
    """``config`` with the input size, the patch and the stride that the flags ask for."""
    mels = flags.take(config.n_mels, "input_fdim", "num_mel_bins")
    frames = flags.take(config.n_frames, "input_tdim", "target_length")
    patch = (
        flags.take(config.patch_size[0], "fshape"),
        flags.take(config.patch_size[1], "tshape"),
    )
    stride = (flags.take(patch[0], "fstride"), flags.take(patch[1], "tstride"))
    return replace(
        config,
        n_mels=mels,
        n_frames=frames,
        patch_size=patch,
        stride=None if stride == patch else stride,
    )


def continued(model: MaskedPatchModel, flags: Flags, notes: list[str]) -> MaskedPatchModel:
    """The pretraining model, resized if the flags ask for another input size."""
    target = wanted_size(flags, model.config.encoder)
    flags.ignore("task")
    if target == model.config.encoder:
        return model
    if target.patch_size != model.config.patch_size or target.stride:
        raise RecipeError(
            "A pretraining model keeps its patches, without overlap; give `label_dim` for "
            "fine-tuning, where the stride is free."
        )
    other = MaskedPatchModel(masked_patch_config(target))
    notes += initialise_from(other, model, "ssamba")
    return other


def fine_tuning(encoder: AudioMamba, flags: Flags, classes: int, notes: list[str]) -> AudioMamba:
    """A classifier with a fresh head on the pretrained encoder."""
    config = wanted_size(flags, encoder.config)
    pooling = _pooling(flags)
    kinds = {field.name for field in fields(AudioMambaConfig)}
    values = {name: getattr(config, name) for name in kinds}
    target = AudioMambaConfig(
        **values | {"n_classes": classes, "head": "norm-linear", "pooling": pooling}
    )
    network = AudioMamba(target)
    notes += initialise_from(network, encoder, "ssamba")
    return network


def fine_tuned(
    flags: Flags, found: NetworkShapes, named: Mapping[str, Tensor], notes: list[str]
) -> AudioMamba:
    """A classifier as it was fine-tuned, or started from one for other classes or lengths.

    How long its clips were is read off its position table; ``checkpoint_spectrogram_size`` says it
    where the table leaves it open.
    """
    if "head.1.bias" not in named:
        raise CheckpointError(
            f"{WHAT} has neither mask_embed (pretraining) nor mlp_head (fine-tuned)."
        )
    classes = named["head.1.bias"].shape[0]
    wanted = replace(
        wanted_size(flags, replace(encoder_config(flags, found), n_frames=FRAMES)),
        n_classes=flags.take(classes, "label_dim", "n_class"),
        head="norm-linear",
        pooling=_pooling(flags),
    )
    source = replace(wanted, n_classes=classes)
    if found.position_rows is not None:
        size = flags.take((source.n_mels, source.n_frames), "checkpoint_spectrogram_size")
        source = replace(source, n_mels=size[0], n_frames=size[1])
        source = sized_for(source, found.position_rows - found.class_tokens, fixed=True)
    network = AudioMamba(source)
    load_strict(network, named, WHAT)
    target = (
        wanted
        if flags.has("input_tdim", "target_length")
        else replace(source, n_classes=wanted.n_classes)
    )
    if target == source:
        return network
    other = AudioMamba(target)
    notes += initialise_from(other, network, "ssamba")
    return other


def _pooling(flags: Flags) -> Any:
    task = flags.take("ft_avgtok", "task")
    if task not in POOLING:
        raise RecipeError(f"The flag `task` must be one of {TASKS}, got {task!r}.")
    return POOLING[task]
