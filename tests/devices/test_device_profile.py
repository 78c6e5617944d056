import logging

import keras
import numpy as np
import pytest
from keras import layers

import keras_growprune as kgp
from keras_growprune.devices import LayerWork
from keras_growprune.devices import litert_file
from keras_growprune.devices import time_files
from keras_growprune.devices import time_models
from keras_growprune.export import open_exported
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


def dense(**changes):
    work = dict(kind="dense", times=1, channels=[3, 5], outputs=5)
    return {**work, **changes}


def test_records_may_have_the_networks_that_were_timed():
    networks = [network((width, 9)) for width in (4, 8, 12, 20, 30)]
    times = [TRUE.milliseconds(model) for model in networks]
    one, other = (
        kgp.DeviceProfile.fit(
            [
                {"layers": layers_of(model), "milliseconds": time}
                for model, time in zip(networks, times)
            ]
        )
        for layers_of in (kgp.devices.work_of, lambda model: model)
    )
    assert one.get_config() == other.get_config()


@pytest.mark.parametrize(
    "record, message",
    [
        ("a row", "must be a dict with `layers`"),
        ({"layers": [dense()]}, "`milliseconds`. Received: record 1"),
        (dict(layers=[], milliseconds=1), "at least one layer .*record 1"),
        (dict(layers=["conv"], milliseconds=1), "'conv' in record 1"),
        *[
            (dict(layers=[dense(**changes)], milliseconds=1), message)
            for changes, message in [
                (dict(kind="conv"), "record 1 must be of a kind.*'conv'"),
                (dict(times=float("nan")), "positive `times`"),
                (dict(times="9"), "positive `times`"),
                (dict(outputs=0), "positive `times` and `outputs`"),
                (dict(kind="pointwise", channels=[3]), "nels`, 2 of them"),
                (dict(channels=[3, 5, 7]), "`channels`, 1 or 2 of them"),
                (dict(channels=[3, -5]), "positive integers in `channels`"),
                (dict(kind="depthwise"), "`channels`, 1 of them"),
                (dict(name="a"), "a dict of its attributes"),
            ]
        ],
    ],
)
def test_a_record_that_says_nothing_is_refused_by_number(record, message):
    with pytest.raises(ValueError, match=message):
        kgp.DeviceProfile.fit([records(1)[0], record])


def test_records_must_be_a_list():
    for wrong in (None, "times.csv", {}):
        with pytest.raises(ValueError, match="must be a list of dicts"):
            kgp.DeviceProfile.fit(wrong)


def test_single_layers_are_fitted_with_a_warning():
    single = [r for r in records(60) if len(r["layers"]) == 2]
    single = [{**record, "layers": record["layers"][:1]} for record in single]
    with pytest.warns(UserWarning, match="single layers"):
        kgp.DeviceProfile.fit(single)


@pytest.mark.parametrize(
    "milliseconds", [0, -1.0, float("nan"), float("inf"), True, "1.0", None]
)
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
    profile = kgp.DeviceProfile({"dense": (1, 0, 0, 0)}, block=4)
    assert profile.input_block == 4


def test_a_kind_that_was_not_measured_counts_like_the_most_similar():
    assert TRUE.factors("pointwise") == TRUE.factors("convolution")
    with pytest.raises(ValueError, match="Received: kind='conv'"):
        TRUE.factors("conv")


DENSE = {"dense": (1.0, 0.0, 0.0, 0.0)}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(layers={}), "must be a dict"),
        (dict(layers=[]), "must be a dict"),
        (dict(layers={"conv": (1, 0, 0, 0)}), "kind among.*Received: 'conv'"),
        (dict(layers={"dense": (1, 0, 0)}), "four factors"),
        (dict(layers={"dense": 1}), "four factors"),
        (dict(layers={"dense": (1, 0, 0, -1)}), "not negative"),
        (dict(layers={"dense": (1, 0, 0, float("nan"))}), "finite"),
        (dict(layers=DENSE, block=0), "Received: block=0"),
        (dict(layers=DENSE, block=2.5), "Received: block=2.5"),
        (dict(layers=DENSE, input_block=0), "Received: input_block=0"),
        (dict(layers=DENSE, batch_size=-1), "Received: batch_size=-1"),
        (dict(layers=DENSE, constant=float("nan")), "constant=nan"),
        (dict(layers=DENSE, constant=-0.1), "constant=-0.1"),
        (dict(layers=DENSE, error="5 %"), "error='5 %'"),
    ],
)
def test_a_profile_of_nonsense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        kgp.DeviceProfile(**arguments)


def test_an_error_of_numpy_can_be_saved(tmp_path):
    profile = kgp.DeviceProfile(DENSE, error=np.float32(0.25))
    profile.save(tmp_path / "device.json")
    assert kgp.DeviceProfile.load(tmp_path / "device.json").error == 0.25
    assert [path.name for path in tmp_path.iterdir()] == ["device.json"]


