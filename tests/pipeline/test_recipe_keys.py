from __future__ import annotations

import sys
from dataclasses import dataclass, field
from importlib import import_module, util
from pathlib import Path
from types import ModuleType

import pytest

from aum_edge.pipeline.recipe_keys import REQUIRED, keys_of, sections

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Settings of the inside.

    More about them.
    """

    size: int = 3
    """How large, in ``mm``."""
    bare: bool = False


@dataclass(frozen=True, kw_only=True)
class Outer:
    """Settings of the outside."""

    name: str
    """What it is
    called."""
    inner: Inner = Inner()
    wide: Inner = Inner(size=9)
    """A wide one."""
    maybe: Inner | None = None
    several: tuple[Inner, ...] = ()
    named: dict[str, Inner] = field(default_factory=dict)
    rates: tuple[float, ...] = (0.5,)
    """Of something."""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = util.spec_from_file_location("recipe_keys_tool", ROOT / "tools" / "recipe_keys.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_is_what_the_generator_writes(tool):
    text = tool.PAGE.read_text(encoding="utf-8")
    assert tool.page(text) == text, "Run `python tools/recipe_keys.py` and commit the page."
    assert tool.main(["--check"]) == 0


def test_check_notices_an_old_page(tool, tmp_path, monkeypatch):
    old = tool.PAGE.read_text(encoding="utf-8").replace("Peak learning rate.", "Rate.")
    monkeypatch.setattr(tool, "PAGE", tmp_path / "README.md")
    tool.PAGE.write_text(old, encoding="utf-8")
    assert tool.main(["--check"]) == 1
    assert tool.main([]) == 0
    assert "Peak learning rate." in tool.PAGE.read_text(encoding="utf-8")
    assert tool.main(["--check"]) == 0


def test_every_key_of_every_recipe_has_a_meaning(tool):
    configs = [*tool.KINDS, *(section.config for section in sections(list(tool.KINDS)))]
    keys = [(kind, key) for kind in [*configs, *tool.ARCHITECTURES] for key in keys_of(kind)]
    silent = [f"{kind.__name__}.{key.name}" for kind, key in keys if not key.meaning]
    assert not silent, "Write a docstring under these fields."
    assert len(keys) > 250


def test_keys_have_types_defaults_and_meanings():
    keys = {key.name: key for key in keys_of(Outer)}
    assert keys["name"].default is REQUIRED
    assert keys["name"].meaning == "What it is called."
    assert keys["inner"].meaning == "Settings of the inside."
    assert keys["wide"].meaning == "A wide one."
    assert keys["maybe"].values == "settings or null"
    assert keys["several"].values == "list of settings"
    assert keys["rates"].values == "list of numbers"
    assert keys["rates"].default == (0.5,)
    inside = {key.name: key for key in keys_of(Inner)}
    assert inside["size"].meaning == "How large, in `mm`."
    assert inside["bare"].meaning == ""


def test_section_lists_every_place_and_its_other_defaults():
    (section,) = sections([Outer])
    assert section.config is Inner
    assert section.places == ("inner", "wide", "maybe", "several[]", "named.NAME")
    assert section.changed == {"wide": {"size": 9}}


def test_other_default_of_one_kind_of_recipe_names_the_kind():
    @dataclass(frozen=True, kw_only=True)
    class Other:
        """Another kind."""

        wide: Inner = Inner()

    (section,) = sections([Outer, Other])
    assert section.places == ("inner", "wide", "maybe", "several[]", "named.NAME")
    assert section.changed == {"wide of Outer": {"size": 9}}


def test_settings_that_register_stand_under_their_own_names(tmp_path, monkeypatch):
    package = tmp_path / "registered_kinds"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "base.py").write_text(
        "from abc import ABC, abstractmethod\n"
        "from dataclasses import dataclass\n"
        "class Base(ABC):\n"
        "    corpus = ''\n"
        "    @abstractmethod\n"
        "    def load(self): ...\n"
        "@dataclass(frozen=True)\n"
        "class Holder:\n"
        '    """What holds one."""\n'
        "    settings: Base | None = None\n"
        '    """Its own."""\n'
    )
    (package / "one.py").write_text(
        "from dataclasses import dataclass\n"
        "from registered_kinds.base import Base\n"
        "@dataclass(frozen=True)\n"
        "class One(Base):\n"
        '    """Number one."""\n'
        "    corpus = 'first'\n"
        "    rows: int = 2\n"
        '    """How many."""\n'
        "    def load(self): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        holder = import_module("registered_kinds.base").Holder
        (key,) = keys_of(holder)
        assert (key.name, key.meaning) == ("first", "Number one.")
        assert key.values == "settings"
        assert key.default == key.holds()
        (section,) = sections([holder])
        assert section.places == ("first",)
        assert [(k.name, k.default) for k in section.keys] == [("rows", 2)]
    finally:
        for name in [name for name in sys.modules if name.startswith("registered_kinds")]:
            del sys.modules[name]
