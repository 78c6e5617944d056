"""Networks that have been trained, and are to become smaller."""

import dataclasses

from sklearn.model_selection import StratifiedKFold
from task import PRESETS
from task import RESULTS as CIFAR10
from task import Preset
from task import Task
from task import image_data

RESULTS = CIFAR10.parent / "trained"


@dataclasses.dataclass(frozen=True)
class TrainedPreset(Preset):
    """Sizes of a task, and of what comes after its training.

    Attributes:
        more_epochs: Epochs in which a trained network becomes smaller.
    """

    more_epochs: int = 9


_DIGITS = TrainedPreset(
    depth=8,
    image_size=8,
    examples=1347,
    epochs=30,
    batch_size=64,
    learning_rate=0.05,
    augment=False,
    more_epochs=6,
)
TRAINED_PRESETS = {
    "smoke": TrainedPreset(**vars(PRESETS["smoke"]), more_epochs=2),
    "digits": _DIGITS,
    # To choose settings by: the test images are training images held out.
    "digits_held_out": dataclasses.replace(_DIGITS, examples=1010),
    "small": TrainedPreset(**vars(PRESETS["small"]), more_epochs=36),
}


class TrainedTask(Task):
    """A network of the task, trained to the end, for each seed.

    Args:
        preset: Name of a `TrainedPreset`.
    """

    def __init__(self, preset):
        self.name, self.preset = preset, TRAINED_PRESETS[preset]
        self.folder = RESULTS / preset / "networks"
        if not preset.startswith("digits"):
            self.load_cifar10()
            return
        (images, labels), self.test_data = image_data.load("digits")
        nothing = slice(0, 0)
        self.train_data = images, labels
        self.validation_data = images[nothing], labels[nothing]
        if preset == "digits_held_out":
            folds = StratifiedKFold(4, shuffle=True, random_state=0)
            train, rest = next(iter(folds.split(images, labels)))
            self.train_data = images[train], labels[train]
            self.test_data = images[rest], labels[rest]

    def given(self, seed):
        """The network that was trained with a seed.

        Raises:
            FileNotFoundError: If it has not been trained yet.
        """
        model = self.plain()
        model.load_weights(self._path(seed))
        return model

    def keep(self, model, seed):
        """Keeps a network for `given`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        model.save_weights(self._path(seed))

    def _path(self, seed):
        return self.folder / f"{seed}.weights.h5"
