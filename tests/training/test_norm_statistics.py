"""Moving averages of batch norms that belong to the present network."""

import keras
import numpy as np
from keras import layers

import keras_growprune as kgp
from keras_growprune.training.norm_statistics import NormStatistics
from tests.networks import FULL
from tests.networks import assert_same_bits
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import with_units


def lonely_norm():
    """A norm whose statistics are those of the inputs, scaled by 2."""
    inputs = keras.Input((1,))
    x = kgp.layers.GrowableDense(2, use_bias=False)(inputs)
    x = layers.BatchNormalization(momentum=0.6, epsilon=0.0)(x)
    model = grow((inputs, layers.Dense(3)(x)), schedule=FULL)
    model.layers[1].kernel.assign(np.full((1, 2), 2.0))
    model._growth.network.norms = NormStatistics(model.layers, lag=3.0)
    return compile_model(model, keras.optimizers.SGD(0.0))


def steps(model, *means):
    for mean in means:
        x = np.array([[mean - 1.0], [mean + 1.0]], "float32")
        model.train_on_batch(x, np.array([0, 1]))
    return float(model.layers[2].moving_mean.numpy()[0])


def test_the_average_starts_anew_at_each_restructuring():
    model = lonely_norm()
    # After k steps the momentum is k / (k + 4), at most 0.6: 0, 1/5, 2/6.
    assert steps(model, 5.0) == 10.0
    first = 10.0 / 5 + 4 / 5 * 2.0
    np.testing.assert_allclose(steps(model, 1.0), first, rtol=1e-6)
    second = first / 3 + 2 / 3 * 6.0
    np.testing.assert_allclose(steps(model, 3.0), second, rtol=1e-6)
    model.restructure(with_units(model, [0]))
    assert steps(model, 7.0) == 14.0


def test_the_momentum_ends_at_the_layers_own():
    model = lonely_norm()
    before = steps(model, *[1.0] * 6)  # 6 / 10 is the layer's 0.6
    np.testing.assert_allclose(before, 2.0, rtol=1e-6)
    after = steps(model, 6.0)
    np.testing.assert_allclose(after, 0.6 * 2.0 + 0.4 * 12.0, rtol=1e-6)
    again = steps(model, 1.0)  # 7 / 11 would be more
    np.testing.assert_allclose(again, 0.6 * after + 0.4 * 2.0, rtol=1e-6)


def test_the_layers_momentum_is_left_as_it_was():
    model = lonely_norm()
    steps(model, 1.0)
    assert model.layers[2].momentum == 0.6
    assert model.layers[2].get_config()["momentum"] == 0.6


def test_the_same_structure_does_not_restart_the_average():
    model = lonely_norm()
    before = steps(model, 5.0)
    model.restructure(model.structure)
    expected = before / 5 + 4 / 5 * 2.0
    np.testing.assert_allclose(steps(model, 1.0), expected, rtol=1e-6)


def test_recalibrating_takes_the_plain_average_over_all_batches():
    model = lonely_norm()
    steps(model, 50.0)
    weights = [v.numpy() for v in model.trainable_variables]
    x = np.array([0.0, 2.0, 3.0, 5.0, 8.0, 12.0], "float32")[:, None]
    model.recalibrate(x, batch_size=2)
    mean, variance = (v.numpy()[0] for v in model.layers[2].weights[2:])
    np.testing.assert_allclose(mean, 2 * (1 + 4 + 10) / 3, rtol=1e-6)
    np.testing.assert_allclose(variance, 4 * (1 + 1 + 4) / 3, rtol=1e-6)
    assert_same_bits(weights, model.trainable_variables)
    model.recalibrate(x, batch_size=2, steps=1)
    assert model.layers[2].moving_mean.numpy()[0] == 2.0


def test_recalibrating_takes_data_sets_with_labels_and_leaves_dropout_alone():
    import tensorflow as tf

    inputs = keras.Input((1,))
    x = layers.Dropout(0.9)(inputs)
    x = kgp.layers.GrowableDense(2, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    model = grow((inputs, layers.Dense(3)(x)), schedule=FULL)
    model.layers[2].kernel.assign(np.full((1, 2), 2.0))
    x = np.arange(8, dtype="float32")[:, None]
    data = tf.data.Dataset.from_tensor_slices((x, np.zeros(8, int))).batch(4)
    model.recalibrate(data)
    np.testing.assert_allclose(model.layers[3].moving_mean, [7.0, 7.0])


def bright_or_dark(count, seed):
    """Three kinds of stripes in noise; easy, but not for a network of one."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, count)
    x = random.normal(0.0, 0.7, (count, 8, 8, 1)).astype("float32")
    rows, columns = np.mgrid[:8, :8]
    kinds = np.stack([rows % 2, columns % 2, (rows + columns) % 2])
    return x + kinds[y][..., None], y


def test_validation_in_every_epoch_is_that_of_recalibrated_statistics():
    """22 steps an epoch, batch norms with Keras's momentum of 0.99."""
    x, y = bright_or_dark(22 * 16, seed=0)
    test = bright_or_dark(400, seed=1)
    model = grow(conv_chain((8, 8), image=(8, 8, 1)))
    compile_model(model, keras.optimizers.Adam(0.01), metrics=["accuracy"])

    class Compare(keras.callbacks.Callback):
        differences = []

        def on_epoch_end(self, epoch, logs=None):
            norms = [v for v in model.variables if "moving" in v.name]
            before = [v.numpy() for v in norms]
            steps = model._growth.network.norms.to_arrays()
            model.recalibrate(x, batch_size=16)
            exact = np.mean(np.argmax(model(test[0]), axis=-1) == test[1])
            for variable, value in zip(norms, before, strict=True):
                variable.assign(value)
            model._growth.network.norms.from_arrays(steps)
            self.differences.append(exact - logs["val_accuracy"])

    model.fit(
        x,
        y,
        batch_size=16,
        epochs=6,
        validation_data=test,
        callbacks=[Compare()],
        verbose=0,
    )
    assert model.evaluate(*test, verbose=0)[1] > 0.9
    assert np.abs(Compare.differences).max() <= 0.02
    assert len(Compare.differences) == 6


def test_a_network_without_norms_needs_none():
    model = compile_model(grow(conv_chain((4, 4), norm=False)))
    fit(model, epochs=2)
    before = [v.numpy() for v in model.variables]
    model.recalibrate(examples(model)[0])
    assert_same_bits(before, model.variables)
