import json
import pathlib

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "colab"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=str)
def test_all_cells_of_a_notebook_run(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cells = json.loads(path.read_text())["cells"]
    names = {}
    for cell in cells:
        code = "".join(cell["source"])
        if cell["cell_type"] == "code" and not code.startswith("%pip"):
            short = code.replace("EPOCHS = 20", "EPOCHS = 3")
            exec(compile(short, str(path), "exec"), names)  # noqa: S102
    model = names["model"]
    assert model.settled
    assert names["history"].history["cost"][-1] <= 0.5
    assert (tmp_path / "small.keras").exists()
    assert "settled, budget Budget(flops=0.5)" in capsys.readouterr().out
