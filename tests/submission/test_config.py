from __future__ import annotations

from pathlib import Path

import pytest

from aum_edge.errors import RecipeError
from aum_edge.submission.config import SPLITS, SubmissionConfig, device_folders, run_models
from tests.submission.scene_models import LABEL

HERE = Path("x")


def test_members_are_the_general_model_and_devices_in_order() -> None:
    config = SubmissionConfig(label=LABEL, general=HERE, devices={"s1": HERE, "a": HERE})
    assert list(config.members) == ["general", "a", "s1"]
    assert config.limits_name == "dcase2025"


def test_2024_has_one_model_a_split() -> None:
    config = SubmissionConfig(
        label=LABEL, general=HERE, year=2024, splits={n: Path(str(n)) for n in SPLITS}
    )
    assert list(config.members) == [f"split{n}" for n in SPLITS]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"devices": {"s4": HERE}}, "no training device `s4`"),
        ({"devices": {"unknown": HERE}}, "general model"),
        ({"year": 2021}, "2022, 2023, 2024, 2025"),
        ({"year": 2023, "devices": {"a": HERE}}, "leave the devices out"),
        ({"year": 2024}, "got none"),
        ({"year": 2024, "splits": {5: HERE}}, "5, 10, 25, 50, 100"),
        ({"splits": {5: HERE}}, "not for 2025"),
    ],
)
def test_wrong_settings_are_refused(fields: dict, why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        SubmissionConfig(label=LABEL, general=HERE, **fields)


def test_models_are_found_by_their_device(tmp_path: Path, models: dict[str, Path]) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "a").symlink_to(models["a"])
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "model").symlink_to(models["b"])
    assert device_folders(tmp_path) == {"a": tmp_path / "a", "b": tmp_path / "b" / "model"}
    (tmp_path / "c").mkdir()
    with pytest.raises(RecipeError, match="c holds no model"):
        device_folders(tmp_path)
    with pytest.raises(RecipeError, match="named like a device"):
        device_folders(models["general"])


def test_a_run_gives_its_models(tmp_path: Path, models: dict[str, Path]) -> None:
    with pytest.raises(RecipeError, match="no quantize/model yet"):
        run_models(tmp_path)
    for folder, name in (("quantize", "general"), ("devices/a", "a"), ("devices/s1", "b")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "model").symlink_to(models[name])
        general, devices = run_models(tmp_path)
    assert general == tmp_path / "quantize" / "model"
    assert devices == {name: tmp_path / "devices" / name / "model" for name in ("a", "s1")}
    (tmp_path / "devices" / "stage.json").touch()
    assert len(run_models(tmp_path)[1]) == 2
