"""MkDocs hooks: files of the repository become pages of the site.

A few files belong to the repository's root, where people look for them, and to
the site as well: `PAGES`, and the notebooks of `colab/`. They are read from
where they are when the site is built; there are no copies.

Links in them, and in the pages of `docs/`, are written so that they work in the
repository. Here they are rewritten for the site: a link to a file that is a
page leads to that page, one to any other file of the repository leads to
GitHub. One that leads nowhere stays as it is: `mkdocs build --strict` tells.
"""

import json
import pathlib
import posixpath
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Files of the repository, and the pages that they become.
PAGES = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/RESULTS.md": "results.md",
}
# Pictures that these pages show: their folder, and where it is in the site.
PICTURES = {"benchmarks/results": "assets/results"}
# The order of the tutorials; notebooks that are not named come last.
ORDER = [
    "quickstart",
    "your_own_model",
    "language_model",
    "to_the_device",
]

_FENCED = re.compile(r"(^```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)
# What a function returns has no name: no dash in front of it.
_DASH = re.compile(r'(<li class="doc-section-item field-body">)\s*–')
_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^()\s]+)\)")


def on_config(config):
    """Fills the section `Tutorials` of the navigation."""
    notebooks = [f"tutorials/{path.stem}.md" for path in _notebooks()]
    for entry in config.nav:
        if "Tutorials" in entry:
            entry["Tutorials"] = ["tutorials/index.md", *notebooks]
    return config


def on_files(files, config):
    """Adds the pages, pictures and notebooks from outside of `docs/`."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    for source, target in PICTURES.items():
        for path in sorted((ROOT / source).rglob("*.png")):
            inside = path.relative_to(ROOT / source).as_posix()
            files.append(
                File.generated(
                    config, f"{target}/{inside}", abs_src_path=str(path)
                )
            )
    for path in _notebooks():
        page = f"tutorials/{path.stem}.md"
        text = _notebook_as_markdown(path, config)
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Rewrites links, and tells the page where its source is."""
    source = _source_of(page.file.src_uri)
    if config.repo_url:
        page.edit_url = f"{config.repo_url}/edit/main/{source}"

    def rewritten(match):
        label, link = match.groups()
        return f"{label}({_rewritten(link, source, page.file, config, files)})"

    parts = _FENCED.split(markdown)
    parts[::2] = [_LINK.sub(rewritten, part) for part in parts[::2]]
    return "".join(parts)


def on_page_content(html, page, config, files):
    """Leaves out dashes behind names that are not there."""
    return _DASH.sub(r"\1", html)


def _rewritten(link, source, file, config, files):
    """Where a link of the repository leads to in the site."""
    path, hash_sign, anchor = link.partition("#")
    if not path or re.match(r"[a-z]+:", link):
        return link
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    page = _page_of(target)
    known = page and files.get_file_from_path(page)
    if known and not known.inclusion.is_excluded():
        folder = posixpath.dirname(file.src_uri) or "."
        return posixpath.relpath(page, folder) + hash_sign + anchor
    if target.startswith("..") or not (ROOT / target).exists():
        return link
    kind = "tree" if (ROOT / target).is_dir() else "blob"
    return f"{config.repo_url}/{kind}/main/{target}{hash_sign}{anchor}"


def _page_of(path):
    """The page or picture of the site that a file of the repository is."""
    if path in PAGES:
        return PAGES[path]
    for source, target in PICTURES.items():
        if path.startswith(f"{source}/") and path.endswith(".png"):
            return target + path.removeprefix(source)
    if path.startswith("colab/") and path.endswith(".ipynb"):
        return f"tutorials/{pathlib.PurePosixPath(path).stem}.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return None


def _source_of(page):
    """The file of the repository that a page is made of."""
    for source, target in PAGES.items():
        if page == target:
            return source
    path = pathlib.PurePosixPath(page)
    if str(path.parent) == "tutorials" and path.stem != "index":
        return f"colab/{path.stem}.ipynb"
    return f"docs/{page}"


def _notebooks():
    def place(path):
        known = path.stem in ORDER
        return (ORDER.index(path.stem) if known else len(ORDER), path.stem)

    return sorted((ROOT / "colab").glob("*.ipynb"), key=place)


def _notebook_as_markdown(path, config):
    """A notebook as a page: its texts, its code, and what it has printed."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = ["".join(cell["source"]) for cell in cells[:1]]
    notebook = f"colab/{path.name}"
    repository = config.repo_url.split("github.com/")[-1]
    parts.append(
        "[Open in Colab](https://colab.research.google.com/github/"
        f"{repository}/blob/main/{notebook}){{ .md-button }} "
        f"[Source]({config.repo_url}/blob/main/{notebook}){{ .md-button }}"
    )
    for cell in cells[1:]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
            continue
        parts.append(f"```python\n{text}\n```")
        parts += [_output_as_markdown(each) for each in cell.get("outputs", [])]
    return "\n\n".join(filter(None, parts)) + "\n"


def _output_as_markdown(output):
    data = output.get("data", {})
    for kind in ("image/png", "image/gif", "image/webp"):
        if kind in data:
            content = "".join(data[kind]).replace("\n", "")
            return f"![output](data:{kind};base64,{content})"
    text = "".join(output.get("text", data.get("text/plain", "")))
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""
