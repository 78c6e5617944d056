"""What all files that a runtime executes have in common."""

import abc

import numpy as np


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
        """Runs it on samples; batch by batch, where its batch size is fixed.

        Args:
            inputs: Dict of arrays, by the names of the inputs.

        Returns:
            Dict of arrays, by the names of the outputs.

        Raises:
            ValueError: If the samples are no number of whole batches.
        """
        count = len(next(iter(inputs.values())))
        shape, _ = next(iter(self.inputs.values()))
        size = shape[0] if shape else None
        if size in (None, count):
            return self._run(inputs)
        if count % size:
            raise ValueError(
                f"The file has a fixed batch size of {size}. Received: "
                f"{count} samples. Expected: a multiple of it."
            )
        parts = [
            self._run({k: x[i : i + size] for k, x in inputs.items()})
            for i in range(0, count, size)
        ]
        return {
            name: np.concatenate([part[name] for part in parts])
            for name in parts[0]
        }

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
