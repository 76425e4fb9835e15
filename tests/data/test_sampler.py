from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from aum_edge.data.sampler import balanced_weights, read_weights
from aum_edge.errors import DataError


def test_rows_weigh_what_their_labels_are_rare() -> None:
    rows = SimpleNamespace(labels=np.array([0, 0, 0, 2]), targets=None)
    common, rare = 1000 / 3.01, 1000 / 1.01
    np.testing.assert_allclose(balanced_weights(rows), [common, common, common, rare])


def test_several_labels_weigh_their_sum() -> None:
    targets = np.array([[1, 1], [1, 0], [1, 0]], dtype=np.float32)
    rows = SimpleNamespace(labels=np.array([0, 0, 0]), targets=targets)
    common, rare = 1000 / 3.01, 1000 / 1.01
    np.testing.assert_allclose(balanced_weights(rows), [common + rare, common, common])


def test_a_weight_file_gives_one_number_a_row(tmp_path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("1.5\n0\n2e3\n")
    assert read_weights(path, 3).tolist() == [1.5, 0.0, 2000.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n2\n", "has 2 numbers, the training split has 3 rows"),
        ("1\nx\n3\n", "got 'x' as number 2"),
        ("1\n-1\n3\n", "got '-1'"),
        ("1\nnan\n3\n", "got 'nan'"),
        ("0\n0\n0\n", "only zeros"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_weight_file_gives_one_line(tmp_path, text: str | None, message: str) -> None:
    path = tmp_path / "w.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_weights(path, 3)
    assert "\n" not in str(caught.value)
