"""What all files that a runtime executes have in common."""

import abc

import numpy as np

# Of large images more would not find room.
_FEW = 32


class ExportedFile(abc.ABC):
    """A network in a file, ready to run in its own runtime.

    Attributes:
        inputs, outputs: Dicts by name of `(shape, dtype)`, None for sizes that
            are not fixed (no shape at all where nothing is known of it);
            dtypes as names.
        is_quantized: Whether integers stand for other numbers in it.
    """

    inputs: dict
    outputs: dict
    is_quantized = False

    def run(self, inputs):
        """Runs it on samples, batch by batch.

        Args:
            inputs: Dict of arrays, by the names of the inputs.

        Returns:
            Dict of arrays, by the names of the outputs.
        """
        shape, _ = next(iter(self.inputs.values()))
        return in_batches(self._run, inputs, shape[0] if shape else None)

    def by_name(self, names, values):
        """Arrays by the names that the file's inputs have.

        Args:
            names: Names of the network's inputs.
            values: List of arrays, in their order.

        Raises:
            ValueError: If the file has another number of inputs.
        """
        if set(names) != set(self.inputs):  # written by somebody else
            names = list(self.inputs)
        if len(names) != len(values):
            raise ValueError(
                f"The file has {len(names)} inputs, {names}. Received: "
                f"{len(values)} inputs of the network"
            )
        return dict(zip(names, values))

    @abc.abstractmethod
    def _run(self, inputs):
        """Runs it on one batch."""

    def prepare(self, inputs):
        """Makes a call ready, so that it can be timed.

        Args:
            inputs: Dict of arrays, by the names of the inputs.

        Returns:
            A function without arguments that runs it once.
        """
        return lambda: self._run(inputs)


def in_batches(run, inputs, size):
    """Runs something on samples, batch by batch; the last one is filled up.

    Args:
        run: Function of a dict of arrays that returns a dict of arrays.
        inputs: Dict of arrays.
        size: Samples of a batch, or None for a few.

    Returns:
        Dict of arrays.
    """
    count = len(next(iter(inputs.values())))
    size = size or min(count, _FEW)
    if size == count:
        return run(inputs)
    parts = []
    for start in range(0, count, size):
        places = np.minimum(np.arange(start, start + size), count - 1)
        parts.append(run({k: np.asarray(x)[places] for k, x in inputs.items()}))
    return {
        name: np.concatenate([part[name] for part in parts])[:count]
        for name in parts[0]
    }
