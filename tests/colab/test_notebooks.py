"""The notebooks of the folder `colab`, as they are stored and as they run."""

import json
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PATHS = sorted((ROOT / "colab").glob("*.ipynb"))
NAMES = ["language_model", "quickstart", "to_the_device", "your_own_model"]
COLAB = "https://colab.research.google.com"
REPOSITORY = "https://github.com/keras-growprune/keras_growprune/blob/main/"
MACHINE = re.compile(r"/(tmp|home|root|work|Users|opt)/|site-packages")

# What a reader of each notebook is promised, as a cell behind the last one.
PROMISES = {
    "quickstart": """
        assert model.settled
        assert history.history["cost"][-1] <= 0.5
        assert kgp.count_flops(small) <= 0.5 * kgp.count_flops(full)
        assert difference < 1e-3
        for layer in small.layers:
            assert type(layer).__module__.startswith("keras.src"), layer
        """,
    "your_own_model": """
        assert model.settled and pruned.settled and own_model.settled
        assert kgp.count_flops(grown) <= 0.4 * kgp.count_flops(mine)
        assert kgp.count_flops(small) <= 0.5 * kgp.count_flops(trained)
        assert type(mine.get_layer("stem")) is keras.layers.Conv2D
        assert trained.get_layer("stem").filters == 32
        tied = {frozenset(group.writers) for group in report.groups}
        assert {"stem", "branch_2"} in tied
        assert {"left", "right"} <= set(kept.coupling_report().frozen)
        assert set(own_model.widths) == {"first", "second"}
        assert own_model.compact().count_params() <= 0.3 * own.count_params()
        assert test_accuracy(pruned) > 0.8
        """,
    "language_model": """
        assert model.settled
        assert small.count_params() <= 0.35 * full.count_params()
        assert history.history["val_perplexity"][-1] < len(words) / 4
        assert len(write("a class is", count=30).split(" ")) == 33
        """,
    "to_the_device": """
        assert model.settled
        half = profile.milliseconds(full) / 2
        assert profile.milliseconds(small) <= half * (1 + 1e-6)
        sizes = {key: os.path.getsize(path) for key, path in files.items()}
        for name in ("full", "grown"):
            assert sizes[name, "int8"] < sizes[name, "float"]
        for kind in ("float", "int8"):
            assert sizes["grown", kind] < sizes["full", kind]
        assert result.agreement > 0.9
        assert np.mean(np.equal(answers, test_y[:12])) > 0.5
        """,
}
FILES = {
    "quickstart": ["small.keras"],
    "your_own_model": ["pruned.keras"],
    "language_model": ["language_model.keras"],
    "to_the_device": [
        "device.json",
        "full.tflite",
        "full_int8.tflite",
        "grown.tflite",
        "grown_int8.tflite",
    ],
}


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


def cells_of(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def sources_of(path, kind):
    return [
        "".join(cell["source"])
        for cell in cells_of(path)
        if cell["cell_type"] == kind
    ]


def outputs_of(path):
    return [out for cell in cells_of(path) for out in cell.get("outputs", [])]


def texts_of(output):
    """All that an output says, without its pictures."""
    data = output.get("data", {})
    texts = [data[kind] for kind in data if kind.startswith("text/")]
    return ["".join(text) for text in [output.get("text", ""), *texts]]


def test_all_notebooks_are_there():
    assert [path.stem for path in PATHS] == NAMES


def test_it_opens_in_colab(path):
    badge = sources_of(path, "markdown")[0].splitlines()[0]
    assert f"]({COLAB}/assets/colab-badge.svg)]" in badge
    page = "github/keras-growprune/keras_growprune/blob/main/colab"
    assert badge.endswith(f"({COLAB}/{page}/{path.name})")


def test_the_first_code_cell_installs(path):
    first, *others = [c for c in cells_of(path) if c["cell_type"] == "code"]
    assert first["metadata"]["tags"] == ["install"]
    source = "".join(first["source"])
    assert re.match(r'%pip install --quiet "keras_growprune\[viz', source)
    assert not first["outputs"]
    assert not any(cell["metadata"] for cell in others)
    for package in ("sklearn", "ai_edge_litert"):
        used = any(package in code for code in sources_of(path, "code"))
        extra = {"sklearn": "scikit-learn", "ai_edge_litert": "litert]"}
        assert used == (extra[package] in source), package


def test_it_is_stored_with_what_it_prints_and_draws(path):
    code = [c for c in cells_of(path) if c["cell_type"] == "code"]
    numbers = [cell["execution_count"] for cell in code[1:]]
    assert numbers == list(range(1, len(code)))
    outputs = outputs_of(path)
    pictures = [out for out in outputs if "image/png" in out.get("data", {})]
    assert len(pictures) >= 2
    assert not [out for out in outputs if out["output_type"] == "error"]
    assert not [out for out in outputs if out.get("name") == "stderr"]
    assert path.stat().st_size < 700_000


def test_it_tells_nothing_of_the_machine(path):
    for output in outputs_of(path):
        for text in texts_of(output):
            assert not MACHINE.search(text), text
            assert "\x1b" not in text, text


def test_its_links_lead_to_files_of_the_repository(path):
    linked = re.findall(
        re.escape(REPOSITORY) + r"([\w./-]+)",
        "\n".join(sources_of(path, "markdown")),
    )
    documents = [name for name in linked if name.startswith("docs/")]
    assert len(documents) >= 3
    for name in linked:
        assert (ROOT / name).exists(), name


def test_its_format_is_valid(path):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_its_promises(name, tmp_path):
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    pytest.importorskip("matplotlib")
    from colab import execute

    notebook = nbformat.read(ROOT / f"colab/{name}.ipynb", as_version=4)
    short = 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for long, brief in (("EPOCHS", 4), ("SECONDS", 8)):
                cell.source, count = re.subn(
                    rf"^{long} = \d+$",
                    f"{long} = {brief}",
                    cell.source,
                    flags=re.MULTILINE,
                )
                short += count * (long == "EPOCHS")
    assert short == 1
    promises = re.sub(r"^ {8}", "", PROMISES[name], flags=re.MULTILINE)
    cell = nbformat.v4.new_code_cell(f"import os\n{promises}\nprint('kept')")
    notebook.cells.append(cell)
    execute.execute(notebook, tmp_path)
    assert notebook.cells[-1].outputs[0].text == "kept\n"
    for file in FILES[name]:
        assert (tmp_path / file).exists(), file
