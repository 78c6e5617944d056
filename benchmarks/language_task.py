"""One language modelling task, the same for all methods."""

import copy
import dataclasses
import pathlib
import sys

import keras
from growing_task import GrowingTask

import keras_growprune as kgp

sys.path.append(str(pathlib.Path(__file__).parents[1] / "examples"))

import language_training  # noqa: E402
import text_data  # noqa: E402

RESULTS = pathlib.Path(__file__).parent / "results" / "language_model"


@dataclasses.dataclass(frozen=True)
class Preset:
    """Sizes of a task.

    Attributes:
        recipe: Sizes and schedule of the network and its training.
        words: The first words of the training text that are trained on.
    """

    recipe: language_training.Recipe
    words: int


_RECIPES = language_training.RECIPES

PRESETS = {
    # A minute: to try the benchmark itself.
    "smoke": Preset(
        dataclasses.replace(
            _RECIPES["tiny"], units=16, epochs=2, full_rate_epochs=1
        ),
        words=10_000,
    ),
    # What one CPU core trains in ten minutes.
    "small": Preset(_RECIPES["tiny"], words=250_000),
    # The paper's small network, and the whole text.
    "full": Preset(_RECIPES["small"], words=2_000_000),
}


class LanguageTask(GrowingTask):
    """A text in one size.

    Settings are chosen by perplexity on the text for validation, methods are
    compared on the text for tests.

    Args:
        preset: Name of a `Preset`.
        data: Folder with the text, see `text_data.load`.
    """

    def __init__(self, preset, data):
        self.preset = PRESETS[preset]
        self.recipe = self.preset.recipe
        corpus = text_data.load(data)
        train = corpus.train[: self.preset.words]
        self.corpus = dataclasses.replace(corpus, train=train)

    def wider(self, factor):
        """The same task, with a network that many times as wide."""
        other = copy.copy(self)
        # Without what is known of the narrower network.
        other.__dict__ = {
            "preset": self.preset,
            "corpus": self.corpus,
            "recipe": dataclasses.replace(
                self.recipe, units=factor * self.recipe.units
            ),
        }
        return other

    def network(self):
        recipe = self.recipe
        return kgp.models.lstm_language_model(
            len(self.corpus.words),
            recipe.units,
            recipe.layers,
            recipe.steps,
            recipe.batch_size,
            recipe.dropout,
            initial_range=recipe.initial_range,
        )

    def train(self, model, epochs=None, first_epoch=0, **fit):
        """Trains a model by the recipe.

        Args:
            model: The model.
            epochs: Epochs. Defaults to all of the recipe.
            first_epoch: Epochs that the learning rate is late by already.
            **fit: More arguments of `fit`.

        Returns:
            Seconds that it took.
        """
        recipe = self.recipe
        return language_training.train(
            model,
            self.corpus,
            dataclasses.replace(
                recipe,
                epochs=epochs or recipe.epochs,
                full_rate_epochs=recipe.full_rate_epochs - first_epoch,
            ),
            **fit,
        )[1]

    def perplexities(self, model):
        """A dict of `perplexity` and `validation_perplexity`."""
        model.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[language_training.Perplexity()],
        )
        return {
            name: language_training.perplexity(model, text, self.recipe)
            for name, text in (
                ("perplexity", self.corpus.test),
                ("validation_perplexity", self.corpus.valid),
            )
        }
