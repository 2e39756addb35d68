"""Help pages agree with the names and tooltips that the nodes show in the same language."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Names that ComfyUI's own nodes, menus and this pack's options have; all other emphasized words are names of the pack.
OTHER_NAMES = {
    "en": {"Load Image", "Save Image", "Unload Models", "by index"},
    "ko": {"이미지 로드", "이미지 저장", "모델 언로드", "by index"},
    "zh": {"加载图像", "保存图像", "卸载模型", "by index"},
    "ja": {"画像を読み込む", "画像を保存", "モデルのアンロード", "by index"},
}


def _texts(language):
    return json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))


def _page(node, language):
    docs = ROOT / "web" / "docs"
    path = docs / f"{node}.md" if language == "en" else docs / node / f"{language}.md"
    return path.read_text(encoding="utf-8")


PAGES = [(node, language) for language in OTHER_NAMES for node in _texts("en")]


@pytest.mark.parametrize(("node", "language"), PAGES)
def test_the_tables_list_every_input_and_output(node, language):
    texts = _texts(language)[node]
    page = _page(node, language)
    assert page.startswith(f"# {texts['display_name']}\n")
    rows = [row for row in re.findall(r"^\| (.+?) \| (.+) \|$", page, re.MULTILINE) if set(row[0]) != {"-"}]
    # Each table begins with its column titles.
    rows = [row for number, row in enumerate(rows) if number not in (0, len(texts["inputs"]) + 1)]
    entries = [(one["name"], one["tooltip"]) for group in ("inputs", "outputs") for one in texts[group].values()]
    assert [(name.strip("`"), text) for name, text in rows] == entries


@pytest.mark.parametrize(("node", "language"), PAGES)
def test_emphasized_names_exist(node, language):
    texts = _texts(language)
    known = OTHER_NAMES[language] | {entry["display_name"] for entry in texts.values()}
    for entry in texts.values():
        known |= {one["name"] for group in ("inputs", "outputs") for one in entry[group].values()}
    emphasized = set(re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", _page(node, language)))
    assert emphasized <= known
