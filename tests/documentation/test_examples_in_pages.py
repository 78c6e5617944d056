"""The examples of README.md and of the documentation's pages run.

All blocks of a page run one after another, as a reader would run them.
"""

import pathlib

import pytest

from tests.documentation import examples
from tests.documentation import preamble

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# What pages begin with: all else they make themselves.
GIVEN = ("__name__", "keras", "np", "tf", "kgp", "images", "labels")


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES]
)
def test_examples_of_page_run(page, tmp_path, monkeypatch):
    blocks = examples.blocks_of(page.read_text(encoding="utf-8"))
    if not blocks:
        pytest.skip("no examples")
    monkeypatch.chdir(tmp_path)
    given = preamble.namespace()
    given = {name: given[name] for name in GIVEN}
    name = page.relative_to(ROOT).as_posix()
    for block in blocks:
        examples.run(block.code, given, name, block.line)
