"""Keras's own training loop."""

import keras

from keras_growprune import backend


def train_with(model, layer):
    """Lets a model train a layer that is one of its attributes.

    A functional model of Keras 3.8 trains the layers of its graph alone.
    """
    if layer is not None and not any(each is layer for each in model._layers):
        model._layers.append(layer)


def compute_loss(model, x, y, y_pred, sample_weight):
    return model._compute_loss(
        x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
    )


def penalties(model):
    """What of `compute_loss` is penalties on weights and activations."""
    total = sum(keras.ops.sum(loss) for loss in model.losses)
    return keras.ops.convert_to_tensor(total / backend.replica_count())


def track_loss(model, loss, batch_size):
    """Counts a batch's loss in the metric `loss`."""
    loss = loss * backend.replica_count()
    model._loss_tracker.update_state(loss, sample_weight=batch_size)


def is_callback_list(callbacks):
    return isinstance(callbacks, keras.callbacks.CallbackList)


def prepend_callback(callbacks, callback):
    """Puts a callback in front of those of a ready `CallbackList`."""
    callbacks.callbacks.insert(0, callback)
    callback.set_params(callbacks.params)


def start_at_epoch(model, epoch):
    """Lets `fit` begin with an epoch, 0 for the one that it was told."""
    model._initial_epoch = epoch


def has_own_train_step(model):
    """Whether the class of a model trains in another way than Keras."""
    return type(model).train_step is not keras.Model.train_step
