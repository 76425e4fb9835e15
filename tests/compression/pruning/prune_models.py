"""Networks with random numbers everywhere, and units silenced by hand: knows nothing of groups."""

from __future__ import annotations

import copy
import sys
from dataclasses import replace

import torch
from torch import Tensor, nn

from aum_edge.compression.pruning.slicing import Removal, prunable
from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.architectures.prunable import PrunableBackbone
from aum_edge.models.config import AudioMambaConfig
from aum_edge.models.registry import build
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.ssm.mixers.ssd import SSDMixer

STUDENT = MambaStudentConfig(
    n_classes=3, n_mels=16, n_frames=24, d_model=12, depth=2, d_state=5, head_dim=4, d_conv=3,
    stem_channels=(5, 6),
)  # fmt: skip
S6 = replace(STUDENT, mixer="s6", dt_ranks=(3, 3))
TEACHER = AudioMambaConfig(
    n_classes=3, n_mels=16, n_frames=32, patch_size=(8, 8), d_model=12, depth=2, d_state=5,
    dt_ranks=(3, 3),
)  # fmt: skip
CONFIGS: dict[str, MambaStudentConfig | AudioMambaConfig] = {
    "ssd": STUDENT,
    "ssd-causal": replace(STUDENT, bidirectional=False),
    "ssd-separate": replace(STUDENT, sharing="separate", pooling="mean-max"),
    "ssd-one-way": replace(STUDENT, directions=("both", "backward"), frequency_groups=2),
    "s6": S6,
    "s6-causal": replace(S6, bidirectional=False, pooling="last"),
    "s6-separate": replace(S6, sharing="separate", folded=True),
    "none": replace(STUDENT, mixer="none", stem="patch", time_stride=2),
    "fo-fo": replace(TEACHER, direction="fo-fo"),
    "fo-bi": replace(TEACHER, direction="fo-bi", class_token="double"),
    "bi-bi": replace(TEACHER, direction="bi-bi", layer_scale=0.5, final_norms=2),
    "bi-bi-sum": replace(
        TEACHER, direction="bi-bi", halve_directions=False, position_embedding=False
    ),
}
LAYER_NORMS: dict[str, MambaStudentConfig | AudioMambaConfig] = {
    "student": replace(STUDENT, norm="layer"),
    "teacher": replace(TEACHER, direction="bi-bi", norm="layer"),
}
OFF = -1e9
"""A step whose softplus is nothing: the direction neither takes anything in nor forgets."""


def network(config: MambaStudentConfig | AudioMambaConfig) -> PrunableBackbone:
    """In double precision; no tie may hide behind an initial value."""
    torch.manual_seed(sum(map(ord, repr(config))))
    net = build(config).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
        for name, parameter in net.named_parameters():
            if name.startswith("stem.convs") and name.endswith("bias"):
                parameter += 1.5  # no channel is silent behind its ReLU
        for name, buffer in net.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer += torch.rand_like(buffer)
    return prunable(net)


def clips(net: nn.Module, count: int = 2) -> Tensor:
    """Features in double precision."""
    torch.manual_seed(5)
    shape = (count, 1, net.config.n_mels, net.config.n_frames)
    return torch.randn(shape, dtype=torch.float64)


def gap(one: nn.Module, other: nn.Module, x: Tensor) -> float:
    """Largest difference between two networks' answers."""
    with torch.no_grad():
        return float((one(x) - other(x)).abs().max())


def silenced(net: PrunableBackbone, removal: Removal) -> PrunableBackbone:
    """The whole network with the removed units turned off through as few weights as do it."""
    masked = copy.deepcopy(net)
    for (place, dimension), units in removal.units.items():
        for unit in units:
            _silence(masked, place, dimension, unit)
    for block in removal.blocks:
        masked.mixer_blocks[block].mixer.out_proj.weight.data.zero_()
    return masked


@torch.no_grad()
def _silence(net: PrunableBackbone, place: int, dimension: str, unit: int) -> None:
    if dimension == "d_model":
        _silence_width(net, unit)
    elif dimension == "stem":
        conv = net.stem.convs[(0, 2)[place]]
        speaker = conv[0] if net.config.folded else conv[1]
        speaker.weight[unit] = 0
        speaker.bias[unit] = 0
    elif dimension == "head_dim":
        for block in net.blocks:
            size = block.mixer.head_dim
            for channel in range(unit, block.mixer.d_inner, size):
                block.mixer.conv1d.weight[channel] = 0
                block.mixer.conv1d.bias[channel] = 0
    elif dimension == "direction":
        places = range(len(net.layers)) if isinstance(net, AudioMamba) else [place]
        for index in places:
            _silence_direction(net.mixer_blocks[index].mixer, unit)
    else:
        _silence_in(net.mixer_blocks[place].mixer, dimension, unit)


def _silence_width(net: PrunableBackbone, unit: int) -> None:
    """Nothing writes to the channel: all that adds to the residual stream."""
    for name, parameter in net.named_parameters():
        if name.endswith(("out_proj.weight", "fold.weight", "fold.bias", "patch_embed.proj.weight",
                          "patch_embed.proj.bias")):  # fmt: skip
            parameter[unit] = 0
        elif name.endswith(("cls_token", "cls_token_head", "cls_token_tail", "pos_embed", "band")):
            parameter[..., unit] = 0


def _silence_direction(mixer: nn.Module, unit: int) -> None:
    """A scan whose step is always nothing; what is left of a path of its own is its skip."""
    if isinstance(mixer, SSDMixer):
        mixer.dt_bias[unit] = OFF
    elif hasattr(mixer, "x_proj_b"):
        path = ("", "_b")[unit]
        getattr(mixer, f"dt_proj{path}").bias.fill_(OFF)
        getattr(mixer, f"D{path}").zero_()
    else:
        _scan_one_way(mixer, without=bool(unit))


def _scan_one_way(mixer: nn.Module, without: bool) -> None:
    """Two scans that share all tensors cannot be told apart by weights: one's answer is zero."""
    module, whole = sys.modules[type(mixer).__module__], mixer.forward

    def forward(x: Tensor) -> Tensor:
        real = module.scan

        def scan(*tensors: Tensor) -> tuple[Tensor, Tensor]:
            y, state = real(*tensors)
            return (torch.zeros_like(y) if tensors[-1] is without else y), state

        module.scan = scan
        try:
            return whole(x)
        finally:
            module.scan = real

    mixer.forward = forward


def _silence_in(mixer: nn.Module, dimension: str, unit: int) -> None:
    for path in ("", "_b"):
        if not hasattr(mixer, f"conv1d{path}"):
            continue
        convolution = getattr(mixer, f"conv1d{path}")
        if dimension == "dt_rank":
            getattr(mixer, f"dt_proj{path}").weight[:, unit] = 0
        elif dimension == "inner":
            size = getattr(mixer, "head_dim", 1)
            rows = slice(unit * size, (unit + 1) * size)
            convolution.weight[rows] = 0
            convolution.bias[rows] = 0
        elif isinstance(mixer, SSDMixer):
            for part in range(mixer.sets):
                row = mixer.d_inner + (2 * part + 1) * mixer.d_state + unit
                convolution.weight[row] = 0
                convolution.bias[row] = 0
        else:
            row = mixer.dt_rank + mixer.d_state + unit
            getattr(mixer, f"x_proj{path}").weight[row] = 0
