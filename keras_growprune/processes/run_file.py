"""Runs an exported file on samples."""

from keras_growprune.runtimes.opening import open_exported


def main(request, arrays):
    """Runs the file.

    Args:
        request: Dict with `path`, and `names`, those of the network's inputs.
        arrays: The inputs in the order of these names, as `0`, `1`, ...

    Returns:
        Dict of the outputs by name.
    """
    file = open_exported(request["path"])
    values = [arrays[str(index)] for index in range(len(arrays))]
    return file.run(file.by_name(request["names"], values))
