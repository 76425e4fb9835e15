"""The READMEs name commands, options, paths and recipes that exist."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import aum_edge
from aum_edge.cli.main import COMMANDS, _module
from aum_edge.pipeline.read_recipe import load_recipe

ROOT = Path(__file__).parent.parent
READMES = [
    path
    for path in sorted(ROOT.rglob("README.md"))
    if not any(part.startswith(".") or part == "runs" for part in path.relative_to(ROOT).parts)
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NEW_FILE = re.compile(r"`[\w/.]+\.py`:\n\n```python\n.*?^```", re.MULTILINE | re.DOTALL)
"""An example of a file that a reader would add: its name, then what stands in it."""
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FOLDERS = ("aum_edge", "benchmarks", "recipes", "tests", "tools")
LOCAL = re.compile(r"[\w.*/-]+/[\w.*-]*")
HOSTS = re.compile(
    r"(pypi|pythonhosted|pytorch|anaconda|npmjs|golang|huggingface|hf|ghcr|docker)\.(org|com|co|io)",
    re.IGNORECASE,
)
README_BYTES = 8_192


def fenced(text: str, *kinds: str) -> list[str]:
    """Contents of the fenced blocks of these kinds; "" is a block without one."""
    return [body for kind, body in FENCE.findall(text) if kind in kinds]


def spans(text: str) -> list[str]:
    """Code inside of lines."""
    return [span.replace("\\|", "|") for span in CODE.findall(FENCE.sub("", text))]


def command_lines(text: str) -> Iterator[tuple[str, bool]]:
    """What follows `aum-edge`, and whether it is a whole command line that could be typed."""
    for block in fenced(text, "", "bash", "sh", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"(?:^|\s)(?:aum-edge|-m aum_edge) (.+)", line.partition(" #")[0])
            if found:
                words = re.split(r"\s{4,}", found[1].strip())[0]  # a remark stands beside it
                yield words, not re.search(r"[|]|\.\.\.|\[-|\[A-Z", words)
    for span in spans(text):
        found = re.search(r"(?:^|\s)(?:aum-edge|-m aum_edge) (.+)", span)
        if found:
            yield found[1], False


@cache
def parser_of(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"aum-edge {command}", exit_on_error=False)
    parser.add_argument("--debug", action="store_true")
    import_module(f"aum_edge.cli.{_module(command)}").add_arguments(parser)
    return parser


def parser_for(words: list[str]) -> argparse.ArgumentParser:
    """The parser of a command, or of its action where it has actions."""
    parser = parser_of(words[0])
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found = [word for word in words[1:] if word in action.choices]
            return action.choices[found[0]] if found else parser
    return parser


def faults(line: str, whole: bool) -> list[str]:
    """What is wrong with one command line of a README."""
    words = shlex.split(re.sub(r"[\[\]]", " ", line) if not whole else line)
    if words[0] in ("COMMAND", "--help", "--version"):
        return []
    named = [words[0]]
    while len(words) > 2 * len(named) and words[2 * len(named) - 1] == "|":
        named.append(words[2 * len(named)])
    unknown = [name for name in named if name not in COMMANDS]
    if unknown:
        return [f"`aum-edge {line}`: there is no command {', '.join(unknown)}"]
    parser = parser_for(words)
    given = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
    strange = sorted(given - {*parser._option_string_actions, "--help"})
    if strange:
        return [f"`aum-edge {line}`: no option {', '.join(strange)}"]
    if whole:
        try:
            parser_of(words[0]).parse_args(words[1:])
        except (SystemExit, argparse.ArgumentError) as error:
            return [f"`aum-edge {line}` does not parse: {error}"]
    return []


def missing_paths(readme: Path, text: str) -> list[str]:
    """Links and local paths that nothing in the repository answers to."""
    text = NEW_FILE.sub("", text)
    links = [link.partition("#")[0] for link in LINK.findall(FENCE.sub("", text))]
    local = [link for link in links if link and "://" not in link]
    missing = [link for link in local if not (readme.parent / link).exists()]
    blocks = fenced(text, "", "bash", "sh", "console", "python")
    words = [*spans(text), *(word for block in blocks for word in block.split())]
    for word in words:
        name = word.strip("()\"',;:").partition("::")[0]
        if not LOCAL.fullmatch(name) or "NAME" in name:
            continue
        own = (readme.parent / name.partition("/")[0]).is_dir() and readme.parent != ROOT
        if name.split("/")[0] not in FOLDERS and not own:
            continue
        function = f"{name.rpartition('.')[0]}.py"  # `folder/file.function`
        if not any(any(base.glob(n)) for base in (ROOT, readme.parent) for n in (name, function)):
            missing.append(name)
    return missing


def missing_names(text: str) -> list[str]:
    """What Python examples take from aum_edge and it does not have."""
    missing = []
    for block in fenced(NEW_FILE.sub("", text), "python"):
        nodes = list(ast.walk(ast.parse(block)))
        aliases = {
            alias.asname or alias.name
            for node in nodes
            if isinstance(node, ast.Import)
            for alias in node.names
            if alias.name == "aum_edge"
        }
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aum_edge"):
                module = import_module(node.module or "")
                names = [alias.name for alias in node.names]
                missing += [f"{node.module}.{n}" for n in names if not hasattr(module, n)]
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id in aliases and not hasattr(aum_edge, node.attr):
                    missing.append(f"aum_edge.{node.attr}")
    return missing


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("readme", READMES, ids=name_of)
def test_commands_and_options_exist(readme):
    text = readme.read_text(encoding="utf-8")
    assert not [fault for line, whole in command_lines(text) for fault in faults(line, whole)]


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*.yaml")), ids=name_of)
def test_commands_above_recipes_exist(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    block = "\n".join(line.lstrip("# ") for line in lines if line.startswith("#   "))
    prose = " ".join(line.lstrip("# ") for line in lines if line.startswith("# "))
    text = f"```\n{block}\n```\n{prose}\n"
    assert not [fault for line, whole in command_lines(text) for fault in faults(line, whole)]


@pytest.mark.parametrize("readme", READMES, ids=name_of)
def test_paths_and_links_exist(readme):
    assert not missing_paths(readme, readme.read_text(encoding="utf-8"))


@pytest.mark.parametrize("readme", READMES, ids=name_of)
def test_names_in_python_examples_exist(readme):
    assert not missing_names(readme.read_text(encoding="utf-8"))


@pytest.mark.parametrize("readme", READMES, ids=name_of)
def test_no_host_of_a_registry_is_named(readme):
    assert not HOSTS.search(readme.read_text(encoding="utf-8"))


# The lead takes this mark off once the README of 8 kB is in.
def test_readme_is_short():
    assert (ROOT / "README.md").stat().st_size <= README_BYTES


def test_rooms_have_guides():
    rooms = ["checkpoints", "training", "compression", "submission", "comparison"]
    guides = [ROOT / "aum_edge" / room / "README.md" for room in rooms]
    guides += [ROOT / "recipes" / "README.md", ROOT / "benchmarks" / "README.md"]
    assert not [str(path) for path in guides if path not in READMES]


def test_benchmarks_name_every_script_and_result():
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    scripts = [p for p in (ROOT / "benchmarks").glob("*.py") if "__main__" in p.read_text("utf-8")]
    results = (ROOT / "benchmarks" / "results").glob("*.md")
    names = {path.name for path in (*scripts, *results)}
    assert not [name for name in sorted(names) if name not in text]


def test_command_line_names_every_command():
    text = (ROOT / "aum_edge" / "cli" / "README.md").read_text(encoding="utf-8")
    first = " ".join(re.findall(r"`aum-edge ([\w |\\]+)", text))
    assert not [name for name in COMMANDS if not re.search(rf"\b{name}\b", first)]


def test_annotated_recipe_is_a_recipe(tmp_path):
    (block,) = fenced((ROOT / "recipes" / "README.md").read_text(encoding="utf-8"), "yaml")
    path = tmp_path / "my_sounds.yaml"
    path.write_text(block, encoding="utf-8")
    recipe = load_recipe(path)
    assert (recipe.name, recipe.teacher.members) == ("my_sounds", 2)
    assert recipe.student.train.batch_size == recipe.teacher.train.batch_size


def test_checks_notice_mistakes(tmp_path):
    text = (
        "# A page\n\n`aum-edge run RECIPE --from STAGE` and `aum-edge walk RECIPE`, "
        "[a link](nowhere.md), `aum_edge/nothing.py`, `recipes/quickstart.yaml`.\n\n"
        "```\naum-edge train | distil RECIPE\naum-edge export MODEL OUT.onnx --streams\n"
        "aum-edge doctor now            # too much\n"
        "aum-edge data check folder=my_sounds --jsn\naum-edge bench MODEL --runs 10\n```\n"
    )
    found = [fault for line, whole in command_lines(text) for fault in faults(line, whole)]
    assert [re.search(r"walk|distil\b|--streams|doctor now|--jsn", f) is None for f in found] == (
        [False] * 5
    )
    assert missing_paths(ROOT / "README.md", text) == ["nowhere.md", "aum_edge/nothing.py"]
    python = (
        "import aum_edge as ae\nfrom aum_edge.errors import AnError\nae.load('x'); ae.lode('x')"
    )
    assert missing_names(f"```python\n{python}\n```\n") == [
        "aum_edge.errors.AnError",
        "aum_edge.lode",
    ]
    added = "`aum_edge/new.py`:\n\n```python\nfrom aum_edge.new import thing\n```\n"
    assert missing_names(added) == missing_paths(ROOT / "README.md", added) == []
    names = "`aum_edge/errors.AumEdgeError` `aum_edge/error.AumEdgeError`"
    assert missing_paths(ROOT / "README.md", names) == ["aum_edge/error.AumEdgeError"]
    assert HOSTS.search("from https://" + "pypi" + ".org/simple")
