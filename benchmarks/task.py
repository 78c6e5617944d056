"""One training task: data, network, schedule, the same for all methods."""

import dataclasses
import itertools
import pathlib
import sys
import time

import keras
import numpy as np
from growing_task import GrowingTask

import keras_growprune as kgp

sys.path.append(str(pathlib.Path(__file__).parents[1] / "examples"))

import image_data  # noqa: E402

RESULTS = pathlib.Path(__file__).parent / "results" / "cifar10"
_VALIDATION_COUNT = 5000


@dataclasses.dataclass(frozen=True)
class Preset:
    """Sizes of a task.

    Attributes:
        depth: Depth of the residual network.
        image_size: Height and width that images are averaged down to.
        examples: Training images.
        epochs: Epochs of an ordinary training.
        batch_size: Images in a batch.
        learning_rate: Initial learning rate of the cosine schedule.
        weight_decay: Factor of the L2 penalty on kernels.
        restructure_every: Epochs between restructurings.
        augment: Whether images are moved and mirrored.
    """

    depth: int
    image_size: int
    examples: int
    epochs: int
    batch_size: int = 128
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    restructure_every: float = 1
    augment: bool = True


PRESETS = {
    # A minute: to try the benchmark itself.
    "smoke": Preset(depth=8, image_size=8, examples=512, epochs=3),
    # What two CPU cores train in a quarter of an hour.
    "small": Preset(depth=14, image_size=16, examples=12_500, epochs=36),
    # As many steps of the same network, on more images: each is seen 10 times
    # instead of 36, so less depends on what a network makes of few images.
    "many_images": Preset(
        depth=14,
        image_size=16,
        examples=45_000,
        epochs=10,
        restructure_every=0.25,
    ),
    # The papers' network and all of the data, which leaves none to choose by.
    "full": Preset(depth=20, image_size=32, examples=50_000, epochs=30),
}


class Task(GrowingTask):
    """CIFAR-10 in one size.

    Settings are chosen by accuracy on images of the training set that are not
    trained on, where the preset leaves some; methods are compared on the test
    set.

    Args:
        preset: Name of a `Preset`.
    """

    def __init__(self, preset):
        self.name, self.preset = preset, PRESETS[preset]
        self.load_cifar10()

    def load_cifar10(self):
        """Loads the images in the size of the preset."""
        (images, labels), test = image_data.load("cifar10")
        count = self.preset.examples
        held_out = slice(count, count + _VALIDATION_COUNT)
        self.train_data = self._shrunk(images[:count]), labels[:count]
        self.validation_data = self._shrunk(images[held_out]), labels[held_out]
        self.test_data = self._shrunk(test[0]), test[1]

    def _shrunk(self, images):
        size = self.preset.image_size
        times = images.shape[1] // size
        shape = (len(images), size, times, size, times, images.shape[-1])
        return np.ascontiguousarray(images.reshape(shape).mean(axis=(2, 4)))

    def network(self):
        """`(inputs, outputs)` of the growable network."""
        return kgp.models.resnet(
            self.train_data[0].shape[1:],
            depth=self.preset.depth,
            weight_decay=self.preset.weight_decay,
        )

    def shallow_structures(self):
        """All structures of full width that lack at least one block."""
        count = len(self.shapes.structure.gates)
        choices = itertools.product((False, True), repeat=count)
        return [
            self.structure(1.0, np.array(gates))
            for gates in choices
            if not all(gates)
        ]

    @property
    def profile_path(self):
        return RESULTS / self.name / "profile.json"

    def train(self, model, seed, epochs=None, learning_rate=None, **fit):
        """Trains a model from where it is.

        Args:
            model: The model.
            seed: Seed of the order of the data and of its augmentation.
            epochs: Epochs. Defaults to those of the preset.
            learning_rate: Initial one. Defaults to that of the preset.
            **fit: More arguments of `fit`.

        Returns:
            A dict: `loss` (of the last epoch), `seconds`, and
            `training_accuracy` (percent in each epoch, augmented as it was
            trained on).
        """
        preset = self.preset
        epochs = epochs or preset.epochs
        data = image_data.batches(
            *self.train_data, preset.batch_size, seed, preset.augment
        )
        model.compile(
            keras.optimizers.SGD(
                keras.optimizers.schedules.CosineDecay(
                    learning_rate or preset.learning_rate, len(data) * epochs
                ),
                momentum=0.9,
                nesterov=True,
            ),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        started = time.perf_counter()
        history = model.fit(
            data, epochs=epochs, verbose=0, shuffle=False, **fit
        ).history
        return {
            "loss": history["loss"][-1],
            "seconds": time.perf_counter() - started,
            "training_accuracy": [
                round(100 * share, 2) for share in history["accuracy"]
            ],
        }

    def accuracies(self, model):
        """Percent of right answers: `accuracy` and `validation_accuracy`."""
        result = {}
        for name, (images, labels) in (
            ("accuracy", self.test_data),
            ("validation_accuracy", self.validation_data),
        ):
            if len(images):
                logits = model.predict(images, batch_size=500, verbose=0)
                right = np.argmax(logits, axis=-1) == labels
                result[name] = 100 * float(np.mean(right))
        return result
