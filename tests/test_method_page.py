"""The code that docs/method.md and docs/glossary.md name exists, and every equation says where it is in the code."""

import ast
import dataclasses
import re
from functools import cache
from pathlib import Path

import pytest

from styleswap_core.losses import LossWeights
from styleswap_core.metrics.bounds import INVERSION_BOUNDS, SYNTHETIC_BOUNDS

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")

# `path/file.py` (`name`, `Class.name`); the names may be absent.
REFERENCE = re.compile(r"`([\w/]+\.py)`(?: \(((?:`[\w.]+`(?:, )?)+)\))?")
DISPLAY = re.compile(r"^\$\$\n(.+?)\n\$\$$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"\$([^$\n]+)\$")
# Understood by KaTeX, latex2mathml and GitHub. GitHub refuses \operatorname and mangles line breaks.
COMMANDS = {
    *("alpha", "beta", "gamma", "delta", "Delta", "eta", "theta", "kappa", "lambda", "mu", "pi", "rho", "sigma"),
    *("tau", "phi", "chi", "omega", "ell", "nabla", "partial"),
    *(
        "ast",
        "bmod",
        "cap",
        "cdot",
        "cup",
        "downarrow",
        "ge",
        "in",
        "ldots",
        "leftarrow",
        "odot",
        "quad",
        "times",
        "to",
    ),
    *("bar", "frac", "left", "lvert", "lVert", "mathcal", "right", "rvert", "rVert", "sqrt", "text", "tilde"),
    *("cos", "exp", "log", "max", "min", "sin", "sum", "tanh"),
}


def references(text: str) -> list[tuple[str, str]]:
    """Path and name of each reference; the name is empty where a file alone is named."""
    found = []
    for path, names in REFERENCE.findall(text):
        found += [(path, name) for name in re.findall(r"`([\w.]+)`", names)] or [(path, "")]
    return found


def missing(path: str, name: str) -> str | None:
    """What a reference lacks, or None if the file defines the name."""
    if not (ROOT / path).is_file():
        return f"{path} does not exist"
    return None if not name or name in defined(path) else f"{path} does not define {name}"


@cache
def defined(path: str) -> set[str]:
    """Names at the top level of a module, and `Class.name` of methods, fields and attributes set in `__init__`."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = _bound(tree.body)
    for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        names |= {f"{owner.name}.{name}" for name in _bound(owner.body)}
        for node in ast.walk(owner):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
                names.add(f"{owner.name}.{node.attr}")
    return names


def _bound(body: list[ast.stmt]) -> set[str]:
    names = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return names


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def test_references_exist():
    found = references(PAGE)
    assert len(found) > 150
    wrong = [problem for problem in (missing(path, name) for path, name in found) if problem]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`styleswap_core/model/gone.py` (`mask`)", "styleswap_core/model/gone.py does not exist"),
        ("`styleswap_core/losses.py` (`mask_loss`, `gone`)", "styleswap_core/losses.py does not define gone"),
        (
            "`styleswap_core/losses.py` (`LossWeights.gone`)",
            "styleswap_core/losses.py does not define LossWeights.gone",
        ),
        # Imported, not defined there.
        ("`styleswap_core/losses.py` (`Tensor`)", "styleswap_core/losses.py does not define Tensor"),
        ("`styleswap_core/losses.py` (`LossWeights.mask`)", None),
        ("`styleswap_core/losses.py`", None),
    ],
)
def test_wrong_references_are_found(text, expected):
    assert next(filter(None, (missing(*reference) for reference in references(text))), None) == expected


def test_every_equation_says_where_it_is_in_the_code():
    sections = re.split(r"^#+ ", PAGE, flags=re.MULTILINE)
    silent = []
    for section in sections:
        after = DISPLAY.split(section)[2:][::2]  # the text behind each equation
        for number, _ in enumerate(after):
            # Of several equations in a row the last one is followed by the code of all.
            if not any(re.search(r"^Code: `", text, re.MULTILINE) for text in after[number:]):
                silent.append(section.splitlines()[0])
    assert DISPLAY.search(PAGE)
    assert silent == []


def test_equations_use_commands_that_every_renderer_knows():
    formulas = DISPLAY.findall(PAGE) + INLINE.findall(DISPLAY.sub("", PAGE))
    used = {command for formula in formulas for command in re.findall(r"\\([a-zA-Z]+|.)", formula)}
    assert used <= COMMANDS
    for formula in formulas:
        assert formula.count("{") == formula.count("}"), formula
        assert formula.count(r"\left") - formula.count(r"\leftarrow") == formula.count(r"\right"), formula


def test_every_loss_weight_is_listed_with_its_default():
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", PAGE, re.MULTILINE))
    assert {name: float(value) for name, value in rows.items()} == dataclasses.asdict(LossWeights())


def test_every_bounded_metric_is_defined():
    unknown = [key for key in (*SYNTHETIC_BOUNDS, *INVERSION_BOUNDS) if f"`{key}`" not in PAGE]
    assert unknown == []


def test_glossary_is_in_order():
    terms = re.findall(r"^- \*\*(.+?)\*\*: ", GLOSSARY, re.MULTILINE)
    assert len(terms) > 60
    assert terms == sorted(terms, key=lambda term: re.sub(r"\W|_", " ", term.lower()))


def test_identifiers_of_the_glossary_exist():
    paths = [path.relative_to(ROOT).as_posix() for path in (ROOT / "styleswap_core").rglob("*.py")]
    known = set().union(*map(defined, paths)) | {
        f"{Path(path).stem}.{name}" for path in paths for name in defined(path)
    }
    # Classes, constants, and dotted names: `Identity`, `IDENTITY_SEEDS`, `unpaired.agree`, `synthetic.world.render`.
    names = re.findall(r"`((?:\w+\.)*[A-Z]\w+(?:\.\w+)*|\w+\.(?!py|md|onnx|safetensors)\w+(?:\.\w+)*)`", GLOSSARY)
    assert len(names) > 30
    assert [name for name in names if ".".join(name.split(".")[-2:]) not in known] == []
