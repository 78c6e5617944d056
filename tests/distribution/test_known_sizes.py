"""Devices that compile for known sizes, as TPUs do.

There is none here. What is tested is all that the library does otherwise for
them: variables of known sizes, constants in the place of vectors whose length
changes, one compilation for each structure; compiled by XLA.
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_growprune.backend import replicas as backend_replicas
from tests.distribution import replicas
from tests.distribution.replicas import Run
from tests.distribution.replicas import two_replicas


@pytest.fixture
def known_sizes(monkeypatch):
    names = ["OneDeviceStrategy", "MirroredStrategy"]
    monkeypatch.setattr(backend_replicas, "_OF_KNOWN_SIZES", names)


def compiled(network, **kwargs):
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    compile_with = dict(jit_compile=True)
    return Run(
        network,
        strategy,
        compile_with=compile_with,
        width_multiple=2,
        **kwargs,
    )


def assert_sizes_are_known(model):
    for variable in (*model.variables, *model.optimizer.variables):
        assert variable.value.shape.is_fully_defined()
    assert "strategy" in model.coupling_report().traced_anew


@pytest.mark.slow
def test_each_structure_is_compiled_once_and_decided_as_ever(known_sizes):
    run = compiled(replicas.residual)
    assert_sizes_are_known(run.model)
    assert run.changes() > 1
    compilations = sum(run.ledger("compilations"))
    assert compilations == run.changes() + 1
    for width in run.model.widths.values():
        assert width % 2 == 0
    expected = run.model.compact().predict(run.x, verbose=0)
    answers = run.model.predict(run.x, verbose=0)
    np.testing.assert_allclose(answers, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["saliency", "paper"])
@pytest.mark.parametrize("network", ["residual", "skips", "recurrent"])
def test_decisions_are_those_of_one_trace(network, rule, monkeypatch):
    network = getattr(replicas, network)
    expected = Run(network, width_multiple=2, rule=rule)
    names = ["OneDeviceStrategy", "MirroredStrategy"]
    monkeypatch.setattr(backend_replicas, "_OF_KNOWN_SIZES", names)
    run = compiled(network, rule=rule)
    assert_sizes_are_known(run.model)
    assert run.structures == expected.structures
    np.testing.assert_allclose(run.losses, expected.losses, rtol=1e-4)


@pytest.mark.slow
def test_several_replicas_of_known_sizes_train_as_one_device(monkeypatch):
    expected = Run(replicas.residual)
    names = ["OneDeviceStrategy", "MirroredStrategy"]
    monkeypatch.setattr(backend_replicas, "_OF_KNOWN_SIZES", names)
    run = Run(replicas.residual, two_replicas())
    assert_sizes_are_known(run.model)
    assert run.structures == expected.structures
    np.testing.assert_allclose(run.losses, expected.losses, rtol=1e-4)
    replicas.assert_replicas_agree(run.model)
