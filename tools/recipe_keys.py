"""Write every key of every kind of recipe into recipes/README.md, between its two marker lines.

python tools/recipe_keys.py            # after a setting or its docstring has changed
python tools/recipe_keys.py --check    # exit code 1 if the page is not up to date
"""

from __future__ import annotations

import re
import sys
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from aum_edge.comparison.config import CompareRecipe
from aum_edge.models.config import AstConfig, AudioMambaConfig, CPMobileConfig
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.pipeline.pretrain_recipe import PretrainRecipe
from aum_edge.pipeline.recipe import Recipe, plain
from aum_edge.pipeline.recipe_keys import REQUIRED, RecipeKey, Section, keys_of, sections
from aum_edge.search.config import SearchRecipe

PAGE = Path(__file__).resolve().parent.parent / "recipes" / "README.md"
BEGIN = "<!-- keys: written by tools/recipe_keys.py, from the docstrings of the settings -->"
END = "<!-- end of keys -->"
KINDS: dict[type, str] = {
    Recipe: "`aum-edge run`, `train`, `distill`, `prune`, `quantize`",
    PretrainRecipe: "`aum-edge pretrain`",
    SearchRecipe: "`aum-edge search`",
    CompareRecipe: "`aum-edge compare`",
}
ARCHITECTURES: dict[type, str] = {
    MambaStudentConfig: "`student-ssd` and every other `student-*`",
    AudioMambaConfig: "`aum-base`, `aum-small`, `aum-tiny`, `aum-mini`",
    CPMobileConfig: "`cp-mobile`",
    AstConfig: "`ast-base`, `ast-small`, `ast-tiny`, `ast-mini`",
}
BY_FRONT_END = ("n_classes", "n_mels", "n_frames")
"""Fields of an architecture that the corpus and the front end give."""


def markdown() -> str:
    """All tables: kinds of recipes, the settings inside them, architectures."""
    lines = ["### Kinds of recipes", ""]
    for kind, commands in KINDS.items():
        lines += [f"#### {kind.__name__}", "", f"For {commands}.", "", *_table(keys_of(kind))]
    lines += ["### Settings inside recipes", ""]
    for section in sections(list(KINDS)):
        lines += _section(section)
    lines += [
        "### Architectures",
        "",
        "Keys of `model.overrides`, by the kind of the preset. Defaults are those of the kind; a",
        "preset has some of its own (`aum_edge/models/presets.py`). Classes, mels and frames are",
        "given by the corpus and the front end.",
        "",
    ]
    for kind, presets in ARCHITECTURES.items():
        keys = tuple(key for key in keys_of(kind) if key.name not in BY_FRONT_END)
        lines += [f"#### {kind.__name__}", "", f"Presets: {presets}.", "", *_table(keys)]
    return "\n".join(lines).strip()


def _section(section: Section) -> list[str]:
    places = ", ".join(f"`{place}`" for place in section.places)
    lines = [f"#### {section.config.__name__}", "", f"At {places}.", "", section.text, ""]
    lines += _table(section.keys)
    for place, values in section.changed.items():
        different = ", ".join(f"`{name}: {_yaml(value)}`" for name, value in values.items())
        lines.append(f"* Defaults of `{place}`: {different}.")
    return [*lines, ""] if section.changed else lines


def _table(keys: tuple[RecipeKey, ...]) -> list[str]:
    if not keys:
        return []
    rows = [f"| `{k.name}` | {_type(k)} | {_default(k)} | {_meaning(k)} |" for k in keys]
    return ["| Key | Type | Default | Meaning |", "|---|---|---|---|", *rows, ""]


def _type(key: RecipeKey) -> str:
    if key.holds is None:
        return _cell(key.values)
    link = f"[{key.holds.__name__}](#{key.holds.__name__.lower()})"
    return key.values.replace("settings", link)


def _default(key: RecipeKey) -> str:
    if key.holds is not None and key.default is not None:
        return ""
    return "required" if key.default is REQUIRED else f"`{_cell(_yaml(key.default))}`"


def _meaning(key: RecipeKey) -> str:
    """In the words of a recipe, which has null where Python has None."""
    return _cell(re.sub(r"`?\bNone\b`?", "null", key.meaning))


def _yaml(value: Any) -> str:
    """A value as a recipe has it, on one line."""
    value = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    text = yaml.safe_dump(plain(value), default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def page(text: str) -> str:
    """The page with its part between the markers written anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{markdown()}\n\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Write the page, or say whether it is up to date."""
    text = PAGE.read_text(encoding="utf-8")
    fresh = page(text)
    if "--check" not in arguments:
        PAGE.write_text(fresh, encoding="utf-8")
    elif fresh != text:
        print("recipes/README.md is not up to date: run `python tools/recipe_keys.py`.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
