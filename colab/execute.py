"""Executes the notebooks of this folder, and stores what they print and draw.

    python colab/execute.py                      # all of them
    python colab/execute.py quickstart           # one
    python colab/execute.py --check quickstart   # fails if a cell raises

Cells with the tag `install` are left out: this Python has what they install
(`pip install -e ".[viz,litert]" scikit-learn nbclient ipykernel`). Notebooks
run in an empty folder, so what they write leaves nothing here. With `--check`
the notebooks stay as they are.
"""

import argparse
import pathlib
import re
import tempfile
import time

import nbclient
import nbformat

FOLDER = pathlib.Path(__file__).parent
SECONDS = 900  # of one cell
# What TensorFlow's libraries say of themselves while they start.
_NOISE = re.compile(
    r"WARNING: All log messages before absl"
    r"|[IWE]\d{4} \d\d:\d\d:\d\d"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] "
    r"|INFO: Created TensorFlow Lite XNNPACK"
)
_COLORS = re.compile(r"\x1b\[[\d;]*m")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def is_install(cell):
    """Whether a cell installs packages."""
    return "install" in cell.metadata.get("tags", [])


def execute(notebook, folder):
    """Executes all cells of a notebook but those that install.

    Args:
        notebook: A notebook of nbformat, whose cells get their outputs.
        folder: Where its files go.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell raises.
    """
    run = nbformat.from_dict(notebook)
    run.cells = [cell for cell in run.cells if not is_install(cell)]
    client = nbclient.NotebookClient(
        run,
        timeout=SECONDS,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    done = {cell.id: cell for cell in run.cells}
    for cell in notebook.cells:
        if cell.id in done and cell.cell_type == "code":
            cell.outputs = clean(done[cell.id].outputs)
            cell.execution_count = done[cell.id].execution_count


def clean(outputs):
    """Outputs without noise and without what differs from run to run."""
    kept = []
    for output in outputs:
        last = kept[-1] if kept else {}
        if output.output_type == "stream":
            if output.name == "stderr":
                lines = output.text.splitlines(keepends=True)
                output.text = "".join(
                    line for line in lines if not _NOISE.match(line)
                )
            if not output.text:
                continue
            if last.get("name") == output.name:
                last.text += output.text
                continue
        elif "text/plain" in output.get("data", {}):
            text = _COLORS.sub("", output.data["text/plain"])
            output.data["text/plain"] = _ADDRESS.sub("", text)
        kept.append(output)
    for output in kept:
        if output.output_type == "stream":
            output.text = _as_shown(output.text)
    return kept


def _as_shown(text):
    """What a terminal shows in the end, without its colors.

    A progress bar goes back to the start of its line again and again.
    """
    lines = _COLORS.sub("", text).rstrip("\n").split("\n")
    shown = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in lines]
    return "\n".join(shown) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=str(names))
    parser.add_argument("--check", action="store_true", help="store nothing")
    arguments = parser.parse_args()
    for name in arguments.names or names:
        path = FOLDER / f"{pathlib.Path(name).stem}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            execute(notebook, folder)
        if not arguments.check:
            nbformat.write(notebook, path)
        print(f"{path.name}: {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
