"""The groups that run through the whole network: its width, its stem, the size of its heads."""

from __future__ import annotations

from torch import nn

from aum_edge.compression.pruning.config import Dimension
from aum_edge.compression.pruning.groups import Gate, Group, GroupMember, Key
from aum_edge.compression.pruning.mixer_groups import groups_of
from aum_edge.errors import CompressionError
from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.architectures.mamba_student import MambaStudent
from aum_edge.ssm.mixers.ssd import SSDMixer

Backbone = AudioMamba | MambaStudent
MIN_WIDTH = 8
MIN_STEM = 2
MIN_HEAD_DIM = 2
TOKENS = ("cls_token", "cls_token_head", "cls_token_tail", "pos_embed.pos_embed")


def mamba_of(network: nn.Module) -> Backbone:
    """The network itself, known to have prunable Mamba blocks.

    Raises:
        CompressionError: it is another kind of network.
    """
    if not isinstance(network, AudioMamba | MambaStudent):
        raise CompressionError(
            f"Pruning cuts Mamba blocks and finds none in a {type(network).__name__}; "
            "give an audio_mamba or mamba_student model."
        )
    return network


def blocks_of(backbone: Backbone) -> nn.ModuleList:
    """The residual blocks, each with a ``mixer``."""
    return backbone.layers if isinstance(backbone, AudioMamba) else backbone.blocks


def block_name(backbone: Backbone) -> str:
    """Where the blocks are."""
    return "layers" if isinstance(backbone, AudioMamba) else "blocks"


def network_groups(backbone: Backbone) -> dict[Key, Group]:
    """Every group of the network by its place and dimension, whole blocks apart."""
    groups: dict[Key, Group] = {}
    for index, block in enumerate(blocks_of(backbone)):
        for dimension, group in groups_of(block.get_submodule("mixer")).items():
            groups[index, dimension] = group.under(f"{block_name(backbone)}.{index}.mixer.")
    groups[0, "d_model"] = _width(backbone)
    if isinstance(backbone, MambaStudent):
        if backbone.config.stem == "conv":
            groups |= {(0, "stem"): _first_stem(backbone), (1, "stem"): _second_stem(backbone)}
        if backbone.config.mixer == "ssd":
            groups[0, "head_dim"] = _head_dim(backbone)
    elif backbone.config.direction != "fo-fo":
        # AuM has one direction setting; without the second scan it is that of a forward model.
        backward = Group(dimension="direction", units=2, minimum=1, fixed=frozenset({0}))
        groups[0, "direction"] = backward
    return groups


def shared_dimensions(backbone: Backbone) -> frozenset[Dimension]:
    """The dimensions that have one size for the whole network."""
    shared: set[Dimension] = {"d_model", "stem", "head_dim"}
    return frozenset(shared | {"direction"} if isinstance(backbone, AudioMamba) else shared)


def block_group(backbone: Backbone, index: int) -> Group:
    """A whole block as a group of one unit, for its gate: what the block adds is turned down."""
    name = f"{block_name(backbone)}.{index}.mixer"
    gate = Gate(module=name, side="out", spans=((0, backbone.config.d_model),))
    return Group(dimension="block", units=1, minimum=0, gates=(gate,))


def _width(backbone: Backbone) -> Group:
    """Everything that writes to the residual stream, and everything that reads it by a norm."""
    named = dict(backbone.named_parameters())
    members: list[GroupMember] = []
    if isinstance(backbone, MambaStudent):
        members.append(GroupMember(name="stem.fold", kind="out"))
        if backbone.stem.band is not None:
            members.append(GroupMember(name="stem.band", kind="parameter", dim=1))
    else:
        members.append(GroupMember(name="patch_embed.proj", kind="out"))
        members += [GroupMember(name=t, kind="parameter", dim=2) for t in TOKENS if t in named]
    readers = ["norm_f"]
    for index in range(len(blocks_of(backbone))):
        block = f"{block_name(backbone)}.{index}"
        readers.append(f"{block}.norm")
        members.append(GroupMember(name=f"{block}.mixer.in_proj", kind="in"))
        members.append(GroupMember(name=f"{block}.mixer.out_proj", kind="out"))
        if f"{block}.mixer.gamma" in named:
            members.append(GroupMember(name=f"{block}.mixer.gamma", kind="parameter"))
    norms = list(readers)
    if getattr(backbone, "head", None) is not None:
        first, columns = _head(backbone.head)
        norms += first
        members.append(GroupMember(name=columns, kind="in"))
    parts = [f"{norm}.{part}" for norm in norms for part in ("weight", "bias")]
    members += [GroupMember(name=name, kind="parameter") for name in parts if name in named]
    return Group(
        dimension="d_model",
        units=backbone.config.d_model,
        minimum=MIN_WIDTH,
        members=tuple(members),
        norms=tuple(f"{norm}.weight" for norm in norms),
        gates=_reader_gates(backbone, readers),
    )


