"""What all files that a runtime executes have in common."""

import abc


class ExportedFile(abc.ABC):
    """A network in a file, ready to run in its own runtime.

    Attributes:
        inputs: Dict of the inputs by name: `(shape, dtype)`, None for sizes
            that are not fixed; dtypes as names.
    """

    inputs: dict

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
