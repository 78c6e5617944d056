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
from tests.networks import residual

optimizers = keras.optimizers


def adam_w():
    optimizer = optimizers.AdamW(0.05, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def accumulating():
    return optimizers.Adam(0.05, gradient_accumulation_steps=3)


class NeedsArguments(optimizers.Adam):
    """Its configuration does not know what its constructor asks for."""

    def __init__(self, step, amsgrad):
        super().__init__(step, amsgrad=amsgrad)


class Lookahead(optimizers.Optimizer):
    """An optimizer of a user's own with another one inside."""

    def __init__(self, inner, pull=0.5):
        super().__init__(learning_rate=0.0)
        self.fast, self.pull = inner, pull

    def build(self, variables):
        if self.built:
            return
        self.fast.build(variables)
        super().build(variables)
        self.slow = [
            self.add_variable_from_reference(v, "slow") for v in variables
        ]
        for slow, variable in zip(self.slow, variables):
            slow.assign(variable)

    def apply(self, grads, trainable_variables=None):
        self.fast.apply(grads, trainable_variables)
        for variable in trainable_variables:
            slow = self.slow[self._get_variable_index(variable)]
            slow.assign_add(self.pull * (variable - slow))
            variable.assign(slow)

    @property
    def variables(self):
        return [*super().variables, *self.fast.variables]

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.fast)
        return {"inner": inner, "pull": self.pull}

    @classmethod
    def from_config(cls, config):
        inner = keras.saving.deserialize_keras_object(config["inner"])
        return cls(inner, config["pull"])


def several():
    chosen = {".*bias": optimizers.SGD(0.05, momentum=0.9)}
    default = optimizers.Adam(0.05)
    return optimizers.MultiOptimizer(optimizers.OptimizerMap(default, chosen))


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
    "needs_arguments": lambda: NeedsArguments(0.05, amsgrad=True),
    "lookahead": lambda: Lookahead(optimizers.RMSprop(0.05)),
}
if hasattr(optimizers, "ScheduleFreeAdamW"):  # not in older versions
    OPTIMIZERS["schedule_free"] = lambda: optimizers.ScheduleFreeAdamW(0.05)
if hasattr(optimizers, "MultiOptimizer"):
    OPTIMIZERS["several"] = several


def plain_twin(model, optimizer):
    """The compact network with the same optimizer state."""
    twin = compile_model(model.compact(), optimizer)
    optimizer.build(twin.trainable_variables)
    for ours, theirs in zip(
        optimizer.variables, model.optimizer.variables, strict=True
    ):
        ours.assign(theirs)
    return twin


@pytest.mark.sampled(3)
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


COPYING = [
    name for name in OPTIMIZERS if name in ("lookahead", "schedule_free")
]


@pytest.mark.parametrize("name", COPYING)
def test_a_copy_of_a_weight_is_one_for_newcomers_too(name):
    model = grow(dense((6, 5)))
    optimizer = build_optimizer(model, OPTIMIZERS[name]())
    slots = optimizer.slow if name == "lookahead" else optimizer._momentums
    everything = np.ones_like(model.structure.units)
    assert not model.structure.units.all()
    model.restructure(kgp.Structure(everything, model.structure.gates))
    assert_same_bits([s.numpy() for s in slots], model.trainable_variables)


def test_one_trace_serves_an_optimizer_that_needs_arguments():
    model = grow(dense((6, 5)))
    build_optimizer(model, NeedsArguments(0.05, amsgrad=True))
    fit(model, epochs=4)
    assert not model.ledger.traced_anew


@pytest.mark.skipif(
    not hasattr(optimizers, "MultiOptimizer"), reason="not in this version"
)
def test_several_optimizers_train_while_layers_are_off():
    model = grow(residual())
    build_optimizer(model, several())
    off = np.zeros_like(model.structure.gates)
    model.restructure(kgp.Structure(model.structure.units, off))
    before = model.get_weights()
    model.train_on_batch(*examples(model, 16))
    moved = [np.any(a != b) for a, b in zip(before, model.get_weights())]
    assert any(moved)


def test_state_that_starts_unlike_constants_or_copies_is_refused():
    class Odd(optimizers.SGD):
        def build(self, variables):
            super().build(variables)
            self.odd = [
                self.add_variable_from_reference(v, "odd") for v in variables
            ]
            for odd, variable in zip(self.odd, variables):
                odd.assign(2 * variable + 1)

    model = grow(dense((6, 5)))
    compile_model(model, Odd(0.1))
    before = model.get_weights()
    with pytest.raises(ValueError, match="must start as a constant.*Odd"):
        fit(model, epochs=2)
    assert_same_bits(before, model.weights)


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
