"""A generated corpus, an evaluation set made of it, models and a whole submission."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import halve, quantize
from aum_edge.data.corpora.synthetic.generate import SyntheticConfig, generate
from aum_edge.models.storage.directory import save
from aum_edge.submission.build import Built, Sources, build_submission
from aum_edge.submission.config import SubmissionConfig
from aum_edge.submission.runtime.system import Running
from tests.submission.scene_models import LABEL, SHUFFLED, cnn, student, write_info

DEVICES = ("a", "b", "c", "s1", "s2", "s3", "unknown")


@pytest.fixture(scope="session")
def development(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in corpus in the challenge's layout."""
    return generate(
        SyntheticConfig(n_train=20, n_test=36, pieces=1), tmp_path_factory.mktemp("tau") / "dev"
    )


@pytest.fixture(scope="session")
def evaluation(tmp_path_factory: pytest.TempPathFactory, development: Path) -> Path:
    """The same sounds as an evaluation set: numbered, devices named or unknown, CRLF."""
    root = tmp_path_factory.mktemp("tau") / "eval"
    (root / "audio").mkdir(parents=True)
    rows = ["filename\tdevice_id"]
    for number, path in enumerate(sorted((development / "audio").glob("*.wav"))):
        shutil.copy2(path, root / "audio" / f"{number}.wav")
        rows.append(f"audio/{number}.wav\t{DEVICES[number % len(DEVICES)]}")
    (root / "evaluation_setup").mkdir()
    table = root / "evaluation_setup" / "fold1_test.csv"
    table.write_text("\r\n".join(rows) + "\r\n", encoding="utf-8", newline="")
    return root


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An int8 student for all, a 16-bit CNN for a, classes in another order for b."""
    root = tmp_path_factory.mktemp("models")
    made = {
        "general": quantize(student(1), QuantizeConfig()),
        "a": halve(cnn(2)),
        "b": student(3, labels=SHUFFLED),
    }
    for name, model in made.items():
        save(model, root / name)
    return {name: root / name for name in made}


@pytest.fixture(scope="session")
def config(models: dict[str, Path]) -> SubmissionConfig:
    own = {name: path for name, path in models.items() if name != "general"}
    return SubmissionConfig(label=LABEL, general=models["general"], devices=own)


@pytest.fixture(scope="session")
def built(
    tmp_path_factory: pytest.TempPathFactory,
    config: SubmissionConfig,
    development: Path,
    evaluation: Path,
) -> Built:
    """A whole submission; tests copy it before they break it."""
    folder = tmp_path_factory.mktemp("submission")
    report = folder / "report.pdf"
    report.write_bytes(b"%PDF-1.4")
    sources = Sources(
        info=write_info(
            folder / "info.yaml", description={"data_augmentation": "none, the model is random"}
        ),
        development=development,
        evaluation=evaluation,
        technical_report=report,
    )
    return build_submission(config, folder / "out", sources, Running(workers=2))
