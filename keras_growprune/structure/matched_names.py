"""Brings a structure of named groups and gates into a network's order."""

import re

import numpy as np

from keras_growprune.structure.structure import Structure
from keras_growprune.text import counted

_SHOWN = 3


def in_order_of(structure, ours, expected):
    """Returns a structure with its entries where a network has them.

    Entries are found by their names. Automatic names of layers go on counting
    from network to network, so names may differ in those numbers, in the same
    order, and in the `growable` that a layer's class has more than the plain
    one. A structure that knows no names is taken as it is.

    Args:
        structure: A `Structure`.
        ours: The `Structure` of the network, with names.
        expected: Sentence that an error begins with.

    Raises:
        ValueError: If names or sizes are not those of the network.
    """
    units, gates = structure.units, structure.gates
    if structure.groups is not None:
        names = [
            [name for name, _ in each.groups] for each in (structure, ours)
        ]
        order = _order(*names, "group", expected)
        starts = np.cumsum([0, *[size for _, size in structure.groups]])
        parts = []
        for index, (name, size) in zip(order, ours.groups):
            received, count = structure.groups[index]
            if count != size:
                raise ValueError(
                    f"{expected} Received: group `{received}` of {count} "
                    f"units, where the network has {size} (`{name}`)."
                )
            parts.append(units[starts[index] : starts[index] + size])
        units = np.concatenate([*parts, np.zeros(0, bool)])
    if structure.gate_names is not None:
        names = structure.gate_names, ours.gate_names
        gates = gates[_order(*names, "gate", expected)]
    sizes = [(len(units), len(gates)), (len(ours.units), len(ours.gates))]
    if sizes[0] != sizes[1]:
        told = [
            f"{counted(units, 'unit')} in groups, {counted(gates, 'gate')}"
            for units, gates in sizes
        ]
        raise ValueError(f"{expected} Received: {told[0]}; it has {told[1]}.")
    return Structure(units, gates, ours.groups, ours.gate_names)


def _order(received, ours, what, expected):
    """Where each of the network's entries is in what was received."""
    received, ours = list(received), list(ours)
    if len(set(ours)) < len(ours) and received == ours:
        return np.arange(len(ours))
    place = {name: index for index, name in enumerate(received)}
    theirs_of, ours_of = _by_kind(received), _by_kind(ours)
    order = {}
    for kind in {**theirs_of, **ours_of}:
        theirs, here = theirs_of.get(kind, []), ours_of.get(kind, [])
        if set(theirs) == set(here) and len(theirs) == len(here):
            order.update({name: place[name] for name in here})
        elif _ranks(theirs) == _ranks(here):
            order.update({o: place[t] for t, o in zip(theirs, here)})
        else:
            raise _wrong_names(received, ours, kind, what, expected)
    return np.array([order[name] for name in ours], dtype=int)


def _wrong_names(received, ours, kind, what, expected):
    # Names of the other kinds may be wrong too: all are told at once.
    strange = [name for name in received if name not in ours]
    missing = [name for name in ours if name not in received]
    if _counts(received) != _counts(ours):
        kinds, known = _counts(received), _counts(ours)
        strange = [n for n in strange if _differs(n, kinds, known)]
        missing = [n for n in missing if _differs(n, kinds, known)]
    else:
        strange = [name for name in strange if _kind(name) == kind]
        missing = [name for name in missing if _kind(name) == kind]
    told = []
    if strange:
        told.append(f"{what} {_listed(strange)}, which it does not have")
    if missing:
        told.append(f"nothing for its {what} {_listed(missing)}")
    told = "; ".join(told) or f"{what} {_listed(_twice(received))} twice"
    return ValueError(
        f"{expected} Received: {told}. `model.structure.to_json()` shows its "
        "names."
    )


def _counts(names):
    return {kind: len(found) for kind, found in _by_kind(names).items()}


def _differs(name, some, others):
    return some.get(_kind(name)) != others.get(_kind(name))


def _twice(names):
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


def _listed(names):
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"`{name}`" for name in names[:_SHOWN]) + more


def _by_kind(names):
    found = {}
    for name in names:
        found.setdefault(_kind(name), []).append(name)
    return found


def _kind(name):
    return _words_and_counts(name)[0]


def _ranks(names):
    """The order that the counts in names have."""
    counts = [_words_and_counts(name)[1] for name in names]
    return [sorted(counts).index(each) for each in counts]


def _words_and_counts(name):
    """What of a name was given, and what was counted."""
    name, _, number = name.partition("#")  # further channels of a layer
    words, counts = [], []
    for part in re.split("[_/]", name):
        if part.isdigit() and words:
            counts[-1] = (*counts[-1], int(part))
        elif part not in ("growable", "gated"):
            words.append(part)
            counts.append(())
    return ("_".join(words), number), counts