@pytest.mark.parametrize(
    "content", ["", "no JSON", "[1]", '{"a": 1}', '{"layers": {}}']
)
def test_a_file_of_something_else_is_named(content, tmp_path):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(
        ValueError, match="that `DeviceProfile.save.*other.json"
    ):
        kgp.DeviceProfile.load(path)


@pytest.mark.sampled(3)
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


@pytest.mark.slow
def test_what_is_trained_afterwards_does_not_depend_on_measuring():
    drawn = []
    for measures in (False, True):
        model = grow(conv_chain((4, 4)))
        full = model.compact()
        keras.utils.set_random_seed(7)
        if measures:
            profile = kgp.DeviceProfile.measure(
                model, "tensorflow-train", seconds=1, verbose=0
            )
            profile.check({"full": full, "grows": model}, verbose=0)
        drawn.append(keras.layers.Dense(3))
        drawn[-1].build((None, 4))
    np.testing.assert_array_equal(drawn[0].kernel, drawn[1].kernel)


def test_networks_with_attention_are_measured():
    x = inputs = keras.Input((6, 8))
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(x, x)])
    outputs = layers.Dense(3)(layers.LSTM(5)(layers.Dense(9)(x)))
    model = kgp.growable(keras.Model(inputs, outputs), kgp.Budget(flops=0.9))
    profile = kgp.DeviceProfile.measure(model, seconds=1, verbose=0)
    assert profile.milliseconds(model.compact()) > 0


@pytest.mark.parametrize("runtime", ["litert", "tensorflow"])
def test_measuring_and_checking_log_nothing(runtime, caplog):
    model = grow(conv_chain((4, 6)))
    level = logging.getLogger("absl").level
    with caplog.at_level(logging.INFO):
        profile = kgp.DeviceProfile.measure(
            model, runtime, seconds=0.5, verbose=0
        )
        profile.check({"full": model.untrained()}, verbose=0)
    assert [x.getMessage() for x in caplog.records] == []
    assert logging.getLogger("absl").level == level


def test_measuring_tells_what_it_does(capsys):
    model = grow(conv_chain((4, 4)))
    kgp.DeviceProfile.measure(model, seconds=1, verbose=1)
    assert "median error" in capsys.readouterr().out


@pytest.mark.parametrize("runtime", ["abacus", None, ["litert"]])
def test_an_unknown_runtime_is_refused(runtime):
    with pytest.raises(ValueError, match="'litert'.*Received: runtime=.*"):
        kgp.DeviceProfile.measure(grow(conv_chain()), runtime=runtime)


def test_only_growing_models_are_measured():
    for wrong in (network((4,)), None):
        with pytest.raises(ValueError, match="must be a `GrowPruneModel`"):
            kgp.DeviceProfile.measure(wrong)


@pytest.mark.parametrize(
    "arguments",
    [
        dict(batch_size=0),
        dict(batch_size="8"),
        dict(seconds=0),
        dict(seconds="x"),
        dict(seconds=float("nan")),
    ],
)
def test_measuring_takes_positive_numbers(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value!r}"):
        kgp.DeviceProfile.measure(
            grow(conv_chain()), "litert", verbose=0, **arguments
        )


def test_a_fixed_batch_size_is_told():
    inputs = keras.Input(batch_shape=(4, 6))
    model = keras.Model(inputs, layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match="Give `batch_size=4`"):
        time_models([model], batch_size=1)
    assert time_models([model], batch_size=4)[0] > 0


def test_what_litert_cannot_convert_is_told_by_name():
    inputs = keras.Input((4,))
    outputs = keras.ops.erfinv(layers.Dense(4)(inputs))
    model = keras.Model(inputs, outputs, name="inverse")
    with pytest.raises(ValueError, match="cannot convert network `inverse`"):
        time_models([model], "litert")


def litert_answer(model, x, tmp_path):
    path = tmp_path / "network.tflite"
    path.write_bytes(litert_file(model))
    file = open_exported(path)
    (name,) = file.inputs
    (answer,) = file.run({name: x}).values()
    return answer


def test_networks_in_mixed_precision_run_on_litert_in_float32(tmp_path):
    inputs = keras.Input((6, 6, 2))
    with_half = dict(dtype="mixed_float16")
    x = layers.Conv2D(3, 3, activation="relu", **with_half)(inputs)
    x = layers.BatchNormalization(**with_half)(x)
    x = layers.GlobalAveragePooling2D(**with_half)(x)
    model = keras.Model(inputs, layers.Dense(4, dtype="float32")(x))
    image = np.random.default_rng(0).random((1, 6, 6, 2), "float32")
    found = litert_answer(model, image, tmp_path)
    np.testing.assert_allclose(found, model(image), rtol=1e-2, atol=1e-3)
    assert model.layers[1].compute_dtype == "float16"
    growing = grow(residual(6, image=(12, 12, 3)))
    assert time_models([model, growing.untrained()], "litert")[0] > 0


