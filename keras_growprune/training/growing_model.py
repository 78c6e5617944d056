"""Which growing network somebody means."""

import keras

from keras_growprune.training.grow_prune_model import GrowPruneModel


def growing_model(model_or_history):
    """Returns the `GrowPruneModel` that is given or trained.

    Args:
        model_or_history: It, a model that has it among its layers, or a
            `keras.callbacks.History` of the training of either.

    Raises:
        ValueError: If there is none, or more than one.
    """
    given = model_or_history
    if isinstance(given, keras.callbacks.History):
        given = given.model
    found = {}
    if isinstance(given, keras.Model):
        _collect(given, found, set())
    if len(found) == 1:
        return next(iter(found.values()))
    told = f"{len(found)} of them: {list(map(_name, found.values()))}, in "
    raise ValueError(
        "There must be one `GrowPruneModel`. Expected: it, a model with one "
        "among its layers, or the `History` that `fit` of either "
        f"returned. Received: {told if found else ''}{model_or_history!r}. "
        + ("Pass the one that is meant." if found else _advice(given))
    )


def trained_model(model_or_history):
    """As `growing_model`, but only if it has been trained.

    Raises:
        ValueError: If it has not.
    """
    model = growing_model(model_or_history)
    if not model.ledger.epochs:
        raise ValueError(
            f"Model `{model.name}` has no epoch of training in its ledger, so "
            "there is no growth to draw. Expected: a model that was trained. "
            f"Received: model.ledger.epochs={model.ledger.epochs!r}. Train it "
            "with `fit` first; `plot_structure` draws it as it is."
        )
    return model


def _collect(layer, found, seen):
    if id(layer) in seen:
        return
    seen.add(id(layer))
    if isinstance(layer, GrowPruneModel):
        found[id(layer)] = layer
        return
    for inner in getattr(layer, "layers", ()):
        _collect(inner, found, seen)


def _advice(given):
    if isinstance(given, keras.Model):
        return (
            f"Model `{given.name}` has plain layers only, and a compact "
            "network no longer knows how it grew: pass the model that grows "
            "or grew. `keras_growprune.growable(model, budget)` makes one."
        )
    return "`keras_growprune.growable(model, budget)` makes one."


def _name(model):
    return model.name
