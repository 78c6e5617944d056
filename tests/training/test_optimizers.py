"""Any optimizer with per-variable state survives a change of shape."""

import keras
import numpy as np
import pytest

import keras_growprune as kgp
from tests.networks import assert_same_bits
from tests.networks import build_optimizer
from tests.networks import compile_model
from tests.networks import dense
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow

optimizers = keras.optimizers


def adam_w():
    optimizer = optimizers.AdamW(0.05, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def accumulating():
    return optimizers.Adam(0.05, gradient_accumulation_steps=3)


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(0.05, amsgrad=True, global_clipnorm=1.0),
    "adam_w": adam_w,
    "rmsprop": lambda: optimizers.RMSprop(0.05, momentum=0.9, centered=True),
    "adagrad": lambda: optimizers.Adagrad(0.05),
    "lion": lambda: optimizers.Lion(0.01),
    "nadam": lambda: optimizers.Nadam(0.05),
    "ftrl": lambda: optimizers.Ftrl(0.05),
    "average": lambda: optimizers.SGD(0.05, use_ema=True, ema_momentum=0.5),
    "accumulating": accumulating,
    "loss_scaling": lambda: optimizers.LossScaleOptimizer(
        optimizers.Adam(0.05), initial_scale=256.0
    ),
}


def plain_twin(model, optimizer):
    """The compact network with the same optimizer state."""
    twin = compile_model(model.compact(), optimizer)
    optimizer.build(twin.trainable_variables)
    for ours, theirs in zip(
        optimizer.variables, model.optimizer.variables, strict=True
    ):
        ours.assign(theirs)
    return twin


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_as_in_a_plain_network_of_that_shape(name):
    model = grow(dense((6, 5)))
    compile_model(model, OPTIMIZERS[name]())
    seed = dict(model.widths)
    fit(model, epochs=2, growth_epochs=5)
    assert model.widths != seed  # it was restructured
    twin = plain_twin(model, OPTIMIZERS[name]())
    x, y = examples(model, 16, seed=1)
    before = model.get_weights()
    for _ in range(3):
        model.train_on_batch(x, y)
        twin.train_on_batch(x, y)
    for old, ours, theirs in zip(
        before, model.weights, twin.weights, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
        assert np.abs(ours.numpy() - old).max() > 0
    for ours, theirs in zip(
        model.optimizer.variables, twin.optimizer.variables
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_what_is_left_out_of_weight_decay_stays_left_out():
    model = grow(dense((6, 5)))
    optimizer = optimizers.AdamW(0.0, weight_decay=0.5)
    compile_model(model, optimizer)
    optimizer.learning_rate = 0.1
    kept = model.layers[1].kernel
    optimizer.exclude_from_weight_decay(var_list=[kept])
    fit(model, epochs=2, growth_epochs=5)
    gradients = [np.zeros(v.shape, "float32") for v in model.trainable_weights]
    for slot in optimizer.variables[2:]:
        slot.assign(np.zeros(slot.shape))
    before = model.get_weights()
    optimizer.apply(gradients, model.trainable_weights)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    decayed = before[2] * (1 - 0.1 * 0.5)
    np.testing.assert_allclose(model.get_weights()[2], decayed, rtol=1e-5)


def test_averaged_weights_are_put_in_place_after_training():
    model = grow(dense((6, 5)))
    compile_model(model, optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))
    averages = []
    after = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: averages.append(
            [v.numpy() for v in model.optimizer._model_variables_moving_average]
        )
    )
    fit(model, epochs=3, callbacks=[after])
    assert_same_bits(averages[-1], model.trainable_weights)


def test_an_optimizer_with_factored_state_is_refused_by_name():
    model = grow(dense((6, 5)))
    compile_model(model, "adafactor")
    before = model.get_weights()
    with pytest.raises(ValueError, match="optimizer=Adafactor"):
        fit(model, epochs=2)
    assert_same_bits(before, model.weights)
    assert model.ledger.epochs == []


def test_a_factored_optimizer_inside_loss_scaling_is_refused_too():
    model = grow(dense((6, 5)))
    inner = optimizers.Adafactor()
    compile_model(model, optimizers.LossScaleOptimizer(inner))
    with pytest.raises(ValueError, match="optimizer=Adafactor"):
        fit(model, epochs=2)


@pytest.mark.parametrize("weights,logits", [(0.0, 1.0), (0.1, 0.0)])
def test_the_gate_optimizer_alone_trains_the_logits(weights, logits):
    model = grow(dense((6, 5)), rule=kgp.growth.PaperRule(lambda_base=9.0))
    model.compile(
        optimizers.SGD(weights),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        gate_optimizer=optimizers.SGD(logits),
    )
    gate = model._growth.network.gates.unit_gate
    before = gate.logits.numpy(), model.layers[1].kernel.numpy()
    fit(model, epochs=1, growth_epochs=9)
    after = gate.logits.numpy(), model.layers[1].kernel.numpy()
    assert (before[0] == after[0]).all() == (logits == 0)
    assert (before[1] == after[1]).all() == (weights == 0)


def test_without_a_gate_optimizer_the_models_own_trains_the_logits():
    model = grow(dense((6, 5)), rule=kgp.growth.PaperRule(lambda_base=9.0))
    build_optimizer(model, optimizers.SGD(1.0))
    before = model._growth.network.gates.unit_gate.logits.numpy()
    fit(model, epochs=1, growth_epochs=9)
    assert (
        model._growth.network.gates.unit_gate.logits.numpy() != before
    ).any()
