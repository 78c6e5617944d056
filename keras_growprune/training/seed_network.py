"""The network that growing starts from."""

import numpy as np

from keras_growprune.layers import GatedAdd
from keras_growprune.structure import Structure
from keras_growprune.training.importance import importance_of_units


def seed_structure(channel_map, space, target, shape, identities, points):
    """Chooses the first structure of a network that grows.

    Args:
        channel_map: The `ChannelMap`.
        space: The `UnitSpace`.
        target: What the seed may cost.
        shape: `seed_shape` of the `GrowthSchedule`.
        identities: What `find_identity_branches` found.
        points: `FactorPoint`s by whose weights units are chosen, or None for
            the first units.

    Returns:
        A `Structure`. Groups of which a user fixed the seed have that width.
    """
    gates = np.ones(len(channel_map.gates), bool)
    if shape == "shallow":
        # What cannot come as the identity is there from the beginning.
        may_leave = [
            isinstance(gate.layer, GatedAdd) or identity is not None
            for gate, identity in zip(channel_map.gates, identities)
        ]
        gates = space.seed_gates(target, np.array(may_leave, bool))
    fixed = {
        index: group.seed
        for index, group in enumerate(channel_map.groups)
        if group.seed is not None
    }
    widths = space.seed_widths(target, gates, fixed)
    units = np.zeros(channel_map.unit_count, bool)
    importance = np.zeros(channel_map.unit_count)
    if points is not None:
        importance = importance_of_units(channel_map, points)
    for part, width in zip(space.slices(), widths):
        order = np.argsort(-importance[part], kind="stable")
        units[part.start + order[:width]] = True
    return Structure(units, gates)
