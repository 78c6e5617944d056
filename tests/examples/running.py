"""Runs examples in the tests' own process: to import TensorFlow takes long."""

import contextlib
import importlib.util
import io
import pathlib
import sys

from absl import flags

FOLDER = pathlib.Path(__file__).parents[2] / "examples"


def run_example(name, *arguments):
    """Does what `python examples/<name>.py <arguments>` does.

    Args:
        name: Name of the example.
        *arguments: Command line flags.

    Returns:
        What it prints.
    """
    path = FOLDER / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    module = importlib.util.module_from_spec(spec)
    before, modules = set(flags.FLAGS), set(sys.modules)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            spec.loader.exec_module(module)
            module.main(flags.FLAGS([str(path), *arguments]))
    finally:
        flags.FLAGS.unparse_flags()
        flags.FLAGS.remove_flag_values(set(flags.FLAGS) - before)
        # Imported again, they define their flags again.
        for other in set(sys.modules) - modules:
            file = getattr(sys.modules[other], "__file__", None)
            if file and pathlib.Path(file).parent == FOLDER:
                del sys.modules[other]
    return printed.getvalue()
