"""A new mixer is one class: everything else works on it as it is; what lacks a part is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.complexity.sizes import streaming_state
from aum_edge.complexity.torch_counter import count
from aum_edge.compression.pruning.config import PruneConfig
from aum_edge.compression.pruning.prune import prune
from aum_edge.errors import RecipeError, UnsupportedOperatorError
from aum_edge.export.c.blocks import c_form
from aum_edge.export.c.generate import generate
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.models.storage.directory import save
from aum_edge.models.streaming import StreamingStudent
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.ssm.mixers import registry
from aum_edge.ssm.mixers.base import MixerSizes, State, StudentMixer
from aum_edge.ssm.mixers.groups import MIN_INNER, Dimension, Gate, Group, GroupMember
from aum_edge.ssm.mixers.registry import mixer_names, register_mixer, student_mixer
from tests.small_run import student

SIZES = MixerSizes(
    d_model=12,
    d_inner=16,
    d_conv=4,
    d_state=4,
    dt_rank=2,
    head_dim=8,
    bidirectional=False,
    directions="forward",
)


class RunningMean(StudentMixer):
    """out_proj(mean of u so far * silu(z))."""

    scans: ClassVar[bool] = False

    def __init__(self, d_model: int, d_inner: int) -> None:
        super().__init__()
        self.d_inner = d_inner
        self.in_proj = nn.Linear(d_model, 2 * d_inner, bias=False)
        self.out_proj = nn.Linear(d_inner, d_model, bias=False)

    @classmethod
    def from_sizes(cls, sizes: MixerSizes) -> Self:
        return cls(sizes.d_model, sizes.d_inner)

    def forward(self, x: Tensor) -> Tensor:
        u, z = self.in_proj(x).split([self.d_inner, self.d_inner], dim=-1)
        number = torch.arange(1, x.shape[1] + 1, dtype=x.dtype).unsqueeze(1)
        return self.out_proj(u.cumsum(dim=1) / number * F.silu(z))

    def initial_state(self, batch: int = 1) -> State:
        return {"sum": torch.zeros(batch, 1, self.d_inner), "number": torch.zeros(batch, 1, 1)}

    def step(self, x: Tensor, state: Mapping[str, Tensor]) -> tuple[Tensor, State]:
        u, z = self.in_proj(x).split([self.d_inner, self.d_inner], dim=-1)
        after = {"sum": state["sum"] + u, "number": state["number"] + 1}
        return self.out_proj(after["sum"] / after["number"] * F.silu(z)), after

    def pruning_groups(self) -> Sequence[Group]:
        members = (
            GroupMember(name="in_proj", kind="out", spans=((0, 1), (self.d_inner, 1))),
            GroupMember(name="out_proj", kind="in"),
        )
        gates = (Gate(module="out_proj", side="in"),)
        return (
            Group(
                dimension="inner",
                units=self.d_inner,
                minimum=MIN_INNER,
                members=members,
                gates=gates,
            ),
        )


@pytest.fixture
def toy() -> Iterator[None]:
    register_mixer("running-mean")(RunningMean)
    yield
    del registry._MIXERS["running-mean"]


@pytest.fixture
def model(toy: None) -> AudioClassifier:
    made = student(mixer="running-mean", bidirectional=False)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made.eval()


def clips(model: AudioClassifier, number: int = 6) -> Tensor:
    torch.manual_seed(1)
    return 3 * torch.randn(number, 1, model.frontend.n_mels, model.frontend.n_frames) - 2


def test_it_is_a_value_of_the_config(model: AudioClassifier) -> None:
    assert mixer_names() == ("s6", "ssd", "none", "running-mean")
    assert [type(mixer) for mixer in model.backbone.mixers] == [RunningMean] * 2
    with pytest.raises(RecipeError, match="`mixer: running-mean` has no states"):
        MambaStudentConfig(n_classes=3, mixer="running-mean", states=(4,) * 4)


def test_without_it_the_config_refuses_its_name() -> None:
    with pytest.raises(RecipeError, match="one of s6, ssd, none, got 'running-mean'"):
        MambaStudentConfig(n_classes=3, mixer="running-mean")


def test_it_is_counted_saved_and_loaded(model: AudioClassifier, tmp_path: Path) -> None:
    counted = count(model, model.example_input())
    assert not counted.unsupported
    length = -(-model.frontend.n_frames // 4)
    inside = sum(counted.layers["backbone.blocks.0.mixer.in_proj"].values())
    assert inside == length * 16 * 64
    save(model, tmp_path / "m")
    x = clips(model)
    assert torch.equal(load(tmp_path / "m")(x), model(x))


@torch.no_grad()
def test_it_streams(model: AudioClassifier) -> None:
    steps, x = StreamingStudent(model).eval(), clips(model, 2)
    state = list(steps.initial_state(2).values())
    assert streaming_state(model.backbone) == sum(t.numel() for t in state) // 2
    padded = F.pad(x, (steps.frames - 1, 0))
    for start in range(0, padded.shape[3] - steps.frames + 1, steps.frames):
        logits, *state = steps(padded[..., start : start + steps.frames], *state)
    torch.testing.assert_close(logits, model(x), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("importance", ["taylor", "activation", "magnitude"])
def test_it_is_pruned(model: AudioClassifier, importance: str) -> None:
    config = PruneConfig(
        bytes_share=0.8,
        importance=importance,  # type: ignore[arg-type]
        steps=1,
        dimensions=("inner",),
    )
    x, y = clips(model), torch.tensor([0, 1, 2, 0, 1, 2])
    small = prune(model, config, [(x, y)])
    assert min(small.backbone.config.block_inner) < 32
    assert small(x).shape == (6, 3)


def test_it_becomes_onnx_by_its_own_forward(model: AudioClassifier, tmp_path: Path) -> None:
    report = export_onnx(model, tmp_path / "m.onnx", clips=clips(model))
    assert report.max_abs_diff < 1e-4
    assert report.agreement == 1


def test_c_refuses_it_in_one_line(model: AudioClassifier) -> None:
    with pytest.raises(UnsupportedOperatorError) as caught:
        generate(model, "toy")
    message = str(caught.value)
    assert "no operator RunningMean: this mixer has no C form" in message
    assert "S6Mixer" in message
    assert "\n" not in message


@torch.no_grad()
@pytest.mark.parametrize("name", mixer_names())
def test_every_mixer_has_a_step_form_that_equals_its_forward(name: str) -> None:
    torch.manual_seed(0)
    mixer = student_mixer(name).from_sizes(SIZES).eval()
    x, state, outputs = torch.randn(2, 7, 12), mixer.initial_state(2), []
    names = list(state)
    for t in range(7):
        y, state = mixer.step(x[:, t : t + 1], state)
        assert list(state) == names
        outputs.append(y)
    torch.testing.assert_close(torch.cat(outputs, dim=1), mixer(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", mixer_names())
def test_every_mixer_has_pruning_groups_of_its_own_tensors(name: str) -> None:
    mixer = student_mixer(name).from_sizes(SIZES)
    groups = {group.dimension: group for group in mixer.pruning_groups()}
    assert len(groups) == len(mixer.pruning_groups())
    assert "inner" in groups
    assert groups.keys() <= set(get_args(Dimension))
    assert {gate.module for gate in groups["inner"].gates} & {"norm", "out_proj"}
    for group in groups.values():
        for member in group.members:
            for tensor, axis in member.tensors(mixer):
                size = mixer.get_parameter(tensor).shape[axis]
                assert max(member.indices(range(group.units))) < size, (group.dimension, tensor)
        for gate in group.gates:
            mixer.get_submodule(gate.module)


@pytest.mark.parametrize("name", mixer_names())
def test_every_mixer_has_a_c_form_or_one_line_that_says_so(name: str) -> None:
    kind = student_mixer(name)
    try:
        assert c_form(kind).text
    except UnsupportedOperatorError as error:
        assert kind.__name__ in str(error)  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize("name", mixer_names())
def test_every_mixer_becomes_onnx(name: str, tmp_path: Path) -> None:
    made = student(mixer=name, depth=1).eval()
    report = export_onnx(made, tmp_path / "m.onnx", clips=clips(made, 2))
    assert report.max_abs_diff < 1e-4


def test_a_mixer_that_lacks_a_part_is_not_registered() -> None:
    class Half(StudentMixer):
        def forward(self, x: Tensor) -> Tensor:
            return x

        def pruning_groups(self) -> Sequence[Group]:
            return ()

    with pytest.raises(TypeError, match="Half lacks from_sizes, initial_state, step"):
        register_mixer("half")(Half)  # type: ignore[type-abstract]
    assert "half" not in mixer_names()
    with pytest.raises(ValueError, match="is a mixer `ssd` already"):
        register_mixer("ssd")(RunningMean)
