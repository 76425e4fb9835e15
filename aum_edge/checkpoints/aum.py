"""AuM's own checkpoints, and its flags as our config.

=============================  ====================================================================
upstream                       here
=============================  ====================================================================
model_type base/small/tiny     d_model 768/384/192, depth 24 (or embed_dim, depth)
aum_type Fo-Fo/Fo-Bi/Bi-Bi     direction fo-fo/fo-bi/bi-bi (or bimamba_type none/v1/v2; if_bimamba)
spectrogram_size               (n_mels, n_frames) (or melbins, audio_length)
patch_size, strides            patch_size, stride, both (freq, time) (or fpatch_size, tpatch_size,
                               fstride, tstride)
n_class, num_classes           n_classes
if_cls_token, use_double_/     class_token none/double/middle/last/first, in this order of
middle_/end_cls_token          precedence
final_pool_type                pooling when there is no class token: mean, none -> last, max, all
transpose_token_sequence       token_order time
if_abs_pos_embed               position_embedding
rms_norm, norm_epsilon         norm, norm_eps
if_bidirectional               layer_pairs
if_devide_out                  halve_directions
init_layer_scale               layer_scale
aum_drop_path, drop_path_rate  drop_path
dataset_mean, dataset_std      normalisation (x - mean) / (2 std)
=============================  ====================================================================

What is not given is read off the tensors; what they cannot say is as upstream's ``run.py`` and its
training scripts have it. Source: AuM ``src/run.py``, ``src/models/mamba_models.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from aum_edge.checkpoints.classifier import classifier, classifier_settings
from aum_edge.checkpoints.flags import Flags
from aum_edge.checkpoints.initialise import initialise_from
from aum_edge.checkpoints.shapes import NetworkShapes, network_shapes, sized_for
from aum_edge.checkpoints.strict_load import load_strict, strip_prefixes
from aum_edge.errors import CheckpointError, RecipeError
from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.architectures.patches import patch_grid
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import AudioMambaConfig

WIDTHS = {"tiny": 192, "small": 384, "base": 768}
DIRECTIONS = {"none": "fo-fo", "v1": "fo-bi", "v2": "bi-bi"}
POOLING = {"mean": "mean", "none": "last", "max": "max", "all": "all"}
FRAMES = 1024
MOST_CLASSES = 1_000_000
AST_ONLY = (
    "pretrain pretrain_path fstride tstride label_dim input_fdim input_tdim model_name".split()
)


def convert_aum(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> AudioClassifier:
    """A checkpoint of AuM as the model that the flags describe.

    Raises:
        CheckpointError: If a tensor is missing, unexpected or of another shape.
        RecipeError: If a flag is unknown or contradicts the tensors.
    """
    notes: list[str] = []
    named = strip_prefixes(tensors, "module.", "_orig_mod.")
    flags = Flags(values)
    found = network_shapes(named, "The AuM checkpoint")
    target = aum_config(flags, found)
    source = checkpoint_config(flags, found, target)
    settings = classifier_settings(flags, target.n_mels, target.n_frames, target.n_classes, notes)
    flags.finish()
    network = load_network(source, named, "The AuM checkpoint")
    network = rebuilt(network, target, notes)
    return classifier(network, settings, "aum", notes, values)


def load_network(config: AudioMambaConfig, tensors: Mapping[str, Tensor], what: str) -> AudioMamba:
    """A network of this config with exactly these weights."""
    network = AudioMamba(config)
    load_strict(network, tensors, what)
    return network


def rebuilt(network: AudioMamba, target: AudioMambaConfig, notes: list[str]) -> AudioMamba:
    """The network itself if it is what was asked for, or one of ``target`` started from it."""
    if network.config == target:
        return network
    other = AudioMamba(target)
    notes += initialise_from(other, network, "aum")
    return other


def aum_config(flags: Flags, found: NetworkShapes) -> AudioMambaConfig:
    """The network that the flags describe, as far as the tensors do not settle it."""
    shapes = dict(found.fields)
    agree(flags, shapes)
    patch = flags.take(shapes["patch_size"], "patch_size")
    patch = (flags.take(patch[0], "fpatch_size"), flags.take(patch[1], "tpatch_size"))
    stride = flags.take(patch, "strides")
    stride = (flags.take(stride[0], "fstride"), flags.take(stride[1], "tstride"))
    _same(flags, "spectrogram_size", ("melbins", "audio_length"))
    _same(flags, "patch_size", ("fpatch_size", "tpatch_size"))
    _same(flags, "strides", ("fstride", "tstride"))
    size = flags.take((128, 0), "spectrogram_size")
    n_mels, n_frames = flags.take(size[0], "melbins"), flags.take(size[1], "audio_length")
    mels_given = flags.has("spectrogram_size", "melbins")
    token = class_token(flags, found.class_tokens)
    unknown_length = n_frames == 0
    config = AudioMambaConfig(
        **shapes | {"patch_size": patch},
        stride=None if stride == patch else stride,
        n_classes=flags.take(found.n_classes or 0, "n_class", "num_classes"),
        n_mels=n_mels,
        n_frames=n_frames or FRAMES,
        class_token=token,  # type: ignore[arg-type]
        pooling=pooling(flags) if token == "none" else "class",  # type: ignore[arg-type]
        token_order="time" if flags.take(False, "transpose_token_sequence") else "frequency",
        norm_eps=flags.take(1e-5, "norm_epsilon"),
        halve_directions=flags.take(True, "if_devide_out", "if_divide_out"),
        layer_pairs=flags.take(False, "if_bidirectional"),
        drop_path=flags.take(0.0, "aum_drop_path", "drop_path_rate"),
    )
    flags.ignore("use_PI_for_patch_embed")
    unsupported(flags)
    if unknown_length and found.position_rows is not None:
        return sized_for(config, found.position_rows - found.class_tokens, fixed=mels_given)
    return config


def _same(flags: Flags, pair: str, names: tuple[str, str]) -> None:
    """Check a flag of a pair against the flags of its two halves.

    Raises:
        RecipeError: If they do.
    """
    both = flags.take((0, 0), pair)
    for name, value in zip(names, both, strict=True):
        half = flags.take(0, name)
        if value and half and value != half:
            raise RecipeError(f"The flags {pair} {both} and {name} {half} disagree.")


def checkpoint_config(
    flags: Flags, found: NetworkShapes, target: AudioMambaConfig
) -> AudioMambaConfig:
    """The network that the checkpoint was saved from: its own patch, stride, length and classes."""
    patch = found.fields["patch_size"]
    same_patch = patch == target.patch_size
    pretrain = flags.take(False, "aum_pretrain")
    default = patch if pretrain or not same_patch else (target.stride or patch)
    stride = (
        flags.take(default[0], "aum_pretrain_fstride"),
        flags.take(default[1], "aum_pretrain_tstride"),
    )
    config = replace(
        target,
        patch_size=patch,
        stride=None if stride == patch else stride,
        n_classes=found.n_classes or 0,
    )
    if found.position_rows is None:
        flags.ignore("checkpoint_spectrogram_size")
        return config
    size = flags.take((target.n_mels, target.n_frames), "checkpoint_spectrogram_size")
    stated = flags.has("checkpoint_spectrogram_size")
    config = replace(config, n_mels=size[0], n_frames=size[1])
    patches = found.position_rows - found.class_tokens
    if stated:
        gf, gt = patch_grid(config)
        if gf * gt != patches:
            raise CheckpointError(
                f"`checkpoint_spectrogram_size` {size} has {gf} x {gt} patches, the checkpoint's "
                f"position table has {patches}."
            )
        return config
    return sized_for(config, patches, upstream_rule=pretrain)


def agree(flags: Flags, shapes: Mapping[str, Any]) -> None:
    """Check that flags agree with what names and shapes of tensors determine.

    Raises:
        CheckpointError: Naming the flag, its value and what the tensors are.
    """
    model_type = flags.take("", "model_type", "model_size")
    width = next((w for name, w in WIDTHS.items() if name in model_type), None)
    if model_type and width is None:
        raise RecipeError(f"`model_type` must name tiny, small or base, got {model_type!r}.")
    kind, aum_type = flags.take("", "bimamba_type"), flags.take("", "aum_type").lower()
    if kind not in (*DIRECTIONS, "") or aum_type not in (*DIRECTIONS.values(), ""):
        raise RecipeError(
            f"`bimamba_type` must be one of {', '.join(DIRECTIONS)} and `aum_type` Fo-Fo, Fo-Bi or "
            f"Bi-Bi; got {kind!r} and {aum_type!r}."
        )
    direction = DIRECTIONS.get(kind) or aum_type or shapes["direction"]
    direction = "fo-bi" if flags.take(False, "if_bimamba") else direction
    norm = "rms" if flags.take(shapes["norm"] == "rms", "rms_norm") else "layer"
    scaled = flags.take(shapes["layer_scale"] or 0.0, "init_layer_scale") > 0
    stated = {
        "d_model": flags.take(width or shapes["d_model"], "embed_dim"),
        "depth": flags.take(shapes["depth"], "depth"),
        "direction": direction,
        "norm": norm,
        "position_embedding": flags.take(shapes["position_embedding"], "if_abs_pos_embed"),
        "layer_scale": (shapes["layer_scale"] or 1.0) if scaled else None,
    }
    wrong = [f"{k} {v!r}, its tensors {shapes[k]!r}" for k, v in stated.items() if v != shapes[k]]
    if wrong:
        raise CheckpointError(f"The checkpoint is another model: the flags say {wrong[0]}.")


def class_token(flags: Flags, tokens: int) -> str:
    """Upstream's four switches as one word, in its order of precedence."""
    wanted = flags.take(tokens > 0, "if_cls_token")
    double = flags.take(tokens == 2, "use_double_cls_token")
    middle, end = flags.take(True, "use_middle_cls_token"), flags.take(False, "use_end_cls_token")
    if (2 if double else 1) * wanted != tokens:
        raise CheckpointError(
            f"The checkpoint has {tokens} class tokens, the flags ask for "
            f"{(2 if double else 1) * wanted}: check if_cls_token and use_double_cls_token."
        )
    if not wanted:
        return "none"
    return "double" if double else "middle" if middle else "last" if end else "first"


