"""Makes a growing model of any functional Keras model."""

import warnings

import keras

from keras_growprune import keras_internals
from keras_growprune.conversion.channel_slices import split_instead_of_slice
from keras_growprune.conversion.functional import as_functional
from keras_growprune.conversion.growable_classes import can_become_growable
from keras_growprune.conversion.growable_classes import growable_layer
from keras_growprune.conversion.residual_sums import find_residual_sums
from keras_growprune.conversion.trained import sign_of_training
from keras_growprune.growth import GrowthSchedule
from keras_growprune.layers import GatedAdd
from keras_growprune.structure import GraphCopy
from keras_growprune.structure import axes_of
from keras_growprune.structure import bidirectional
from keras_growprune.structure import check_not_rewritten
from keras_growprune.structure import clone_layer
from keras_growprune.structure import expand_call
from keras_growprune.structure import may_be_expanded
from keras_growprune.structure import trace_channels
from keras_growprune.training import Distillation
from keras_growprune.training import GrowPruneModel

# When a trained network has been pruned to its budget, as a fraction of the
# run. Chosen on held-out images: what is left needs the rest of a short run.
_SOON = 0.2


def growable(
    model,
    budget,
    start="seed",
    schedule=None,
    freeze=(),
    rule="saliency",
    width_multiple=1,
    seed=None,
    distillation=None,
):
    """Makes a growing model of a Keras model, which stays as it is.

    Convolutions and dense layers become growable, residual sums whose branch
    can be left out become gated, models inside the model (and layers that only
    call layers) become part of it, and everything else follows.
    `coupling_report()` of the result tells what depends on what, and what
    cannot change and why.

    Args:
        model: A functional `keras.Model`, a built Sequential model, or a
            built subclassed one whose `call` only calls layers.
        budget: A `Budget`, what the final network may cost.
        start: `"seed"` (default): training begins with the seed network of the
            schedule. Of a model that has been trained, it has the units with
            the largest weights. `"weights"`: training begins with the whole
            network and its weights, prunes it to the budget, and may regrow
            what it pruned.
        schedule: A `GrowthSchedule`. Defaults to `None`: the rule's own; with
            `start="weights"` one that reaches the budget after a fifth of the
            run. With `start="weights"` seed and peak are the full network in
            any case.
        freeze: List of layers of `model`, or of names of layers and
            operations. Layers (and all layers inside them) keep their width,
            residual sums are not gated. Defaults to none.
        rule, width_multiple, seed: As in `GrowPruneModel`, with the same
            defaults.
        distillation: `True`: the result learns what `model` answers too, as
            `Distillation(model)` does. Or a `Distillation`. Defaults to
            `None`.

    Returns:
        A `GrowPruneModel`. Compile it: the optimizer of `model` stays behind.

    Raises:
        ValueError: If the model is not one of these, an argument is invalid,
            or nothing of the model can grow.

    Example:

    ```python
    network = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Conv2D(64, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10),
        ]
    )
    model = kgp.growable(network, kgp.Budget(flops=0.5))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(images, labels, epochs=30)
    small = model.compact()
    kgp.count_flops(small) <= 0.5 * kgp.count_flops(network)  # True
    ```

    A network that has been trained, pruned in a few more epochs:

    ```python
    model = kgp.growable(
        trained, kgp.Budget(flops=0.5), start="weights", distillation=True
    )
    model.compile(
        "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.fit(images, labels, epochs=10)
    ```
    """
    if start not in ("seed", "weights"):
        raise ValueError(
            "Argument `start` must be 'seed' (grow from few units) or "
            "'weights' (prune from all units and the weights they have). "
            f"Received: start={start!r}"
        )
    graph = as_functional(model)
    check_not_rewritten(graph)
    frozen = _frozen(model, graph, freeze)
    if any(map(may_be_expanded, graph.layers)):
        flat = GraphCopy(graph, expand=expand_call)
        frozen |= {
            key for key, inside in flat.origins.items() if frozen & {*inside}
        }
        frozen |= {
            id(new)
            for pair in flat.pairs
            for old, new in zip(*map(_with_parts, pair))
            if id(old) in frozen
        }
        graph = keras.Model(flat.inputs, flat.outputs, name=model.name)
    copy = _with_growable_layers(graph, frozen)
    if start == "weights":
        schedule = _from_everything(schedule)
    sign = sign_of_training(model)
    if keras_internals.has_own_train_step(model):
        warnings.warn(
            f"Model `{model.name}` has a `train_step` of its own "
            f"({type(model).__name__}), which the growing model does not take "
            "over: it is trained by the loss of `compile`.",
            stacklevel=2,
        )
    result = GrowPruneModel(
        copy.inputs,
        copy.outputs,
        budget,
        schedule=schedule,
        rule=rule,
        width_multiple=width_multiple,
        seed=seed,
        keep_weights=sign is not None or start == "weights",
        name=model.name,
    )
    if distillation is True:
        distillation = Distillation(model)
    result.distillation = distillation
    if start == "seed" and sign is not None:
        units = result.structure.units
        warnings.warn(
            f"Model `{model.name}` looks trained ({sign}). The seed network "
            f"keeps {units.sum()} of its {units.size} units and forgets the "
            "weights of all others, but for those of frozen layers; "
            "`start='weights'` begins with all of them.",
            stacklevel=2,
        )
    return result


