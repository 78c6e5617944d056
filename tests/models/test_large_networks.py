"""Networks for large images: what is published of them, and that they grow."""

import keras
import numpy as np
import pytest

import keras_growprune as kgp
from keras_growprune import models
from tests import networks

SMALL = {
    "bottleneck_resnet": dict(input_shape=(32, 32, 3), classes=3, width=0.125),
    "mobilenet": dict(input_shape=(32, 32, 3), classes=3, width=0.125),
    "deeplab_v3": dict(
        input_shape=(33, 33, 3), classes=3, width=0.0625, filters=64
    ),
    "unet": dict(input_shape=(16, 16, 3), classes=3, filters=4, levels=2),
}
LARGE = {
    "resnet_50": lambda: models.bottleneck_resnet(),
    "mobilenet": lambda: models.mobilenet(),
    "deeplab_v3_resnet_101": lambda: models.deeplab_v3(depth=101),
}


def small(name, **kwargs):
    return getattr(models, name)(**SMALL[name], **kwargs)


def relative_error(expected, found):
    expected, found = np.asarray(expected), np.asarray(found)
    return np.max(np.abs(expected - found)) / np.max(np.abs(expected))


def images(model, count=2):
    random = np.random.default_rng(0)
    return random.normal(size=(count, *model.input_shape[1:])).astype("float32")


def spread_statistics(model, random):
    """Norms as after training, so that an error would show.

    Variances are large, or sums would grow from block to block.
    """
    for variable in model.variables:
        if variable.name == "gamma":
            variable.assign(random.uniform(0.8, 1.2, variable.shape))
        elif variable.name == "moving_variance":
            variable.assign(random.uniform(2.0, 4.0, variable.shape))
        elif variable.name in ("beta", "moving_mean", "bias"):
            variable.assign(random.normal(0, 0.1, variable.shape))


