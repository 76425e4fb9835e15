"""What the engine does not take: models, settings, arenas. And how exact its functions are."""

from __future__ import annotations

import ctypes
import subprocess

import numpy as np
import pytest
import torch

from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.errors import ExportError, RecipeError, UnsupportedOperatorError
from aum_edge.export.c import arena, tensors
from aum_edge.export.c.config import CExportConfig, identifier
from aum_edge.export.c.generate import generate
from aum_edge.export.c.header import c_text
from aum_edge.export.c.tiles import piece
from aum_edge.models.quantized import QuantizedLayer
from tests.export.c.engine import Arena, Engine, engine, needs, noise, student
from tests.export.conftest import make


@pytest.mark.parametrize(("kind", "named"), [("cp", "AvgPool2d"), ("aum", "")])
def test_other_networks_are_refused_by_operator(kind: str, named: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=f"no operator {named}"):
        generate(make(kind), "tiny")


def test_rounded_inputs_are_refused() -> None:
    small = quantize(student(), QuantizeConfig())
    layer = small.backbone.get_submodule("stem.convs.0.0")
    assert isinstance(layer, QuantizedLayer)
    layer.with_rounded_input()
    with pytest.raises(UnsupportedOperatorError, match=r"rounded inputs .*stem\.convs\.0\.0"):
        generate(small, "tiny")


def test_weights_that_are_not_finite_are_refused() -> None:
    model = student()
    with torch.no_grad():
        model.backbone.get_parameter("blocks.1.mixer.out_proj.weight")[3, 2] = torch.nan
    with pytest.raises(ExportError, match=r"blocks\.1\.mixer\.out_proj\.weight .* not finite"):
        generate(model, "tiny")


def test_models_beyond_32_bit_offsets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "LIMIT", 10_000)
    with pytest.raises(ExportError, match="32 bit"):
        generate(student(), "tiny")


def test_arenas_beyond_32_bit_offsets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena, "LIMIT", 1_000)
    with pytest.raises(ExportError, match="32 bit"):
        generate(student(), "tiny")


@pytest.mark.parametrize("name", ["2fast", "a-b", "", "é"])
def test_names_are_identifiers(name: str) -> None:
    with pytest.raises(RecipeError, match="C identifier"):
        CExportConfig(name=name)


def test_file_names_become_identifiers() -> None:
    assert identifier("student-ssd.v2") == "student_ssd_v2"
    assert identifier("64k") == "m_64k"
    assert identifier("---") == "model"


def test_labels_are_c_strings() -> None:
    assert c_text('a "b"\\??/é') == '"a \\042b\\042\\134\\077\\077/\\303\\251"'


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return engine(student(bidirectional=False), tmp_path_factory.mktemp("causal"))


def test_arenas_are_checked(causal: Engine) -> None:
    size = causal.program.arena_bytes
    room = Arena(size + 16)
    logits, x = np.zeros(3, np.float32), noise(student()).numpy()[0]
    assert causal.call("init", None, size) == 1
    assert causal.call("init", room.address + 4, size) == 2
    assert causal.call("init", room.address, size - 1) == 3
    assert causal.call("run_features", room.address, x, logits) == 4
    assert causal.call("run", room.address, x, logits) == 4
    assert causal.call("push", room.address, x, 10) == 4
    assert causal.call("init", room.address, size) == 0
    assert causal.call("result", room.address, logits) == 4
    assert causal.call("run_features", room.address, None, logits) == 1
    assert causal.call("run_features", None, x, logits) == 1
    assert causal.call("run_features", room.address, x, logits) == 0


def test_streams_are_checked(causal: Engine) -> None:
    size = causal.program.stream_bytes
    assert size is not None
    room = Arena(size)
    assert causal.call("stream_init", None, size) == 1
    assert causal.call("stream_init", room.address + 8, size) == 2
    assert causal.call("stream_init", room.address, size - 16) == 3
    assert causal.call("stream_init", room.address, size) == 0
    assert causal.call("push", room.address, None, 0) == 0
    assert causal.call("push", room.address, None, 1) == 1
    x = np.zeros(3, np.float32)
    assert causal.call("run_features", room.address, x, x) == 4
    room.check()


WRAPPERS = """
void exps(float *x, int32_t n)
{
    for (; n > 0; n -= LANES, x += LANES) v_store(x, v_exp(v_load(x)));
}
void silus(float *x, int32_t n)
{
    for (; n > 0; n -= LANES, x += LANES) v_store(x, v_silu(v_load(x)));
}
void softpluses(float *x, int32_t n)
{
    for (; n > 0; n -= LANES, x += LANES) v_store(x, v_softplus(v_load(x)));
}
void roots(float *x, int32_t n)
{
    for (; n > 0; n--, x++) *x = inverse_root(*x);
}
"""


@pytest.fixture(scope="module", params=["-DAUM_SCALAR", "-march=native"])
def functions(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> ctypes.CDLL:
    """The engine's functions on arrays, with and without vectors."""
    folder = tmp_path_factory.mktemp("functions")
    head = "#include <stdint.h>\n#include <string.h>\n#define INLINE static inline\n"
    head += "#define OUTLINE static\n"
    root = piece("norms.c").partition("/* out = x / sqrt")[0]
    parts = [head, *map(piece, ("vectors.c", "functions.c", "softplus.c")), root, WRAPPERS]
    (folder / "f.c").write_text("\n".join(parts))
    out = folder / "f.so"
    command = [needs("gcc"), "-std=c99", "-O2", request.param, "-shared", "-fPIC", "-o", str(out)]
    subprocess.run([*command, str(folder / "f.c")], check=True)
    return ctypes.CDLL(str(out))


def of(functions: ctypes.CDLL, name: str, x: np.ndarray) -> np.ndarray:
    values = x.astype(np.float32)
    getattr(functions, name)(ctypes.c_void_p(values.ctypes.data), ctypes.c_int32(len(values)))
    return values.astype(np.float64)


def test_functions_are_as_exact_as_they_say(functions: ctypes.CDLL) -> None:
    x = np.linspace(-87, 88, 1 << 18).astype(np.float32)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(of(functions, "exps", x), np.exp(wide), rtol=2e-7)
    x = np.linspace(-80, 80, 1 << 18).astype(np.float32)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(of(functions, "silus", x), wide / (1 + np.exp(-wide)), rtol=4e-7)
    expected = np.logaddexp(0, wide)
    np.testing.assert_allclose(of(functions, "softpluses", x), expected, rtol=4e-7)
    x = np.geomspace(1e-30, 1e30, 1 << 16).astype(np.float32)
    expected = 1 / np.sqrt(x.astype(np.float64))
    np.testing.assert_allclose(of(functions, "roots", x), expected, rtol=3e-7)


def test_functions_at_the_ends(functions: ctypes.CDLL) -> None:
    ends = np.array([-np.inf, -1e30, -200, 0, 200, 1e30, np.inf, np.nan] * 2)
    exps = of(functions, "exps", ends)[:7]
    assert (exps > 0).all()
    assert exps[3] == 1
    assert exps[0] < 2e-38
    assert exps[6] > 1e38
    softpluses = of(functions, "softpluses", ends)[:8]
    np.testing.assert_allclose(
        softpluses[:6], [0, 0, 0, np.log(2), 200, 1e30], rtol=1e-6, atol=1e-7
    )
    assert np.isnan(softpluses[7])
    silus = of(functions, "silus", ends)[:8]
    np.testing.assert_allclose(silus[2:6], [0, 0, 200, 1e30], rtol=1e-6, atol=1e-30)
    assert np.isnan(silus[7])
