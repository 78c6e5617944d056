"""One training step of a growing network."""

import keras
from keras import ops

from keras_growprune import backend
from keras_growprune import keras_internals


def training_step(model, network, data):
    """Keras's training step, with what growing needs.

    Batch norms restart their averages, the penalty on structure is added to
    the loss, saliencies are read from the gradients, and variables of layers
    that are off are left out.

    Args:
        model: The `GrowPruneModel`.
        network: Its `GrowingNetwork`.
        data: A batch, as Keras passes it to `train_step`.

    Returns:
        The metrics, a dict.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    batch_size = ops.shape(
        next(i for i in keras.tree.flatten(x) if i is not None)
    )[0]
    points = network.meter.factor_points()
    factors = [network.plan.ones(point) for point in points]
    teacher = model.distillation
    answers = None if teacher is None else teacher.answers(x)

    def compute():
        with (
            network.norms.momentum(),
            network.plan.explicit_factors(points, factors),
        ):
            y_pred = model(x, training=True)
        loss = keras_internals.compute_loss(model, x, y, y_pred, sample_weight)
        # Distances from a teacher and the penalty on structure are left out
        # of the metric `loss`, which stays comparable to `val_loss`.
        keras_internals.track_loss(model, loss, batch_size)
        if teacher is not None:
            penalties = keras_internals.penalties(model)
            loss = teacher.mix(
                loss, penalties, model, answers, y_pred, sample_weight
            )
        if network.plan.gates_are_soft:
            replicas = backend.replica_count()
            penalty = penalty_on_structure(network, replicas)
            loss = loss + ops.cast(penalty, loss.dtype)
        return model.optimizer.scale_loss(loss), y_pred

    absent = absent_variables(network)
    variables = [v for v in model.trainable_variables if id(v) not in absent]
    gradients, factor_gradients, y_pred = backend.gradients(
        compute, variables, factors
    )
    # At once, all that is known of the whole batch. So what is decided by it
    # is what one device would decide, and clipped as it would clip.
    gradients, factor_gradients, examples = sum_over_replicas(
        gradients, factor_gradients, batch_size
    )
    network.norms.count_step()
    network.norms.keep(model, x)
    network.meter.update(
        {id(v): gradient for v, gradient in zip(variables, gradients)},
        factor_gradients,
        examples,
        scale=model.optimizer.scale_loss(ops.ones(())),
    )
    _apply(model, network, list(zip(gradients, variables)))
    return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def sum_over_replicas(gradients, factor_gradients, batch_size):
    """What all replicas together know of one step.

    Args:
        gradients, factor_gradients: Lists of gradients, some None.
        batch_size: Number of examples of this replica.

    Returns:
        The three, as they are on all replicas together.
    """
    known = backend.nothing_from_empty(
        [*gradients, *factor_gradients], batch_size
    )
    known.append(ops.cast(batch_size, "float32"))
    *known, examples = backend.sum_over_replicas(known)
    return known[: len(gradients)], known[len(gradients) :], examples


def penalty_on_structure(network, replicas):
    """What rules that train logits add to the loss.

    Args:
        network: The `GrowingNetwork`.
        replicas: Over how many replicas the loss will be summed up.
    """
    lambdas = ops.convert_to_tensor(network.gates.penalties)
    return network.plan.penalty(lambdas) / replicas


def absent_variables(network):
    """Trainable variables of what is not in the network, a set of `id`s."""
    absent = {
        id(variable)
        for layer in network.blueprint.map.layers
        if isinstance(layer, keras.layers.Layer)
        and not network.is_present(layer)
        for variable in layer.trainable_variables
    }
    if not network.plan.gates_are_soft:
        absent |= {id(variable) for variable in network.gates.variables()}
    return absent


def _apply(model, network, pairs):
    logits = {id(variable) for variable in network.gates.variables()}
    if model.gate_optimizer is not None:
        scale = model.optimizer.scale_loss(ops.ones(()))
        own = [
            (g / ops.cast(scale, g.dtype), v)
            for g, v in pairs
            if id(v) in logits
        ]
        pairs = [(g, v) for g, v in pairs if id(v) not in logits]
        if own:
            with keras_internals.of_all_replicas(model.gate_optimizer):
                model.gate_optimizer.apply_gradients(own)
    if not pairs:
        return  # all that is there was set not to be trained
    with (
        keras_internals.of_all_replicas(model.optimizer),
        keras_internals.with_some_variables(
            model.optimizer, [variable for _, variable in pairs]
        ),
    ):
        model.optimizer.apply_gradients(pairs)
