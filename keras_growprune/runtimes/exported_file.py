"""What all files that a runtime executes have in common."""

import abc


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

    @abc.abstractmethod
    def run(self, inputs):
        """Runs it once.

        Args:
            inputs: Dict of arrays, by the names of the inputs.

        Returns:
            Dict of arrays, by the names of the outputs.
        """

    def prepare(self, inputs):
        """Makes a call ready, so that it can be timed.

        Args:
            inputs: Dict of arrays, by the names of the inputs.

        Returns:
            A function without arguments that runs it once.
        """
        return lambda: self.run(inputs)
