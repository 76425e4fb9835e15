"""Static QDQ: only projections, only from usable clips, and nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from aum_edge.compression.quantization import onnx_static
from aum_edge.compression.quantization.config import StaticConfig
from aum_edge.compression.quantization.onnx_static import projections, quantize_onnx
from aum_edge.errors import CompressionError, RecipeError

ALL = StaticConfig(max_loss=None)


def weight(name: str, *shape: int) -> onnx.TensorProto:
    rng = np.random.default_rng(sum(map(ord, name)))
    return numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32) / 3, name)


def scan_node() -> onnx.NodeProto:
    """A Scan whose body multiplies with a constant of its own."""
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["step", "inner_weight"], ["mixed"], name="inner"),
            helper.make_node("Add", ["mixed", "state"], ["next"], name="accumulate"),
            helper.make_node("Identity", ["next"], ["seen"], name="see"),
        ],
        "body",
        [
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("step", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("seen", TensorProto.FLOAT, None),
        ],
        [weight("inner_weight", 6, 6)],
    )
    return helper.make_node(
        "Scan",
        ["start", "steps"],
        ["last", "states"],
        name="scan",
        body=body,
        num_scan_inputs=1,
        scan_input_axes=[1],
        scan_output_axes=[1],
    )


def write_model(path: Path, batch: int | str = "batch", opset: int = 18) -> Path:
    """Convolution, projection, activations times activations, scan, head."""
    nodes = [
        helper.make_node("Conv", ["spectrogram", "kernel"], ["folded"], name="stem"),
        helper.make_node("Squeeze", ["folded", "axis"], ["rows"], name="squeeze"),
        helper.make_node("Transpose", ["rows"], ["tokens"], name="turn", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["tokens", "in_proj"], ["projected"], name="in_proj"),
        helper.make_node("MatMul", ["projected", "rows"], ["scores"], name="scores"),
        helper.make_node("MatMul", ["scores", "projected"], ["steps"], name="mix"),
        helper.make_node("ReduceMean", ["steps", "axis_one"], ["start"], name="s", keepdims=0),
        scan_node(),
        helper.make_node("ReduceMean", ["states", "axis_one"], ["mean"], name="pool", keepdims=0),
        helper.make_node("Gemm", ["mean", "head", "bias"], ["logits"], name="head", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("spectrogram", TensorProto.FLOAT, [batch, 1, 8, 10])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 3])],
        [
            weight("kernel", 6, 1, 8, 1),
            weight("in_proj", 6, 6),
            weight("head", 3, 6),
            weight("bias", 3),
            numpy_helper.from_array(np.array([2], np.int64), "axis"),
            numpy_helper.from_array(np.array([1], np.int64), "axis_one"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 10
    helper.set_model_props(model, {"labels": '["a", "b", "c"]', "macs": "123"})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def clips(count: int = 20) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, 1, 8, 10)).astype(np.float32)


def logits(path: Path, features: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"spectrogram": features})[0]


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse"])
@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_int8_file_computes_nearly_the_same(tmp_path: Path, method: str, kind: str) -> None:
    source = write_model(tmp_path / "float.onnx")
    config = StaticConfig(calibration=method, activations=kind, max_loss=None)
    small = quantize_onnx(source, tmp_path / "small.onnx", clips(), config).path
    want, got = logits(source, clips(7)), logits(small, clips(7))
    error = np.linalg.norm(want - got) / np.linalg.norm(want)
    assert 1e-6 < error < 0.2


def test_only_projections_are_quantized(tmp_path: Path) -> None:
    source = write_model(tmp_path / "float.onnx")
    assert projections(onnx.load(source)) == ["stem", "in_proj", "head"]
    small = onnx.load(quantize_onnx(source, tmp_path / "small.onnx", clips(), ALL).path)
    made_by = {output: node for node in small.graph.node for output in node.output}
    inputs = {
        node.name: [made_by[name].op_type for name in node.input if name in made_by]
        for node in small.graph.node
    }
    for name in ("stem", "in_proj", "head"):
        assert set(inputs[name]) == {"DequantizeLinear"}
    weights = {t.name: t for t in small.graph.initializer}
    assert weights["kernel_quantized"].data_type == TensorProto.INT8
    assert weights["kernel_scale"].dims == [6]
    assert weights["head_scale"].dims == [3]
    body = next(n for n in small.graph.node if n.op_type == "Scan").attribute
    inner = next(a.g for a in body if a.name == "body")
    assert [node.op_type for node in inner.node] == ["MatMul", "Add", "Identity"]


def test_activation_products_keep_float_inputs_of_their_own(tmp_path: Path) -> None:
    source = write_model(tmp_path / "f.onnx")
    small = onnx.load(quantize_onnx(source, tmp_path / "q.onnx", clips(), ALL).path)
    mix = next(node for node in small.graph.node if node.name == "mix")
    made_by = {output: node for node in small.graph.node for output in node.output}
    assert made_by[mix.input[0]].name == "scores"


def test_matrix_products_give_out_float_since_the_scan_takes_it(tmp_path: Path) -> None:
    source = write_model(tmp_path / "float.onnx")
    small = onnx.load(quantize_onnx(source, tmp_path / "small.onnx", clips(), ALL).path)
    takers = [n.op_type for n in small.graph.node if "projected" in n.input]
    assert takers == ["MatMul", "MatMul"], "no QuantizeLinear behind in_proj"


def test_the_most_harmful_projection_is_given_back(tmp_path: Path) -> None:
    source = write_model(tmp_path / "float.onnx")
    model = onnx.load(source)
    # One input of the head's dwarfs the others: 256 levels over its range say nothing of them.
    spoilt = numpy_helper.to_array(model.graph.initializer[2]).copy()
    spoilt[:, 0] *= 1e-4
    gain = numpy_helper.from_array(np.array([1e4, 1, 1, 1, 1, 1], np.float32), "gain")
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(spoilt, "head"))
    model.graph.initializer.append(gain)
    head = next(node for node in model.graph.node if node.name == "head")
    head.input[0] = "uneven"
    scaled = helper.make_node("Mul", ["mean", "gain"], ["uneven"], name="scale")
    model.graph.node.insert(len(model.graph.node) - 1, scaled)
    onnx.save(model, source)
    everything = quantize_onnx(source, tmp_path / "all.onnx", clips(), ALL)
    report = quantize_onnx(
        source, tmp_path / "s.onnx", clips(), StaticConfig(max_loss=everything.loss / 10)
    )
    assert report.kept_float[0] == "head"
    assert report.loss <= everything.loss / 10
    assert set(report.quantized) == {"stem", "in_proj"} - set(report.kept_float)
    props = {prop.key: prop.value for prop in onnx.load(report.path).metadata_props}
    assert json.loads(props["static_quantization"])["float"] == list(report.kept_float)


def test_metadata_stays_and_names_what_was_done(tmp_path: Path) -> None:
    source = write_model(tmp_path / "float.onnx")
    report = quantize_onnx(source, tmp_path / "small.onnx", clips(), ALL, rows=range(20))
    small = onnx.load(report.path)
    props = {prop.key: prop.value for prop in small.metadata_props}
    assert props["labels"] == '["a", "b", "c"]'
    assert props["macs"] == "123"
    assert json.loads(props["static_quantization"])["clips"] == 20
    assert json.loads(props["static_quantization"])["rows"] == list(range(20))
    assert onnx_static.PREPARED not in props


def test_a_fixed_batch_is_respected(tmp_path: Path) -> None:
    source = write_model(tmp_path / "one.onnx", batch=1)
    small = quantize_onnx(source, tmp_path / "small.onnx", clips(3)).path
    assert logits(small, clips(1)).shape == (1, 3)


@pytest.mark.parametrize(
    ("calibration", "words"),
    [
        (np.zeros((0, 1, 8, 10)), "empty"),
        (np.full((4, 1, 8, 10), 2.5), "constant"),
        (np.full((4, 1, 8, 10), np.nan), "NaN"),
        (np.zeros((4, 1, 8, 9)), "shape"),
        (np.zeros((4, 8, 10)), "shape"),
    ],
)
def test_useless_clips_are_refused(tmp_path: Path, calibration: np.ndarray, words: str) -> None:
    source = write_model(tmp_path / "float.onnx")
    with pytest.raises(CompressionError, match=words):
        quantize_onnx(source, tmp_path / "small.onnx", calibration)
    assert [path.name for path in tmp_path.iterdir()] == ["float.onnx"]


def test_dead_networks_have_no_ranges(tmp_path: Path) -> None:
    source = write_model(tmp_path / "float.onnx")
    model = onnx.load(source)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            dead = np.zeros_like(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(dead, tensor.name))
    constant = helper.make_node("Mul", ["spectrogram", "nothing"], ["silence"], name="mute")
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "nothing"))
    model.graph.node[0].input[0] = "silence"
    model.graph.node.insert(0, constant)
    onnx.save(model, source)
    with pytest.raises(CompressionError, match="constant"):
        quantize_onnx(source, tmp_path / "small.onnx", clips())


def test_nothing_stays_behind_when_the_result_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_model(tmp_path / "float.onnx")
    old = tmp_path / "small.onnx"
    old.write_text("older file")

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("INT8 does not match UINT8")

    wanted = onnx_static.logits_of
    monkeypatch.setattr(
        onnx_static, "logits_of", lambda m, b: refuse() if isinstance(m, str) else wanted(m, b)
    )
    monkeypatch.setattr(onnx_static, "_quantize", lambda m, draft, *_: onnx.save(m, str(draft)))
    with pytest.raises(CompressionError, match="uint8"):
        quantize_onnx(source, old, clips())
    assert old.read_text() == "older file"
    assert {path.name for path in tmp_path.iterdir()} == {"float.onnx", "small.onnx"}


def test_missing_broken_and_quantized_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CompressionError, match="no ONNX file"):
        quantize_onnx(tmp_path / "no.onnx", tmp_path / "out.onnx", clips())
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    with pytest.raises(CompressionError, match="not a readable"):
        quantize_onnx(tmp_path / "broken.onnx", tmp_path / "out.onnx", clips())
    small = quantize_onnx(
        write_model(tmp_path / "f.onnx"), tmp_path / "small.onnx", clips(), ALL
    ).path
    with pytest.raises(CompressionError, match="quantized already"):
        quantize_onnx(small, tmp_path / "out.onnx", clips())


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = write_model(tmp_path / "float.onnx")
    quantize_onnx(source, tmp_path / "q.onnx", clips(), StaticConfig(calibration="percentile"))
    assert capfd.readouterr().out == ""


def test_wrong_settings_are_named() -> None:
    with pytest.raises(RecipeError, match="minmax, percentile, mse"):
        StaticConfig(calibration="mean")
    with pytest.raises(RecipeError, match="int8 or uint8"):
        StaticConfig(activations="int4")
    with pytest.raises(RecipeError, match="max_loss"):
        StaticConfig(max_loss=-1)
    with pytest.raises(RecipeError, match="percentile"):
        StaticConfig(percentile=101)