def pooling(flags: Flags) -> str:
    """What is pooled without a class token; with one the flag has no effect upstream."""
    kind = flags.take("mean", "final_pool_type")
    if kind not in POOLING:
        raise CheckpointError(
            f"`final_pool_type` must be one of {', '.join(POOLING)}, got {kind!r}."
        )
    return POOLING[kind]


def unsupported(flags: Flags) -> None:
    """Switches that no published checkpoint uses: only their defaults are accepted."""
    flags.refuse(1, "channels")
    flags.refuse(
        False,
        "if_rope",
        "if_rope_residual",
        "bilinear_rope",
        "must_square",
        "if_random_cls_token_position",
        "if_random_token_rank",
        "imagenet_pretrain",
    )
    flags.refuse(-1.0, "flip_img_sequences_ratio")
    pooling(flags)
    if flags.take(1, "n_class", "num_classes") > MOST_CLASSES:
        raise RecipeError(f"`n_class` must be at most {MOST_CLASSES:,}.")
    flags.ignore("pt_seq_lenf", "pt_seq_lent", "pt_hw_seq_len", "ft_seq_len")
    flags.ignore(
        "imagenet_pretrain_modelkey",
        "imagenet_load_middle_cls_token",
        "imagenet_load_double_cls_token",
        "abs_pos_patch_grid_size",
        "weird__target_size",
    )
    flags.ignore(*(f"ast_{name}" for name in AST_ONLY), "load_backbone_only")