def _from_everything(schedule):
    """The schedule with the full network as its seed and its peak."""
    schedule = schedule or GrowthSchedule(peak_at=0.0, settle_at=_SOON)
    config = {**schedule.get_config(), "seed_fraction": 1.0, "peak": 1.0}
    return GrowthSchedule(**config)


def _with_parts(layer):
    """A layer and all layers inside it."""
    inside = keras_internals.parts(layer) and keras_internals.all_layers(layer)
    return [layer, *inside]


def _frozen(model, graph, freeze):
    """What the user wants to keep: ids of layers, names of operations."""
    layers = keras_internals.all_layers(model)
    operations = {
        operation.name
        for operation in graph.operations
        if not isinstance(operation, keras.layers.Layer)
    }
    by_name = {}
    for layer in layers:
        by_name.setdefault(layer.name, []).append(layer)
    ids = {id(layer) for layer in layers}
    frozen = set()
    for item in [freeze] if isinstance(freeze, str) else freeze:
        if isinstance(item, str) and item in operations:
            frozen.add(item)
            continue
        chosen = by_name.get(item) if isinstance(item, str) else [item]
        if not chosen or any(id(layer) not in ids for layer in chosen):
            raise ValueError(
                "Argument `freeze` must list layers of the model, or their "
                f"names. Received: {item!r}, which model `{model.name}` does "
                f"not have. It has: {', '.join(sorted(by_name))}"
            )
        for layer in chosen:
            frozen |= {id(each) for each in _with_parts(layer)}
    return frozen


def _with_growable_layers(graph, frozen):
    """A copy of a flat graph with growable layers and gated sums."""
    calls = keras_internals.graph_calls(graph)

    def may_grow(layer):
        return can_become_growable(layer) and id(layer) not in frozen

    traced = trace_channels(
        calls, graph.outputs, may_grow, slices_become_splits=True
    )
    growing = {id(layer) for group in traced.groups for layer in group.writers}
    sums = find_residual_sums(calls)
    for call in calls:
        ids = {id(call.operation), id(call.outputs[0])}
        if frozen & {*ids, call.operation.name}:
            sums.pop(id(call.outputs[0]), None)
    if not growing and not sums:
        reasons = dict(traced.frozen)
        for call in calls:
            if axes_of(call.layer) is None and call.layer.weights:
                kind = type(call.layer).__name__
                reasons[call.layer.name] = (
                    f"unknown type {kind}, teach it with `register_axes`, or "
                    "write what it does as layers of a functional model"
                )
        for layer in graph.layers:
            if can_become_growable(layer) and id(layer) in frozen:
                reasons[layer.name] = "was to stay as it is"
        reasons = "; ".join(f"`{k}`: {v}" for k, v in reasons.items())
        raise ValueError(
            f"Nothing of model `{graph.name}` can grow or be pruned. Expected "
            "a convolution, a dense layer or a residual sum whose width or "
            "presence does not fix a shape. Received: "
            + (reasons or "no such layer.")
        )

    def new_layer(layer):
        if isinstance(layer, keras.layers.TimeDistributed):
            return keras.layers.TimeDistributed(
                new_layer(layer.layer), name=layer.name
            )
        if isinstance(layer, keras.layers.Bidirectional):
            return bidirectional(layer, new_layer)
        return (
            growable_layer(layer)
            if id(layer) in growing
            else clone_layer(layer)
        )

    def new_call(call, tensors):
        found = sums.get(id(call.outputs[0]))
        if found is None:
            known = traced.channels.get(id(call.inputs[0]))
            axis = None if known is None else known.axis
            return split_instead_of_slice(call, tensors[0], axis)
        shortcut, branch, scale = found
        new = {id(old): tensor for old, tensor in zip(call.inputs, tensors)}
        shortcut, branch = new[id(shortcut)], new[id(branch)]
        name = call.operation.name
        if scale != 1:
            scaling = keras.layers.Rescaling(scale, name=f"{name}_scale")
            branch = scaling(branch)
        return GatedAdd(name=name)([shortcut, branch])

    return GraphCopy(graph, new_layer, new_call)
