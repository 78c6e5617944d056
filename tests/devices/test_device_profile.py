import keras
import numpy as np
import pytest
from keras import layers

import keras_growprune as kgp
from keras_growprune.devices import LayerWork
from keras_growprune.devices import runtimes
from keras_growprune.devices import time_models
from tests.networks import conv_chain
from tests.networks import grow
from tests.networks import residual

TRUE = kgp.DeviceProfile(
    {
        "convolution": (3.0, 20.0, 8.0, 0.01),
        "dense": (0.0, 0.0, 0.0, 0.02),
    },
    block=8,
    input_block=2,
    constant=0.1,
)


def network(widths, size=16):
    x = inputs = keras.Input((size, size, 3))
    for width in widths:
        x = layers.Conv2D(width, 3, padding="same")(x)
    x = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, x)


def records(count=30, noise=0.0, seed=0):
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        depth = random.integers(1, 5)
        model = network(random.integers(4, 40, depth), random.integers(6, 20))
        time = TRUE.milliseconds(model)
        found.append(
            {
                "layers": kgp.devices.work_of(model),
                "milliseconds": time * np.exp(noise * random.normal()),
            }
        )
    return found


def test_a_fit_finds_the_device_that_made_the_timings():
    found = kgp.DeviceProfile.fit(records(), runtime="phone", batch_size=2)
    assert (found.block, found.input_block) == (8, 2)
    assert found.error < 1e-6
    np.testing.assert_allclose(
        found.layers["convolution"][:3], (3.0, 20.0, 8.0), rtol=1e-4
    )
    model = network((7, 20, 33))
    expected = TRUE.milliseconds(model)
    assert found.milliseconds(model) == pytest.approx(expected, rel=1e-4)
    assert (found.runtime, found.batch_size) == ("phone", 2)


def test_the_error_is_that_of_networks_left_out():
    found = kgp.DeviceProfile.fit(records(60, noise=0.1))
    assert 0.03 < found.error < 0.15  # the median of |N(0, 0.1)| is 0.067


def test_no_factor_is_negative():
    wild = records(20, noise=1.0)
    found = kgp.DeviceProfile.fit(wild)
    assert min(np.min(values) for values in found.layers.values()) >= 0
    assert found.constant >= 0


def test_records_may_be_plain_dicts_as_in_a_json_file():
    plain = [
        {
            "layers": [work.to_dict() for work in record["layers"]],
            "milliseconds": record["milliseconds"],
        }
        for record in records(12)
    ]
    first = plain[0]["layers"][0]
    assert LayerWork.from_dict(first).to_dict() == first
    one = kgp.DeviceProfile.fit(plain)
    other = kgp.DeviceProfile.fit(records(12))
    assert one.get_config() == other.get_config()


@pytest.mark.parametrize("milliseconds", [0, -1.0, float("nan")])
def test_a_time_that_is_not_positive_is_refused(milliseconds):
    bad = records(4)
    bad[2]["milliseconds"] = milliseconds
    with pytest.raises(ValueError, match="positive time. Received: millis"):
        kgp.DeviceProfile.fit(bad)


def test_too_few_records_are_refused():
    with pytest.raises(ValueError, match="three networks. Received: 2"):
        kgp.DeviceProfile.fit(records(2))


def test_a_saved_profile_is_the_same_when_loaded(tmp_path):
    TRUE.save(tmp_path / "device.json")
    loaded = kgp.DeviceProfile.load(tmp_path / "device.json")
    assert loaded.get_config() == TRUE.get_config()
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loaded)
    )
    assert again.get_config() == TRUE.get_config()


def test_inputs_are_read_in_the_block_of_outputs_unless_said():
    assert kgp.DeviceProfile({}, block=4).input_block == 4


def test_a_kind_that_was_not_measured_counts_like_the_most_similar():
    assert TRUE.factors("pointwise") == TRUE.factors("convolution")
    with pytest.raises(ValueError, match="no layer"):
        kgp.DeviceProfile({}).factors("dense")


@pytest.mark.parametrize(
    "runtime", ["tensorflow", "tensorflow-train", "litert"]
)
def test_measuring_leaves_the_model_as_it_is(runtime, capsys):
    model = grow(residual(6, image=(12, 12, 3)))
    structure, before = model.structure, model.get_weights()
    profile = kgp.DeviceProfile.measure(
        model, runtime=runtime, batch_size=2, seconds=1, verbose=0
    )
    assert capsys.readouterr().out == ""
    assert model.structure == structure
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert (profile.runtime, profile.batch_size) == (runtime, 2)
    assert profile.error > 0
    assert profile.milliseconds(model.untrained()) > 0


def test_measuring_tells_what_it_does(capsys):
    model = grow(conv_chain((4, 4)))
    kgp.DeviceProfile.measure(model, seconds=1, verbose=1)
    assert "median error" in capsys.readouterr().out


def test_an_unknown_runtime_is_refused():
    with pytest.raises(
        ValueError, match="'litert'.*Received: runtime='abacus'"
    ):
        kgp.DeviceProfile.measure(grow(conv_chain()), runtime="abacus")


def test_a_larger_network_takes_longer():
    small, large = network((4,), 8), network((64, 64, 64), 32)
    fast, slow = time_models([small, large], batch_size=4, rounds=3)
    assert 0 < fast < slow


def test_a_check_prints_predicted_beside_measured_times(capsys):
    profile = kgp.DeviceProfile(
        {"convolution": (3.0, 20.0, 0.0, 0.0)}, runtime="tensorflow"
    )
    models = {"full": network((64, 64, 64), 32), "small": network((4,), 8)}
    result = profile.check(models)
    for name, model in models.items():
        assert result[name]["predicted"] == profile.milliseconds(model)
    assert 0 < result["small"]["measured"] < result["full"]["measured"]
    head, first, second = capsys.readouterr().out.splitlines()
    assert head == "milliseconds with tensorflow, batch 1"
    assert first.startswith("full   predicted") and "(100.0%)" in first
    share = result["small"]["measured"] / result["full"]["measured"]
    assert second.endswith(f"({share:.1%})")
    profile.check(models, verbose=0)
    assert capsys.readouterr().out == ""


def test_a_profile_of_a_device_that_is_not_here_cannot_be_checked():
    with pytest.raises(ValueError, match="Received: runtime=''"):
        TRUE.check({"full": network((4,))})


def test_recurrent_networks_run_on_litert_as_in_keras():
    """Weights inside of loops must be constants in the file."""
    inputs = keras.Input((5,), dtype="int32")
    x = keras.layers.Embedding(9, 3)(inputs)
    x = keras.layers.LSTM(4, return_sequences=True)(x)
    x = keras.layers.GRU(4)(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    words = np.array([[3, 1, 4, 1, 5]], "int32")
    interpreter = runtimes._interpreter(runtimes.litert_file(model))
    interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]["index"]
    interpreter.set_tensor(place, words)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, model(words), rtol=1e-5, atol=1e-6)
