import re

import keras
import language_training
import numpy as np
import pytest
import text_data

from tests.examples.running import run_example

RECIPE = language_training.Recipe(8, 5, 0.1, 0.1, 5.0, 2, 1, 0.5, batch_size=4)


@pytest.fixture
def folder(tmp_path):
    """A text in which each of six words follows the one before it."""
    line = " ".join("abcdef"[i % 6] for i in range(29)) + "\n"
    for part, lines in (("train", 70), ("valid", 16), ("test", 16)):
        (tmp_path / f"{part}.txt").write_text(line * lines)
    return tmp_path


@pytest.mark.slow
def test_example_grows_a_model_beside_a_full_and_a_narrow_one(folder):
    output = run_example(
        "language_modeling",
        f"--data={folder}",
        f"--output={folder / 'out'}",
        "--units=12",
        "--epochs=3",
        "--budget=0.5",
        "--residual",
    )
    rows = re.findall(
        r"^(full|uniformly narrow|grown) +([\d.]+) +[\d,]+ \(([\d.]+)\)",
        output,
        re.MULTILINE,
    )
    assert [row[0] for row in rows] == ["full", "uniformly narrow", "grown"]
    assert all(float(row[1]) < 9 for row in rows)  # chance: of eight words
    assert all(float(row[2]) <= 0.5 for row in rows[1:])
    assert "settled, budget Budget(params=0.5)" in output
    small = keras.models.load_model(folder / "out" / "compact.keras")
    words = (folder / "out" / "words.txt").read_text().splitlines()
    assert small.output_shape == (20, 20, len(words))


def test_perplexity_is_that_of_all_words():
    metric = language_training.Perplexity()
    # Chances 1/2 and 1/8: the geometric mean is 1/4.
    metric.update_state(np.zeros((1, 1)), np.log([[[0.5, 0.5]]]))
    metric.update_state(np.zeros((1, 1)), np.log([[[0.125, 0.875]]]))
    assert float(metric.result()) == pytest.approx(4.0)
    again = language_training.Perplexity.from_config(metric.get_config())
    assert again.name == "perplexity"


def test_learning_rate_and_clipping_are_the_papers(folder):
    """Its loss is a sum over steps; ours is a mean, so both are scaled."""
    corpus = text_data.load(folder)
    inputs = keras.Input(batch_shape=(4, 5), dtype="int32")
    x = keras.layers.Embedding(len(corpus.words), 3)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(len(corpus.words))(x))
    seen = []

    class Spy(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 0:
                seen.append(float(self.model.optimizer.learning_rate))

    language_training.train(model, corpus, RECIPE, [Spy()])
    assert seen == pytest.approx([5.0, 2.5])
    assert model.optimizer.global_clipnorm == 1.0


def test_each_reading_of_a_text_starts_without_memory(folder):
    inputs = keras.Input(batch_shape=(4, 5), dtype="int32")
    x = keras.layers.Embedding(8, 3)(inputs)
    layer = keras.layers.LSTM(3, return_sequences=True, stateful=True)
    model = keras.Model(inputs, keras.layers.Dense(8)(layer(x)))
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:  # so that memory matters
        variable.assign(random.normal(size=variable.shape))
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[language_training.Perplexity()],
    )
    corpus = text_data.load(folder)
    readings = []
    for size in (0.0, 0.5):
        for state in layer.states:
            state.assign(np.full(state.shape, size))
        readings.append(
            language_training.perplexity(model, corpus.test, RECIPE)
        )
    assert readings[0] == readings[1]
    sizes = []

    class Spy(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 0:
                sizes.append(max(np.abs(s).max() for s in layer.states))

    language_training.train(model, corpus, RECIPE, [Spy()])
    assert sizes == [0.0] * RECIPE.epochs
