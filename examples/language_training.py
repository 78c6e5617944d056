"""How Zaremba et al. (2014) train recurrent language models."""

import dataclasses
import time

import keras
import numpy as np
import text_data

import keras_growprune as kgp


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Sizes and schedule of one training.

    Attributes:
        units: Width of the embedding and of the LSTMs.
        steps: Words over which gradients flow back.
        dropout: Fraction of values that dropout leaves out.
        initial_range: Weights are drawn uniformly up to this size.
        clip: Largest norm of the gradient of a batch's loss, summed over
            steps.
        epochs: Epochs.
        full_rate_epochs: Epochs at the initial learning rate.
        decay: Factor on the learning rate in each epoch after these.
        batch_size: Streams that are read side by side.
        layers: Number of LSTMs.
        learning_rate: Initial learning rate, for that summed loss.
    """

    units: int
    steps: int
    dropout: float
    initial_range: float
    clip: float
    epochs: int
    full_rate_epochs: int
    decay: float
    batch_size: int = 20
    layers: int = 2
    learning_rate: float = 1.0


RECIPES = {
    # Not of the paper: what two CPU cores train in a minute.
    "tiny": Recipe(100, 20, 0.0, 0.1, 5.0, 6, 3, 0.5),
    "small": Recipe(200, 20, 0.0, 0.1, 5.0, 13, 4, 0.5),
    "medium": Recipe(650, 35, 0.5, 0.05, 5.0, 39, 6, 1 / 1.2),
    "large": Recipe(1500, 35, 0.65, 0.04, 10.0, 55, 14, 1 / 1.15),
}


@keras.saving.register_keras_serializable(package="keras_growprune_examples")
class Perplexity(keras.metrics.SparseCategoricalCrossentropy):
    """Exponential of the mean cross-entropy of a word, from logits."""

    def __init__(self, name="perplexity", dtype=None, **kwargs):
        kwargs["from_logits"] = True
        super().__init__(name=name, dtype=dtype, **kwargs)

    def result(self):
        return keras.ops.exp(super().result())


class ResetStates(keras.callbacks.Callback):
    """Forgets carried states where a text begins anew."""

    def on_epoch_begin(self, epoch, logs=None):
        self._reset()

    def on_test_begin(self, logs=None):
        self._reset()

    def _reset(self):
        for layer in self.model.layers:
            if getattr(layer, "stateful", False):
                layer.reset_state()


def train(model, corpus, recipe, callbacks=(), gate_rate=None, **fit):
    """Trains a stateful language model.

    Args:
        model: A `keras.Model` from word numbers to logits.
        corpus: A `text_data.Corpus`.
        recipe: The `Recipe`.
        callbacks: More callbacks.
        gate_rate: Of a `GrowPruneModel`: learning rate of the logits that
            `rule="paper"` trains. Defaults to `None`: that of the weights,
            which is made for the small gradients of language models.
        **fit: More arguments of `fit`.

    Returns:
        `(history, seconds)`: a dict with `perplexity` and `val_perplexity` of
        each epoch, and the seconds that it took.
    """

    def learning_rate(epoch):
        late = max(0, epoch + 1 - recipe.full_rate_epochs)
        # The paper's loss is a sum over steps, Keras's is a mean.
        return recipe.learning_rate * recipe.steps * recipe.decay**late

    clip = recipe.clip / recipe.steps
    strategy = model.distribute_strategy
    if not isinstance(model, kgp.GrowPruneModel):
        # Of several replicas, plain Keras clips what each one contributes; a
        # growing network clips the sum.
        clip /= strategy.num_replicas_in_sync
    with strategy.scope():
        gates = {}
        if gate_rate is not None:
            gates = {"gate_optimizer": keras.optimizers.SGD(gate_rate)}
        model.compile(
            keras.optimizers.SGD(learning_rate(0), global_clipnorm=clip),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[Perplexity()],
            **gates,
        )
    started = time.perf_counter()
    history = model.fit(
        *text_data.streams(corpus.train, recipe.batch_size, recipe.steps),
        batch_size=recipe.batch_size,
        epochs=recipe.epochs,
        shuffle=False,
        validation_data=text_data.streams(
            corpus.valid, recipe.batch_size, recipe.steps
        ),
        validation_batch_size=recipe.batch_size,
        callbacks=[
            ResetStates(),
            keras.callbacks.LearningRateScheduler(learning_rate),
            *callbacks,
        ],
        **{"verbose": 0, **fit},
    )
    return history.history, time.perf_counter() - started


def perplexity(model, numbers, recipe):
    """Perplexity of a compiled model on a text, by numbers of its words."""
    batches = text_data.streams(numbers, recipe.batch_size, recipe.steps)
    results = model.evaluate(
        *batches,
        batch_size=recipe.batch_size,
        callbacks=[ResetStates()],
        verbose=0,
        return_dict=True,
    )
    return results["perplexity"]


def tokens_per_second(models, recipe, vocabulary, rounds=15):
    """Words that models read a second, timed in turn.

    Args:
        models: Dict of models.
        recipe: The `Recipe`, for the shape of a batch.
        vocabulary: Number of words.
        rounds: How often each is timed.

    Returns:
        Dict of the best rates.
    """
    shape = (recipe.batch_size, recipe.steps)
    batch = np.random.default_rng(0).integers(0, vocabulary, shape)
    batch = batch.astype("int32")
    best = dict.fromkeys(models, 0.0)
    for _ in range(rounds + 1):
        for name, model in models.items():
            started = time.perf_counter()
            model.predict_on_batch(batch)
            rate = batch.size / (time.perf_counter() - started)
            best[name] = max(best[name], rate)
    return best
