"""One training step of a growing network."""

import keras
import tensorflow as tf

from keras_growprune import keras_internals


def training_step(model, growth, data):
    """Keras's training step, with what growing needs.

    Batch norms restart their averages, the penalty on structure is added to
    the loss, saliencies are read from the gradients, and variables of layers
    that are off are left out.

    Args:
        model: The `GrowPruneModel`.
        growth: Its `GrowthController`.
        data: A batch, as Keras passes it to `train_step`.

    Returns:
        The metrics, a dict.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    batch_size = tf.shape(
        next(i for i in keras.tree.flatten(x) if i is not None)
    )[0]
    wanted = growth.meter.factors()
    points = [point for point, _ in wanted]
    factors = [tf.ones(width) for _, width in wanted]
    with tf.GradientTape() as tape:
        tape.watch(factors)
        with (
            growth.norms.momentum(),
            growth.plan.explicit_factors(points, factors),
        ):
            y_pred = model(x, training=True)
        loss = keras_internals.compute_loss(model, x, y, y_pred, sample_weight)
        # The penalty on structure is left out of the metric `loss`, which
        # stays comparable to `val_loss` and between epochs.
        keras_internals.track_loss(model, loss, batch_size)
        if growth.plan.gates_are_soft:
            replicas = model.distribute_strategy.num_replicas_in_sync
            lambdas = tf.convert_to_tensor(growth.gates.penalties)
            penalty = growth.plan.penalty(lambdas)
            loss = loss + tf.cast(penalty / replicas, loss.dtype)
        loss = model.optimizer.scale_loss(loss)
    growth.norms.count_step()
    if growth.can_keep_examples():
        growth.norms.keep(x)
    variables = _variables_in_network(model, growth)
    gradients = tape.gradient(loss, [*variables, *factors])
    pairs = list(zip(gradients, variables))
    growth.meter.update(
        {id(variable): gradient for gradient, variable in pairs},
        gradients[len(variables) :],
        batch_size,
        scale=model.optimizer.scale_loss(tf.ones(())),
    )
    _apply(model, growth, pairs)
    return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def _variables_in_network(model, growth):
    """Trainable variables, but for those of what is not in the network."""
    present = growth.map.present_layers(growth.structure.gates)
    absent = {
        id(variable)
        for layer, is_present in zip(growth.map.layers, present)
        if not is_present and isinstance(layer, keras.layers.Layer)
        for variable in layer.trainable_variables
    }
    if not growth.plan.gates_are_soft:
        absent |= {id(variable) for variable in growth.gates.variables()}
    return [v for v in model.trainable_variables if id(v) not in absent]


def _apply(model, growth, pairs):
    logits = {id(variable) for variable in growth.gates.variables()}
    if model.gate_optimizer is not None:
        scale = model.optimizer.scale_loss(tf.ones(()))
        own = [(g / scale, v) for g, v in pairs if id(v) in logits]
        pairs = [(g, v) for g, v in pairs if id(v) not in logits]
        if own:
            model.gate_optimizer.apply_gradients(own)
    if not pairs:
        return  # all that is there was set not to be trained
    with keras_internals.no_reduction_on_one_replica(model.optimizer):
        model.optimizer.apply_gradients(pairs)