def test_the_time_of_a_sequential_model_is_that_of_its_layers():
    model = network((4, 9))
    twin = keras.Sequential([keras.Input((16, 16, 3)), *model.layers[1:]])
    assert TRUE.milliseconds(twin) == TRUE.milliseconds(model)
    with pytest.raises(ValueError, match="functional model, or a Sequential"):
        TRUE.milliseconds(keras.Sequential([layers.Dense(2)]))


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
    assert head == (
        "milliseconds with tensorflow, batch 1, measured on this machine"
    )
    assert first.startswith("full   predicted") and "(100.0%)" in first
    share = result["small"]["measured"] / result["full"]["measured"]
    assert second.endswith(f"({share:.1%})")
    profile.check(models, verbose=0)
    assert capsys.readouterr().out == ""


def test_a_check_times_exported_files_beside_their_networks(tmp_path, capsys):
    profile = kgp.DeviceProfile(
        {"convolution": (3.0, 20.0, 0.0, 0.0)}, runtime="tensorflow"
    )
    models = {"full": network((64, 64, 64), 32), "small": network((4,), 8)}
    files = {}
    for name, model in models.items():
        files[name] = tmp_path / f"{name}.tflite"
        files[name].write_bytes(litert_file(model))
    result = profile.check(models, files={"LiteRT": files})
    assert 0 < result["small"]["LiteRT"] < result["full"]["LiteRT"]
    _, first, second = capsys.readouterr().out.splitlines()
    share = result["small"]["LiteRT"] / result["full"]["LiteRT"]
    assert first.endswith("(100.0%)") and second.endswith(f"({share:.1%})")
    assert "LiteRT" in first and "LiteRT" in second
    only = {"LiteRT": {"small": files["small"]}}
    result = profile.check(models, files=only, verbose=1)
    assert "LiteRT" not in result["full"] and result["small"]["LiteRT"] > 0
    assert (
        capsys.readouterr()
        .out.splitlines()[2]
        .endswith(f"LiteRT {result['small']['LiteRT']:.3f}")
    )


@pytest.mark.parametrize(
    "files, text",
    [
        (["full.tflite"], "must map titles"),
        (
            {"LiteRT": {"fulll": "full.tflite"}},
            r"networks are \['full'\].*fulll",
        ),
        ({"measured": {"full": "full.tflite"}}, "must differ from"),
        ({"LiteRT": {"full": __file__}}, r"\.tflite.*test_device_profile"),
    ],
)
def test_files_of_other_networks_are_refused(files, text):
    with pytest.raises(ValueError, match=text):
        TRUE.check({"full": network((4,))}, files=files)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_files_are_timed_with_batches_that_they_take(batch_size, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(litert_file(network((4,)), batch_size))
    assert min(time_files([path, path], batch_size)) > 0
    with pytest.raises(ValueError, match="take batches of 2.*Received"):
        time_files([path], 2)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "runtime", ["tensorflow", "tensorflow-train", "litert"]
)
def test_a_check_leaves_trained_networks_as_they_are(runtime):
    inputs, outputs = residual(6, image=(12, 12, 3))
    model = grow((inputs, outputs))
    plain = model.compact()
    x = np.random.default_rng(0).random((8, 12, 12, 3), "float32")
    y = np.arange(8) % plain.output_shape[-1]
    for each in (model, plain):  # with a metric that wants class numbers
        each.compile(
            keras.optimizers.SGD(0.1),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        each.fit(x, y, epochs=1, verbose=0)
    before = [each.get_weights() for each in (model, plain)]
    optimizers = model.optimizer, plain.optimizer
    evaluated = plain.evaluate(x, y, verbose=0)
    profile = kgp.DeviceProfile(
        {"convolution": (3.0, 20.0, 0.0, 0.0)}, runtime=runtime, batch_size=4
    )
    models = {"plain": plain}
    if runtime != "litert":
        models["grows"] = model
    result = profile.check(models, verbose=0)
    assert min(times["measured"] for times in result.values()) > 0
    for each, weights in zip((model, plain), before):
        for old, new in zip(weights, each.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    assert (model.optimizer, plain.optimizer) == optimizers
    assert plain.evaluate(x, y, verbose=0) == evaluated


@pytest.mark.parametrize("models", [{}, [], None])
def test_a_check_takes_models_by_name(models):
    with pytest.raises(ValueError, match="must be a dict of models by name"):
        TRUE.check(models)


def test_a_profile_of_a_device_that_is_not_here_cannot_be_checked():
    with pytest.raises(ValueError, match="Received: runtime=''"):
        TRUE.check({"full": network((4,))})


def test_recurrent_networks_run_on_litert_as_in_keras(tmp_path):
    """Weights inside of loops must be constants in the file."""
    inputs = keras.Input((5,), dtype="int32")
    x = keras.layers.Embedding(9, 3)(inputs)
    x = keras.layers.LSTM(4, return_sequences=True)(x)
    x = keras.layers.GRU(4)(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    words = np.array([[3, 1, 4, 1, 5]], "int32")
    found = litert_answer(model, words, tmp_path)
    np.testing.assert_allclose(found, model(words), rtol=1e-5, atol=1e-6)
