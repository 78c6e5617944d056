"""What is kept on the host: dormant weights and optimizer slots."""

import keras
import numpy as np

from keras_growprune import keras_internals
from keras_growprune.structure import Structure
from tests.networks import FULL
from tests.networks import build_optimizer
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import examples
from tests.networks import grow
from tests.networks import mark_as_lived
from tests.networks import network_arrays
from tests.networks import residual
from tests.networks import with_units


def slots_of(model, variable, name):
    order = keras_internals.optimizer_variables(model.optimizer)
    index = next(i for i, each in enumerate(order) if each is variable)
    return keras_internals.optimizer_slots(model.optimizer)[name][index].numpy()


def test_new_slots_start_at_the_initial_value_of_the_optimizer():
    model = grow(dense((4,)))
    model.restructure(with_units(model, [0]))
    build_optimizer(model, keras.optimizers.Adagrad(0.1))
    kernel = model.layers[1].kernel
    x, y = examples(model)
    model.train_on_batch(x, y)
    lived = slots_of(model, kernel, "_accumulators")
    assert (lived > 0.1).all()
    model.restructure(with_units(model, [0, 2]))
    slots = slots_of(model, kernel, "_accumulators")
    np.testing.assert_array_equal(slots[:, :1], lived)
    np.testing.assert_array_equal(slots[:, 1], np.full(5, np.float32(0.1)))


def test_an_averaged_newcomer_starts_at_its_own_weights():
    model = grow(dense((4,)))
    model.restructure(with_units(model, [0]))
    build_optimizer(model, keras.optimizers.SGD(0.1, use_ema=True))
    kernel = model.layers[1].kernel
    x, y = examples(model)
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    name = "_model_variables_moving_average"
    before = slots_of(model, kernel, name)
    assert np.abs(before - kernel.numpy()).max() > 0
    model.restructure(with_units(model, [0, 2]))
    average = slots_of(model, kernel, name)
    np.testing.assert_array_equal(average[:, :1], before)
    np.testing.assert_array_equal(average[:, 1], kernel.numpy()[:, 1])
    assert np.abs(average[:, 1]).max() > 0


def test_slots_of_a_layer_that_is_off_at_compile_start_at_their_initial_value():
    model = grow(residual(4), schedule=FULL)
    mark_as_lived(model)
    on = model.structure
    model.restructure(Structure(on.units, [False]))
    build_optimizer(model, keras.optimizers.Adagrad(0.1))
    model.restructure(on)
    slots = keras_internals.optimizer_slots(model.optimizer)["_accumulators"]
    assert {float(s) for slot in slots for s in slot.numpy().flat} == {
        float(np.float32(0.1))
    }


def test_newcomers_do_not_inherit_the_momentum_of_a_single_survivor():
    model = grow(dense((4,)))
    model.restructure(with_units(model, [0]))
    compile_model(model, keras.optimizers.SGD(0.1, momentum=0.9))
    x, y = examples(model)
    model.train_on_batch(x, y)  # the optimizer is built in here
    bias = model.layers[1].bias
    lived = slots_of(model, bias, "momentums")
    assert lived.shape == (1,) and lived[0] != 0
    model.restructure(with_units(model, [0, 2]))
    assert slots_of(model, bias, "momentums").tolist() == [lived[0], 0.0]


def test_a_new_optimizer_starts_with_slots_of_its_own():
    model = grow(dense((4,)))
    build_optimizer(model, keras.optimizers.SGD(0.1, momentum=0.9))
    x, y = examples(model)
    model.train_on_batch(x, y)
    build_optimizer(model, keras.optimizers.Adam(0.1))
    model.restructure(with_units(model, [0, 1, 2, 3]))
    names = {name for _, name in network_arrays(model)}
    assert names == {None, "_momentums", "_velocities"}
    for (_, name), value in network_arrays(model).items():
        assert name is None or not value.any()


def test_what_was_kept_is_taken_over_by_an_equal_store():
    one, other = (grow(conv_chain((4, 4)), seed=s) for s in (0, 1))
    for model in (one, other):
        model.restructure(with_units(model, [0, 1], [0, 1]))
        build_optimizer(model, "adam")
    x, y = examples(one)
    one.train_on_batch(x, y)
    one.restructure(with_units(one, [1, 2], [0]))
    kept = one._growth.network.store.to_arrays()
    other._growth.network.store.from_arrays(kept)
    again = other._growth.network.store.to_arrays()
    assert set(again) == set(kept)
    for key, value in kept.items():
        np.testing.assert_array_equal(again[key], value)
