from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from aum_edge.errors import RecipeError
from aum_edge.submission.info import TEMPLATE, read_info
from tests.submission.scene_models import AUTHOR, INFO, write_info


def test_a_complete_file_is_read(tmp_path: Path) -> None:
    info = read_info(write_info(tmp_path / "i.yaml", source_code="https://example.org"), 2025)
    assert (info.name, info.abbreviation) == ("A system", "AumS")
    assert info.external_datasets == []
    assert info.source_code == "https://example.org"


def test_the_template_asks_for_every_field_in_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "i.yaml"
    path.write_text(TEMPLATE, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        read_info(path, 2025)
    lines = str(caught.value).splitlines()
    assert len(lines) == TEMPLATE.count(": FILL IN")
    assert all(line.startswith(str(path)) and line.endswith(".") for line in lines)


def changed(group: str, value: object) -> dict:
    document = copy.deepcopy(INFO)
    document["submission"] |= {group: value}
    return document


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (changed("abbreviation", "MambaStudent"), "10 characters, `MambaStudent` has 12"),
        (changed("authors", [AUTHOR, AUTHOR]), "exactly one with `corresponding: true`, got 2"),
        (changed("authors", [AUTHOR | {"corresponding": False}]), "got 0"),
        (changed("authors", [AUTHOR | {"email": "ada"}]), "no address"),
        (changed("authors", [AUTHOR | {"affiliation": {}}]), r"affiliation\.institute"),
        (changed("authors", "Ada"), "authors` is missing"),
        (changed("name", ""), "submission.name` is missing"),
        (INFO | {"external_datasets": [{"url": "u"}]}, r"\[0\]\.name` is missing"),
        (INFO | {"external_datasets": None}, r"\[\] if nothing"),
        (INFO | {"extrenal": 1}, "no `extrenal`"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, document: dict, why: str) -> None:
    path = tmp_path / "i.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(RecipeError, match=why):
        read_info(path, 2025)


def test_energy_is_asked_for_in_2023_alone(tmp_path: Path) -> None:
    path = write_info(tmp_path / "i.yaml")
    assert read_info(path, 2022).energy_consumption == {}
    with pytest.raises(RecipeError, match="baseline_inference") as caught:
        read_info(path, 2023)
    assert len(str(caught.value).splitlines()) == 3


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="--new-info"):
        read_info(tmp_path / "none.yaml", 2025)