@pytest.mark.parametrize("name", SMALL)
def test_growable_network_computes_what_its_plain_twin_computes(name):
    growable = keras.Model(*small(name))
    plain = keras.Model(*small(name, growable=False))
    growable.set_weights(plain.get_weights())
    x = images(plain)
    np.testing.assert_allclose(growable(x), plain(x), atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_plain_twin_has_plain_layers_only(name):
    model = keras.Model(*small(name, growable=False))
    modules = {type(layer).__module__ for layer in model.layers}
    assert all(module.startswith("keras.") for module in modules)


@pytest.mark.parametrize("name", SMALL)
def test_a_training_step_and_a_change_leave_the_compact_network_exact(name):
    model = kgp.GrowPruneModel(*small(name), kgp.Budget(flops=0.5), seed=0)
    networks.compile_model(model)
    x = images(model, 4)
    labels = np.zeros((4, *model.output_shape[1:-1]), int)
    history = model.fit(x, labels, batch_size=2, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    random = np.random.default_rng(1)
    model.restructure(networks.random_structure(model, random))
    spread_statistics(model, random)
    error = relative_error(model(x), model.compact()(x))
    assert error <= 1e-4


@pytest.mark.parametrize(
    "name, shape",
    [("unet", (16, 16)), ("deeplab_v3", (33, 33)), ("deeplab_v3", (47, 40))],
)
def test_every_pixel_has_logits(name, shape):
    kwargs = {**SMALL[name], "input_shape": (*shape, 3)}
    _, outputs = getattr(models, name)(**kwargs)
    assert outputs.shape == (None, *shape, 3)


@pytest.mark.parametrize("name", SMALL)
def test_logits_have_32_bits_under_mixed_precision(name):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        _, outputs = small(name)
    finally:
        keras.config.set_dtype_policy("float32")
    assert outputs.dtype == "float32"


@pytest.mark.parametrize(
    "depth, flops, params", [(50, 4.09e9, 25.557e6), (101, 7.80e9, 44.549e6)]
)
def test_bottleneck_resnets_have_the_published_size(depth, flops, params):
    network = models.bottleneck_resnet(depth=depth, growable=False)
    model = keras.Model(*network)
    assert kgp.count_flops(model) == pytest.approx(flops, rel=0.005)
    trained = sum(np.prod(w.shape) for w in model.trainable_weights)
    assert trained == pytest.approx(params, rel=1e-4)


@pytest.mark.parametrize(
    "width, flops, params", [(1.0, 569e6, 4.25e6), (0.5, 149e6, 1.34e6)]
)
def test_mobilenet_has_the_published_size(width, flops, params):
    model = keras.Model(*models.mobilenet(width=width, growable=False))
    assert kgp.count_flops(model) == pytest.approx(flops, rel=0.005)
    assert model.count_params() == pytest.approx(params, rel=0.005)


def test_all_blocks_of_resnet_50_but_the_first_of_a_stage_may_leave():
    model = kgp.GrowPruneModel(
        *small("bottleneck_resnet"), kgp.Budget(flops=0.5)
    )
    assert len(model.structure.gates) == 16 - 4
    # The stem, four stages, two groups inside each block.
    assert len(model.groups) == 1 + 4 + 2 * 16


def test_dilation_takes_the_place_of_the_last_stride():
    def convolutions(stride):
        network = small("deeplab_v3", output_stride=stride, growable=False)
        return [
            (layer.strides[0], layer.dilation_rate[0])
            for layer in keras.Model(*network).layers
            if isinstance(layer, keras.layers.Conv2D)
            and layer.kernel_size == (3, 3)
        ]

    body = 16
    at_32, at_16, at_8 = (convolutions(stride) for stride in (32, 16, 8))
    # Stages of 3, 4, 6 and 3 blocks; the first of a stage has the stride.
    assert [s for s, _ in at_32[:body]].count(2) == 3
    assert at_16[13] == (1, 1) and at_16[14:16] == [(1, 2)] * 2
    assert at_8[7] == (1, 1) and at_8[8:13] == [(1, 2)] * 5
    assert at_8[13] == (1, 2) and at_8[14:16] == [(1, 4)] * 2
    # The pyramid sees as many pixels of the image in any case.
    assert [d for _, d in at_16[body:]] == [6, 12, 18]
    assert [d for _, d in at_8[body:]] == [12, 24, 36]
    assert [d for _, d in at_32[body:]] == [3, 6, 9]


def test_a_grown_classifier_is_the_body_of_a_segmentation_network():
    classifier = kgp.GrowPruneModel(
        *small("bottleneck_resnet"), kgp.Budget(flops=0.5), seed=0
    )
    random = np.random.default_rng(0)
    classifier.restructure(networks.random_structure(classifier, random))
    spread_statistics(classifier, random)
    body = classifier.compact()
    network = models.deeplab_v3(
        (32, 32, 3), 3, backbone=body, output_stride=32, growable=False
    )
    model = keras.Model(*network)
    features = [
        [x.output for x in net.layers if isinstance(x, keras.layers.Add)][-1]
        for net in (body, model)
    ]
    x = images(body)
    expected = keras.Model(body.input, features[0])(x)
    found = keras.Model(model.input, features[1])(x)
    np.testing.assert_allclose(expected, found, rtol=1e-5)
    grown = kgp.growable(model, kgp.Budget(flops=0.5), start="weights")
    np.testing.assert_allclose(grown(x), model(x), atol=1e-4)


def body_of(*layers, shape=(64, 64, 3), head=True):
    """A classifier of convolutions with strides, then these layers."""
    inputs = x = keras.Input(shape)
    for _ in range(4):
        x = convolution(strides=2)(x)
    for layer in layers:
        x = layer(x)
    if head:
        x = keras.layers.GlobalAveragePooling2D()(x)
        x = keras.layers.Dense(3)(x)
    return keras.Model(inputs, x)


def convolution(**arguments):
    return keras.layers.Conv2D(4, 3, padding="same", **arguments)


def squeeze_and_excitation(x):
    y = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = keras.layers.Conv2D(4, 1, activation="sigmoid")(y)
    return keras.layers.Multiply()([x, y])


def copied(body, **arguments):
    """Layers of a segmentation network that come from a body."""
    network = models.deeplab_v3(
        (65, 65, 3), 3, backbone=body, filters=4, growable=False, **arguments
    )
    return [
        layer
        for layer in keras.Model(*network).layers
        if layer.name.startswith("backbone_")
    ]


def with_models_inside():
    """The same of models; the squeeze-and-excitation comes last."""
    inputs = keras.Input((4, 4, 4))
    weighing = keras.Model(inputs, squeeze_and_excitation(inputs))
    pooling = keras.layers.GlobalAveragePooling2D()
    return keras.Sequential(
        [keras.Input((64, 64, 3)), body_of(head=False), weighing, pooling]
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: body_of(squeeze_and_excitation, convolution()),
        lambda: body_of(squeeze_and_excitation, convolution(), head=False),
        with_models_inside,
    ],
)
def test_a_body_does_not_end_where_a_pooling_weighs_channels(make):
    body = make()
    weights = sum(
        layer.count_params()
        for layer in body.layers
        if not isinstance(layer, keras.layers.Dense)
    )
    assert sum(layer.count_params() for layer in copied(body)) == weights


def test_sums_by_an_operator_are_copied():
    first, second = convolution(), convolution()
    layers = copied(body_of(lambda x: first(x) + second(x)))
    assert len(layers) == 6


def test_a_dilation_of_its_own_is_multiplied():
    body = body_of(
        convolution(strides=2), convolution(dilation_rate=(3, 1)), convolution()
    )
    rates = [layer.dilation_rate for layer in copied(body)]
    assert rates[4:] == [(1, 1), (6, 2), (2, 2)]
    assert [layer.strides for layer in copied(body)[4:]] == [(1, 1)] * 3


def test_a_body_that_was_loaded_has_no_name_of_the_new_layers(tmp_path):
    body = body_of(keras.layers.BatchNormalization())
    body.save(tmp_path / "body.keras")
    keras.backend.clear_session()  # names are counted anew
    body = keras.models.load_model(tmp_path / "body.keras")
    names = [layer.name for layer in copied(body)]
    assert len(names) == 5 == len(set(names))


def test_a_body_computes_in_the_present_precision():
    body = body_of()
    keras.config.set_dtype_policy("mixed_bfloat16")
    layers = copied(body)
    assert {layer.compute_dtype for layer in layers} == {"bfloat16"}
    assert {layer.variable_dtype for layer in layers} == {"float32"}


@pytest.mark.slow
def test_a_mobilenet_with_dilation_learns_without_new_traces():
    body = keras.Model(*small("mobilenet", growable=False))
    network = keras.Model(
        *models.deeplab_v3(
            (33, 33, 3), 3, backbone=body, filters=8, growable=False
        )
    )
    model = kgp.growable(network, kgp.Budget(flops=0.5), start="weights")
    assert not model.coupling_report().traced_anew
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    x = images(network, 4)
    y = np.random.default_rng(0).integers(0, 3, (4, 33, 33))
    model.fit(x, y, batch_size=2, epochs=4, verbose=0)
    assert model.settled
    np.testing.assert_allclose(model(x), model.compact()(x), atol=1e-4)


def test_an_application_of_keras_is_a_body_too():
    body = keras.applications.ResNet50(
        weights=None, input_shape=(64, 64, 3), classes=10
    )
    inputs, outputs = models.deeplab_v3(
        (65, 65, 3), 3, backbone=body, filters=8, growable=False
    )
    assert outputs.shape == (None, 65, 65, 3)


def growing_classifier():
    return kgp.GrowPruneModel(*small("mobilenet"), kgp.Budget(flops=0.5))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: models.bottleneck_resnet(depth=20), "Received: depth=20"),
        (lambda: models.mobilenet(width=0), "Received: width=0"),
        (lambda: models.deeplab_v3(output_stride=4), "output_stride=4"),
        (lambda: models.deeplab_v3((None, None, 3)), "fixed size"),
        (lambda: models.unet((130, 128, 3)), "multiples of 16"),
        (lambda: models.unet((None, 128, 3)), "fixed size"),
        (lambda: models.unet(levels=0), "Received: levels=0"),
        (lambda: models.unet(levels=True), "Received: levels=True"),
        (lambda: models.unet(filters=-16), "Received: filters=-16"),
        (lambda: models.unet(32), "Received: input_shape=32"),
        (lambda: models.deeplab_v3(filters=0), "Received: filters=0"),
        (lambda: models.deeplab_v3(classes="a"), "Received: classes='a'"),
        (lambda: models.mobilenet(classes=0), "Received: classes=0"),
        (lambda: models.bottleneck_resnet(depth=[50]), r"depth=\[50\]"),
        (lambda: copied("body.keras"), "Load a file"),
        (lambda: copied(keras.Sequential([convolution()])), "Sequential"),
        (lambda: copied(body_of(shape=(64, 64, 1))), r"\(64, 64, 1\)"),
        (lambda: copied(growing_classifier()), r"`compact\(\)`"),
        (lambda: copied(body_of(convolution(strides=(2, 1)))), "as in width"),
        (lambda: copied(body_of(keras.layers.UpSampling2D())), "coarser"),
        (
            lambda: copied(body_of(keras.layers.Flatten(), head=False)),
            "Cut it off",
        ),
        (
            lambda: copied(
                keras.applications.ResNet50V2(
                    weights=None, input_shape=(64, 64, 3)
                )
            ),
            "incompatible shapes",
        ),
        (
            lambda: models.deeplab_v3(
                (65, 65, 3),
                backbone=keras.applications.MobileNet(weights=None),
            ),
            "padding='same'",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_at_full_size_a_random_structure_is_compacted_exactly(name):
    model = kgp.GrowPruneModel(*LARGE[name](), kgp.Budget(flops=0.5), seed=0)
    random = np.random.default_rng(2)
    model.restructure(networks.random_structure(model, random))
    spread_statistics(model, random)
    x = images(model, 1)
    assert relative_error(model(x), model.compact()(x)) <= 1e-4
