import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_growprune as kgp
from keras_growprune.runtimes import open_exported
from tests.export.exported_networks import convolutional
from tests.export.exported_networks import grown
from tests.export.exported_networks import names


def test_differences_are_those_of_the_outputs(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    kernel, bias = np.eye(3, dtype="float32"), np.zeros(3, "float32")
    model.set_weights([kernel, bias])
    kgp.export.export_model(model, tmp_path / "m")
    x = np.array([[1.0, 2, 3], [3, 2, 1], [0, 4, 0], [5, 4.75, 0]])
    assert kgp.verify(model, tmp_path / "m", x).difference == 0
    # The second output rises by a half: only of the last does the class change.
    model.set_weights([kernel, np.array([0, 0.5, 0], "float32")])
    result = kgp.verify(model, tmp_path / "m", x)
    assert result.difference == 0.5 and result.largest == 5.25
    assert result.agreement == 0.75 and result.samples == 4
    outputs = x + [0, 0.5, 0]
    expected = np.sqrt(0.25 / 3) / np.std(outputs)
    assert result.noise == pytest.approx(expected, rel=1e-6)
    assert "agreement 75.0%, 4 samples" in str(result)
    assert result.relative == pytest.approx(0.5 / 5.25)
    assert kgp.export.shortfall(result, is_quantized=True) is None
    told = kgp.export.shortfall(result, is_quantized=False)
    assert "at most 0.0001 of the largest" in told and "0.095 of it" in told


def test_each_output_is_looked_at_by_itself(tmp_path):
    inputs = keras.Input((3,))
    large = keras.layers.Dense(1, kernel_initializer="ones")(1e5 * inputs)
    small = keras.layers.Dense(3, activation="softmax", name="small")(inputs)
    model = keras.Model(inputs, [large, small])
    kgp.export.export_model(model, tmp_path / "m")
    kernel = model.get_layer("small").kernel
    kernel.assign(-kernel)
    result = kgp.verify(model, tmp_path / "m")
    assert result.difference < 1e-5 * result.largest
    assert kgp.export.shortfall(result, is_quantized=False)
    assert kgp.export.shortfall(result, is_quantized=True)


def test_what_is_infinite_in_both_is_the_same(tmp_path):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.ops.log(keras.ops.relu(inputs)))
    x = np.array([[1.0, -1], [2, 3]])
    result = kgp.export.export_model(model, tmp_path / "m", inputs=x)
    assert result.difference == 0 and result.largest == np.log(np.float32(3))


def test_samples_go_to_inputs_by_their_names(tmp_path):
    one, two = keras.Input((2,), name="one"), keras.Input((2,), name="b")
    model = keras.Model([one, two], keras.ops.subtract(one, 2 * two))
    kgp.export.export_model(model, tmp_path / "m")
    one, two = np.array([[1.0, 2]]), np.array([[30.0, 50]])
    expected = kgp.verify(model, tmp_path / "m", [one, two])
    assert expected.largest == 98
    batches = tf.data.Dataset.from_tensors(({"b": two, "one": one}, [0]))
    pairs = tf.data.Dataset.from_tensors(((one, two), [0]))
    for data in ({"b": two, "one": one}, batches, pairs, lambda: iter(pairs)):
        assert kgp.verify(model, tmp_path / "m", data) == expected
    for data in ({"b": two, "three": one}, [one], [one, [[1], [2, 3]]]):
        with pytest.raises(ValueError, match="`inputs`.*'one', 'b'"):
            kgp.verify(model, tmp_path / "m", data)


def test_numbers_that_are_no_integers_are_refused(tmp_path):
    inputs = keras.Input((2,), dtype="uint8")
    x = keras.ops.cast(inputs, "float32")
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    for wrong in ([[0.25, 1.0]], [[256, 0]], [[-1, 0]]):
        with pytest.raises(ValueError, match="integers.*uint8"):
            kgp.export.export_model(
                model, tmp_path / "m", inputs=np.array(wrong)
            )
    kgp.export.export_model(model, tmp_path / "m", inputs=[[3.0, 255.0]])


@pytest.mark.parametrize("name", ["x-y", "a b", "1x", "self", "ü", "_x"])
def test_any_name_of_an_input_can_be_served(name, tmp_path):
    a, b = keras.Input((2,), name=name), keras.Input((2,), name="other")
    x = keras.layers.Dense(2)(keras.layers.Add()([a, b]))
    model = keras.Model([a, b], {name.replace("/", ""): x})
    result = kgp.export.export_model(model, tmp_path / "m")
    assert result.difference < 1e-6 and result.largest > 0


def test_inside_a_scope_of_replicas_it_is_refused(tmp_path):
    from tests.distribution.replicas import two_replicas

    model = grown(convolutional)
    with two_replicas().scope():
        with pytest.raises(ValueError, match="behind that block"):
            model.export(tmp_path / "m")
    assert names(tmp_path) == []


def test_files_of_nobody_are_refused(tmp_path):
    model = grown(convolutional)
    with pytest.raises(FileNotFoundError, match="no exported file"):
        kgp.verify(model, tmp_path / "m.tflite")
    (tmp_path / "m.txt").write_text("")
    with pytest.raises(ValueError, match=r"m\.txt"):
        kgp.verify(model, tmp_path / "m.txt")
    (tmp_path / "m.tflite").write_bytes(b"no such file")
    with pytest.raises(RuntimeError, match="does not run it"):
        kgp.verify(model, tmp_path / "m.tflite")
    with pytest.raises(ValueError, match=r"m\.tflite` does not take it"):
        open_exported(tmp_path / "m.tflite")


def test_a_file_of_another_network_is_told(tmp_path):
    grown(convolutional).export(tmp_path / "m")
    inputs = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Dense(3, name="scores")(keras.layers.Flatten()(inputs))
    with pytest.raises(RuntimeError, match=r"\(32, 3\).*\(32, 10\)"):
        kgp.verify(keras.Model(inputs, x), tmp_path / "m")
