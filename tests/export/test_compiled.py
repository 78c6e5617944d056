import keras
import numpy as np
import pytest

import keras_growprune as kgp
from tests.networks import residual

OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.CosineDecay(0.1, 40), momentum=0.9
    ),
    "adam, clipped, decayed": lambda: keras.optimizers.AdamW(
        0.01, clipnorm=0.5, weight_decay=0.01
    ),
    "average of weights": lambda: keras.optimizers.Adam(0.01, use_ema=True),
    "scaled loss": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(0.01), initial_scale=8.0
    ),
}


def data(count=64):
    random = np.random.default_rng(0)
    x = random.normal(size=(count, 6, 6, 2)).astype("float32")
    return x, random.integers(3, size=count)


def trained(optimizer="adam", **compile_arguments):
    model = kgp.GrowPruneModel(*residual(6), kgp.Budget(flops=0.5), seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **compile_arguments)
    model.fit(*data(), epochs=4, verbose=0)
    return model


@pytest.mark.sampled(2)
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_training_goes_on_in_the_compact_network(optimizer):
    model = trained(optimizer())
    plain = model.compact(compiled=True)
    assert not isinstance(plain, kgp.GrowPruneModel)
    assert int(plain.optimizer.iterations) == int(model.optimizer.iterations)
    x, y = data()
    model.reset_metrics()
    for _ in range(3):
        losses = [each.train_on_batch(x, y) for each in (model, plain)]
        np.testing.assert_allclose(*losses, rtol=2e-5)
    # By statistics of the batch: a growing model averages them in another way.
    outputs = [each(x, training=True) for each in (model, plain)]
    np.testing.assert_allclose(*outputs, atol=1e-4)


def test_metrics_and_loss_are_those_of_the_model_and_count_anew():
    model = trained(
        metrics=[keras.metrics.SparseTopKCategoricalAccuracy(2, name="best")],
        weighted_metrics=["accuracy"],
    )
    plain = model.compact(compiled=True)
    names = [metric.name for metric in plain.metrics]
    x, y = data()
    assert plain.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(
        model.evaluate(x, y, verbose=0, return_dict=True), rel=1e-5
    )
    assert names == [metric.name for metric in model.metrics]
    ours = {id(variable) for m in model.metrics for variable in m.variables}
    theirs = {id(variable) for m in plain.metrics for variable in m.variables}
    assert not ours & theirs


def test_by_default_nothing_of_compile_goes_along():
    model = trained()
    plain = model.compact()
    assert not plain.compiled
    assert {layer.name for layer in plain.layers} <= {
        layer.name for layer in model.layers
    }


def test_what_is_not_compiled_cannot_be_copied_so():
    model = kgp.GrowPruneModel(*residual(), kgp.Budget(flops=0.5))
    with pytest.raises(ValueError, match=r"not compiled.*`compact\(\)`"):
        model.compact(compiled=True)


def test_an_optimizer_without_a_config_is_told():
    class Schedule(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1

    model = trained(keras.optimizers.SGD(Schedule()))
    with pytest.raises(ValueError, match="SGD of its own.*get_config"):
        model.compact(compiled=True)
    assert not model.compact().compiled


def test_a_compiled_compact_network_is_loaded_and_trains_on(tmp_path):
    model = trained()
    plain = model.compact(compiled=True)
    plain.save(tmp_path / "plain.keras")
    again = keras.models.load_model(tmp_path / "plain.keras")
    losses = [each.train_on_batch(*data()) for each in (plain, again)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
