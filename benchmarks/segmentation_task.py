"""One segmentation task, the same for all methods."""

import dataclasses
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf
from growing_task import GrowingTask

import keras_growprune as kgp

sys.path.append(str(pathlib.Path(__file__).parents[1] / "examples"))

import image_data  # noqa: E402
import segmentation_data  # noqa: E402
import segmentation_training  # noqa: E402

RESULTS = pathlib.Path(__file__).parent / "results" / "segmentation"
_VALIDATION_COUNT = 200


@dataclasses.dataclass(frozen=True)
class Preset:
    """Sizes of a task.

    Attributes:
        filters: Filters of the first level of a U-Net.
        levels: How often it halves the resolution.
        image_size: Height and width that images are averaged down to.
        examples: Training images.
        epochs: Epochs of an ordinary training.
        batch_size: Images in a batch.
        learning_rate: Initial learning rate of the polynomial schedule.
        weight_decay: Factor of the L2 penalty on kernels.
        restructure_every: Epochs between restructurings.
    """

    filters: int
    levels: int
    image_size: int
    examples: int
    epochs: int
    batch_size: int = 16
    learning_rate: float = 0.05
    weight_decay: float = 1e-4
    restructure_every: float = 1


PRESETS = {
    # A minute: to try the benchmark itself.
    "smoke": Preset(8, 2, image_size=16, examples=96, epochs=3),
    # What one CPU core trains in ten minutes.
    "small": Preset(16, 3, image_size=64, examples=1800, epochs=20),
    # All of the resolution that the images have.
    "full": Preset(16, 4, image_size=128, examples=1800, epochs=60),
}


class SegmentationTask(GrowingTask):
    """Images with classes of their pixels, in one size.

    Settings are chosen by images of the list `train` that are not trained on,
    methods are compared on the list `val`.

    Args:
        preset: Name of a `Preset`.
        data: Folder of the data set, see `segmentation_data.folder_of`.
    """

    def __init__(self, preset, data):
        self.preset = PRESETS[preset]
        self.profile_path = RESULTS / preset / "profile.json"
        folder = segmentation_data.folder_of(data)
        train = segmentation_data.load(folder, "train")
        test = segmentation_data.load(folder, "val")
        self.classes = train.count_classes()
        count = self.preset.examples
        self.train_data = self._arrays(train, slice(count))
        self.validation_data = self._arrays(
            train, slice(count, count + _VALIDATION_COUNT)
        )
        self.test_data = self._arrays(test, slice(None))

    def _arrays(self, split, chosen):
        """Images from -1 to 1, and masks, as arrays."""
        size = self.preset.image_size
        images, masks = [], []
        for path, mask in zip(split.images[chosen], split.masks[chosen]):
            image = keras.utils.img_to_array(keras.utils.load_img(path))
            mask = segmentation_data.read_mask(mask)
            times = len(mask) // size
            image = image.reshape(size, times, size, times, 3).mean((1, 3))
            images.append(image / 127.5 - 1.0)
            masks.append(mask[times // 2 :: times, times // 2 :: times])
        return np.array(images, "float32"), np.array(masks, "uint8")

    def network(self):
        preset = self.preset
        return kgp.models.unet(
            (preset.image_size, preset.image_size, 3),
            self.classes,
            preset.filters,
            preset.levels,
            weight_decay=preset.weight_decay,
        )

    def batches(self, seed):
        """Batches of one epoch, moved and mirrored, what moves in void."""
        images, masks = self.train_data
        # Void is 0 in the fourth channel, as what lies beyond the borders is.
        beside = (masks + np.uint8(1)).astype("float32")[..., None]
        stacked = np.concatenate([images, beside], axis=-1)
        data = image_data.batches(
            stacked,
            np.zeros(len(images), "uint8"),
            self.preset.batch_size,
            seed,
            drop_remainder=True,
        )

        def split(both, _):
            return both[..., :3], tf.cast(both[..., 3], tf.uint8) - 1

        return data.map(split).prefetch(2)

    def train(self, model, seed, epochs=None, learning_rate=None, **fit):
        """Trains a model, as `Task.train` of CIFAR-10 does."""
        epochs, batches = epochs or self.preset.epochs, self.batches(seed)
        segmentation_training.compile_model(
            model,
            len(batches) * epochs,
            learning_rate or self.preset.learning_rate,
        )
        history, seconds = segmentation_training.fit(
            model, batches, epochs, **fit
        )
        return {
            "loss": history["loss"][-1],
            "seconds": seconds,
            "training_accuracy": [round(100 * x, 2) for x in history["miou"]],
        }

    def accuracies(self, model):
        """Mean IoU in percent: `miou` and `validation_miou`."""
        result = {}
        for name, (images, masks) in (
            ("miou", self.test_data),
            ("validation_miou", self.validation_data),
        ):
            if len(images):
                metric = segmentation_training.MeanIoU(self.classes)
                for start in range(0, len(images), 50):
                    part = slice(start, start + 50)
                    logits = model.predict_on_batch(images[part])
                    metric.update_state(masks[part], logits)
                result[name] = 100 * float(metric.result())
        return result
