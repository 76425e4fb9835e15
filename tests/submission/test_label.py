from __future__ import annotations

import pytest

from aum_edge.errors import RecipeError
from aum_edge.submission.label import parse_label


def test_a_label_in_its_parts() -> None:
    label = parse_label("Zhang_AITHU-SJTU_task1_4")
    assert (label.package, label.index) == ("Zhang_AITHU-SJTU_task1", 4)
    assert label.text == "Zhang_AITHU-SJTU_task1_4"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Schmid_CPJKU_task1", "3 parts"),
        ("Schmid_CPJKU_JKU_task1_1", "5 parts"),
        ("Schmid_CPJKU_task2_1", "`task1`"),
        ("Schmid_CPJKU_Task1_1", "`task1`"),
        ("Schmid_CPJKU_task1_0", "1, 2, 3 or 4"),
        ("Schmid_CPJKU_task1_5", "four systems"),
        ("Schmid_CPJKU_task1_01", "1, 2, 3 or 4"),
        ("_CPJKU_task1_1", "last name"),
        ("Schmid__task1_1", "institute"),
        ("Müller_CPJKU_task1_1", "accents"),
        ("../x_CPJKU_task1_1", "last name"),
    ],
)
def test_every_broken_rule_is_named(text: str, why: str) -> None:
    with pytest.raises(RecipeError, match=why) as caught:
        parse_label(text)
    assert "\n" not in str(caught.value)
    assert "Schmid_CPJKU_task1_1" in str(caught.value)
