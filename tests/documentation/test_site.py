"""The documentation site is whole: `mkdocs build --strict`."""

import html.parser
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [
    "index.html",
    "start/index.html",
    "guides/any_model/index.html",
    "guides/deployment/index.html",
    "method/index.html",
    "results/index.html",  # made of benchmarks/RESULTS.md
    "changelog/index.html",
    "architecture/index.html",
    "api/training/index.html",
    "faq/index.html",
    "when_not/index.html",
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("mkdocs") is None
        or importlib.util.find_spec("mkdocstrings") is None,
        reason="needs the extra `docs`",
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    result = subprocess.run(
        [*command, "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_page_is_there(site, page):
    assert (site / page).stat().st_size > 5_000


def test_each_notebook_is_a_tutorial(site):
    for notebook in (ROOT / "colab").glob("*.ipynb"):
        page = site / "tutorials" / notebook.stem / "index.html"
        assert "colab.research.google.com" in page.read_text(encoding="utf-8")


def test_public_names_are_in_the_api(site):
    text = "".join(
        page.read_text(encoding="utf-8") for page in site.glob("api/*/*.html")
    )
    # Static: the site's sources are read, not imported.
    init = (ROOT / "keras_growprune" / "__init__.py").read_text("utf-8")
    names = init.split("__all__ = [")[1].split("]")[0]
    modules = {"callbacks", "export", "growth", "layers", "models"}
    modules |= {"visualization"}
    for name in (line.strip(' ",') for line in names.splitlines()):
        if name and name not in modules and not name.startswith("__"):
            assert re.search(rf'id="keras_growprune[.\w]*\.{name}"', text), name
    # A function in a module of its own name: the module has little to say.
    assert "doc-symbol-module" not in text


class _Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.anchors = [], set()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        for name in ("href", "src"):
            if attrs.get(name):
                self.links.append(attrs[name])
        if attrs.get("id"):
            self.anchors.add(attrs["id"])


def test_links_to_the_repository_lead_to_files(site):
    found = 0
    for page in site.rglob("*.html"):
        parser = _Links()
        parser.feed(page.read_text(encoding="utf-8"))
        for link in parser.links:
            for kind in ("/blob/main/", "/tree/main/", "/edit/main/"):
                if "github.com/keras-growprune" in link and kind in link:
                    path = link.split(kind)[1].partition("#")[0]
                    assert (ROOT / path).exists(), (page, link)
                    found += 1
    assert found > 20