def _reader_gates(backbone: Backbone, readers: list[str]) -> tuple[Gate, ...]:
    """A layer norm's bias speaks for a silent channel too, so its answer is gated as well."""
    gates = [Gate(module=reader, side="in") for reader in readers]
    gates += [
        Gate(module=reader, side="out")
        for reader in readers
        if isinstance(backbone.get_submodule(reader), nn.LayerNorm)
    ]
    return tuple(gates)


def _head(head: nn.Module) -> tuple[list[str], str]:
    """Names of the head's own norm, if any, and of the first layer that mixes channels."""
    if isinstance(head, nn.Linear):
        return [], "head"
    linear = next(n for n, module in head.named_modules() if isinstance(module, nn.Linear))
    norms = [f"head.{n}" for n, m in head.named_modules() if isinstance(m, nn.LayerNorm)]
    return norms, f"head.{linear}"


def _convolution(backbone: MambaStudent, index: int) -> list[GroupMember]:
    """Rows of a convolution of the stem and of its batch norm, unless that is folded."""
    members = [GroupMember(name=f"stem.convs.{index}.0", kind="out")]
    if not backbone.config.folded:
        members.append(GroupMember(name=f"stem.convs.{index}.1", kind="out"))
    return members


def _first_stem(backbone: MambaStudent) -> Group:
    reader = GroupMember(name="stem.convs.1.0", kind="in")
    return Group(
        dimension="stem",
        units=backbone.config.stem_channels[0],
        minimum=MIN_STEM,
        members=(*_convolution(backbone, 0), reader),
        gates=(Gate(module="stem.convs.1", side="in", axis=1),),
    )


def _second_stem(backbone: MambaStudent) -> Group:
    """The second convolution, the depthwise one after it, and what folds frequency away."""
    parts = (*_convolution(backbone, 1), *_convolution(backbone, 2))
    return Group(
        dimension="stem",
        units=backbone.config.stem_channels[1],
        minimum=MIN_STEM,
        members=(*parts, GroupMember(name="stem.fold", kind="in")),
        gates=(Gate(module="stem.fold", side="in", axis=1),),
    )


def _head_dim(backbone: MambaStudent) -> Group:
    """Unit p is channel p of every head of every block: all heads have one size."""
    size = backbone.config.head_dim
    members: list[GroupMember] = []
    norms, gates = [], []
    for index, block in enumerate(backbone.blocks):
        mixer = block.get_submodule("mixer")
        if not isinstance(mixer, SSDMixer):
            continue
        name = f"blocks.{index}.mixer"
        channels = tuple((head * size, 1) for head in range(mixer.heads))
        rows = tuple((mixer.d_inner + start, 1) for start, _ in channels)
        members += [
            GroupMember(name=f"{name}.in_proj", kind="out", spans=channels + rows),
            GroupMember(name=f"{name}.conv1d", kind="out", spans=channels),
            GroupMember(name=f"{name}.norm.weight", kind="parameter", spans=channels),
            GroupMember(name=f"{name}.out_proj", kind="in", spans=channels),
        ]
        norms.append(f"{name}.norm.weight")
        gates.append(Gate(module=f"{name}.norm", side="in", spans=channels))
    return Group(
        dimension="head_dim",
        units=size,
        minimum=MIN_HEAD_DIM,
        members=tuple(members),
        norms=tuple(norms),
        gates=tuple(gates),
    )
