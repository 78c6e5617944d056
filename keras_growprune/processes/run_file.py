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
    names = request["names"]
    if set(names) != set(file.inputs):  # written by somebody else
        names = list(file.inputs)
    if len(names) != len(arrays):
        raise ValueError(
            f"The file has {len(names)} inputs, {names}. Received: "
            f"{len(arrays)} inputs of the network"
        )
    return file.run({name: arrays[str(i)] for i, name in enumerate(names)})
