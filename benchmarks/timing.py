"""Times what cells trained, always relative to the full network.

All networks of a cell take turns with the full network, so that a change of
the machine's speed meets all alike. Everything else should rest meanwhile.
"""

import numpy as np

from keras_growprune.devices import time_models


def time_cell(task, cell):
    """Times one cell's networks.

    Returns:
        A dict of fractions of the full network's: `step` (training step of
        the final network), `training` (the whole training, with what
        restructuring and retracing took), `tensorflow` (inference, at the
        batch size of training) and `litert` (inference, batch 1, one
        thread); and `predicted`, the prediction of `step` by the task's
        profile, if it has one.
    """
    phases = [
        (epochs, task.structure(widths, np.array(gates, bool)))
        for epochs, widths, gates in cell["phases"]
    ]
    different = []
    for _, structure in phases:
        if structure not in different:
            different.append(structure)
    networks = [task.plain(), *map(task.plain, different)]
    full, *steps = time_models(
        networks, "tensorflow-train", task.preset.batch_size
    )
    trained = sum(
        epochs * steps[different.index(structure)]
        for epochs, structure in phases
    )
    final = networks[1 + different.index(phases[-1][1])]
    ratios = {}
    for runtime, batch_size in (
        ("tensorflow", task.preset.batch_size),
        ("litert", 1),
    ):
        before, after = time_models(
            [networks[0], final], runtime, batch_size, rounds=15
        )
        ratios[runtime] = after / before
    if task.profile is not None:
        after, before = map(task.profile.milliseconds, (final, networks[0]))
        ratios["predicted"] = after / before
    return {
        "step": steps[different.index(phases[-1][1])] / full,
        "training": (1 + cell["retrace_share"])
        * trained
        / (full * task.preset.epochs),
        **ratios,
    }
