import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_growprune.layers import StructureGate

LOG3 = float(np.log(3))


def gate_of(logits, ages=None, **kwargs):
    gate = StructureGate(**kwargs)
    gate.build((None, len(logits)))
    gate.logits.assign(logits)
    if ages is not None:
        gate.ages.assign(ages)
    return gate


def test_channels_are_multiplied_by_the_sigmoid_of_their_logits():
    gate = gate_of([0.0, LOG3, -LOG3])
    found = gate(np.array([[4.0, 4.0, 4.0], [-8.0, 0.0, 8.0]], "float32"))
    np.testing.assert_allclose(
        found, [[2.0, 3.0, 1.0], [-4.0, 0.0, 2.0]], rtol=1e-6
    )


def test_old_units_harden():
    # Temperatures 16 ** 0 = 1, 16 ** 0.25 = 2 and 16 ** 0.5 = 4.
    gate = gate_of(
        [LOG3, LOG3, -LOG3], [0, 2, 4], final_temperature=16.0, epochs=8
    )
    np.testing.assert_allclose(
        gate.presence(), [3 / 4, 9 / 10, 1 / 82], rtol=1e-5
    )


def test_large_logits_do_not_overflow():
    gate = gate_of([1e4, -1e4], [1, 1])
    assert np.array(gate.presence()).tolist() == [1.0, 0.0]


def test_a_gradient_reaches_the_logits_but_not_the_ages():
    gate = gate_of([0.0, LOG3], [1, 0], final_temperature=2.0)
    x = tf.constant([[3.0, 8.0]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(gate(x))
    gradient = tape.gradient(loss, gate.logits.value)
    # x * beta * p * (1 - p): 3 * 2 / 4, and 8 * 3 / 16.
    np.testing.assert_allclose(gradient, [1.5, 1.5], rtol=1e-6)
    assert [v.name for v in gate.trainable_variables] == ["logits"]
    others = [v.name for v in gate.non_trainable_variables]
    assert others == ["ages", "run_length"]


def test_training_moves_the_logits():
    inputs = keras.Input((2,))
    gate = StructureGate()
    model = keras.Model(inputs, gate(inputs))
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.fit(np.ones((4, 2)), np.array([[1.0, 0.0]] * 4), verbose=0)
    assert np.array(gate.logits)[0] > 0 > np.array(gate.logits)[1]


def test_one_logit_is_shared_by_all_channels():
    gate = StructureGate(units=1, initial_logit=LOG3)
    found = gate(np.full((1, 2, 4), 4.0, "float32"))
    np.testing.assert_allclose(found, np.full((1, 2, 4), 3.0), rtol=1e-6)
    assert gate.logits.shape == (1,)


def test_the_axis_of_the_channels_can_be_given():
    gate = StructureGate(axis=1)
    x = np.ones((1, 2, 3, 4), "float32")
    gate.build(x.shape)
    gate.logits.assign([0.0, LOG3])
    found = np.array(gate(x))
    np.testing.assert_allclose(found[0, 0], 0.5, rtol=1e-6)
    np.testing.assert_allclose(found[0, 1], 0.75, rtol=1e-6)


def test_half_precision_is_kept():
    gate = StructureGate(dtype="mixed_float16")
    assert gate(np.ones((1, 2), "float16")).dtype == "float16"
    assert gate.logits.dtype == "float32"


def test_output_shape_is_that_of_the_input():
    assert StructureGate()(keras.Input((4, 3))).shape == (None, 4, 3)


def test_config_round_trip_keeps_every_argument():
    arguments = dict(
        units=3, axis=1, initial_logit=2.0, final_temperature=50.0, epochs=7
    )
    config = StructureGate(**arguments).get_config()
    assert arguments.items() <= config.items()
    assert StructureGate.from_config(config).get_config() == config


def test_saved_model_loads_with_logits_and_ages(tmp_path):
    inputs = keras.Input((2,))
    gate = StructureGate(name="gate", epochs=4)
    model = keras.Model(inputs, gate(inputs))
    gate.logits.assign([1.0, -2.0])
    gate.ages.assign([3.0, 1.0])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    found = again.get_layer("gate")
    assert np.array(found.logits).tolist() == [1.0, -2.0]
    assert np.array(found.ages).tolist() == [3.0, 1.0]
    x = np.ones((1, 2), "float32")
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize("value", [0, -1, 1.5])
@pytest.mark.parametrize("name", ["units", "epochs"])
def test_counts_must_be_positive_integers(name, value):
    with pytest.raises(ValueError, match=rf"`{name}`.*{value!r}"):
        StructureGate(**{name: value})


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_the_final_temperature_must_be_positive(value):
    with pytest.raises(ValueError, match="`final_temperature`"):
        StructureGate(final_temperature=value)


def test_a_number_of_units_that_is_not_the_channels_is_refused():
    with pytest.raises(ValueError, match="`units`.*3.*4|4.*3"):
        StructureGate(units=3).build((None, 4))
