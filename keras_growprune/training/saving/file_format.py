"""How what growing remembers is named in files.

In memory, weights, units and gates have numbers. In a file they have names,
by which another version of the library finds them again, whatever numbers it
gives: weights those of their layer and attribute, units those of their group,
gates those of their layer. A table tells the order of the file's vectors.

Files of before have numbers and no table; the network must be traced alike.
"""

import collections
import json
import zlib

import numpy as np

from keras_growprune.structure import Structure

VERSION = 1

# The entry that tells the order of all others.
TABLE = "contents"
_STATE = "state."
_OF_WEIGHTS, _OF_GATES = ("weight", "drawn", "slot"), ("moments",)


def check_version(version):
    """Refuses what a later version of the library wrote.

    Raises:
        ValueError: If the version is larger than `VERSION`.
    """
    if version > VERSION:
        raise ValueError(
            "The model was saved by a newer version of keras_growprune. "
            f"Expected: file format {VERSION} or older. Received: file format "
            f"{version}. Upgrade: `pip install --upgrade keras-growprune`."
        )


def named(arrays, network):
    """Entries of a file.

    Args:
        arrays: Dict of arrays, with numbers.
        network: The `GrowingNetwork` that they are of.

    Returns:
        A dict of arrays whose keys have no "/", the table included.
    """
    contents = _contents(network)
    entries = {}
    for key, value in arrays.items():
        names = _names(_kind(key), contents)
        if names is not None:
            before, _, number = key.rpartition(".")
            key = f"{before}.{names[int(number)]}"
        entries[key] = np.asarray(value)
    table = {"version": VERSION, "checksum": checksum(entries), **contents}
    entries[TABLE] = np.frombuffer(json.dumps(table).encode(), dtype="uint8")
    return entries


def numbered(entries, network):
    """Arrays with the numbers that a network has now.

    Args:
        entries: What `named` returned, or the entries of an older file.
        network: The `GrowingNetwork`.

    Returns:
        A dict of arrays.

    Raises:
        ValueError: If the file is of another network, of a newer format, or
            damaged.
    """
    ours = _contents(network)
    if f"{_STATE}scalars" not in entries:
        raise ValueError(
            "The file has weights of a plain network, without a structure. "
            "Expected: a file that a growing model wrote. Received: one "
            f"without the entry `{_STATE}scalars`. Load it into the plain "
            "network, and make that `growable`."
        )
    if TABLE not in entries:
        _check_numbered(entries, ours)
        return entries
    theirs = _read(entries)
    if not _have_same_names(ours, theirs) and _shapes(ours) == _shapes(theirs):
        # Automatic names go on counting from network to network.
        entries = _renamed(entries, theirs, ours)
        theirs = ours
    _check_is_of(theirs, ours, entries)
    return {
        **{k: v for k, v in entries.items() if _names(_kind(k), ours) is None},
        **_of_units(entries, theirs, ours),
        **_of_weights(entries, ours, network),
    }


def _kind(key):
    return key.partition(".")[0]


def _names(kind, contents):
    """The names by which entries of a kind are called, if they have any."""
    if kind in _OF_WEIGHTS:
        return [name for name, _ in contents["weights"]]
    return contents["gates"] if kind in _OF_GATES else None


def structure_of(entries):
    """The structure that a file tells, without its network.

    Args:
        entries: The entries of a file.

    Returns:
        A `Structure` with names.

    Raises:
        ValueError: If the file is of a newer format, or damaged.
    """
    table = _read(entries)
    return Structure(
        entries[f"{_STATE}units"],
        entries[f"{_STATE}gates"],
        tuple((name, size) for name, size in table["groups"]),
        tuple(table["gates"]),
    )


def _contents(network):
    """What there is, in the order of the numbers."""
    channel_map = network.blueprint.map
    names = _unique([_name(each, channel_map) for each in channel_map.weights])
    shapes = [[int(n) for n in w.full_shape] for w in channel_map.weights]
    return {
        "groups": [[group.name, group.size] for group in channel_map.groups],
        "gates": [gate.name for gate in channel_map.gates],
        "weights": [list(pair) for pair in zip(names, shapes)],
    }


def _name(weight, channel_map):
    owner = channel_map.layers[channel_map.layer_index(weight.layer)]
    inside = [] if owner is weight.layer else [weight.layer.name]
    return ".".join([owner.name, *inside, weight.attribute])


def _unique(names):
    seen = collections.Counter()
    result = []
    for name in names:
        seen[name] += 1
        result.append(f"{name}#{seen[name]}" if seen[name] > 1 else name)
    return result


def checksum(entries):
    result = 0
    for key in sorted(set(entries) - {TABLE}):
        result = zlib.crc32(key.encode(), result)
        result = zlib.crc32(entries[key].tobytes(), result)
    return result


def _read(entries):
    """The table of a file."""
    try:
        table = json.loads(bytes(entries[TABLE]))
        version = table["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged("its table of contents cannot be read") from error
    check_version(version)
    if table["checksum"] != checksum(entries):
        raise _damaged("its checksum is another one")
    return table


def _damaged(how):
    return ValueError(
        f"The file is damaged: {how}. Expected: what was written. Received: "
        "other bytes. Load an older file, or copy this one anew."
    )


def _have_same_names(ours, theirs):
    return (
        dict(ours["groups"]) == dict(theirs["groups"])
        and set(ours["gates"]) == set(theirs["gates"])
        and dict(ours["weights"]) == dict(theirs["weights"])
    )


def _shapes(contents):
    return (
        [size for _, size in contents["groups"]],
        len(contents["gates"]),
        [shape for _, shape in contents["weights"]],
    )


def _renamed(entries, before, after):
    """Entries with other names."""
    names = {
        kind: dict(zip(_names(kind, before), _names(kind, after)))
        for kind in (*_OF_WEIGHTS, *_OF_GATES)
    }
    result = {}
    for key, value in entries.items():
        kind = _kind(key)
        if kind in names:
            *start, name = key.split(".", 2 if kind == "slot" else 1)
            key = ".".join([*start, names[kind][name]])
        result[key] = value
    return result


def _check_is_of(theirs, ours, entries):
    """Refuses a file of a network that cannot be this one.

    What one of the two does not know must be at its full width.
    """
    problems = []
    for kind in ("groups", "weights"):
        mine = dict(ours[kind])
        problems += [
            f"`{name}` of {size} instead of {mine[name]}"
            for name, size in theirs[kind]
            if name in mine and mine[name] != size
        ]
    whole = entries[f"{_STATE}units"], entries[f"{_STATE}gates"]
    known = {name for name, _ in ours["groups"]}
    for name, units in _slices(theirs).items():
        if name not in known and not whole[0][units].all():
            problems.append(f"a part of `{name}`, which is not known here")
    for index, name in enumerate(theirs["gates"]):
        if name not in ours["gates"] and not whole[1][index]:
            problems.append(f"no `{name}`, which cannot leave here")
    mine, others = (
        {name for name, _ in contents["weights"]} for contents in (ours, theirs)
    )
    if mine and not mine & others:
        problems.append(f"{_shown(others)} instead of {_shown(mine)}")
    if problems:
        raise _of_another(_told(ours), f"{_told(theirs)} ({_shown(problems)})")


def _check_numbered(entries, ours):
    """Refuses a file without a table of another network."""
    sizes, gates, shapes = _shapes(ours)
    units = entries[f"{_STATE}units"]
    received = f"{units.size} units, {entries[f'{_STATE}gates'].size} gates"
    weights = [
        list(entries[f"weight.{index}"].shape)
        for index in range(sum(_kind(key) == "weight" for key in entries))
    ]
    if received != f"{sum(sizes)} units, {gates} gates":
        raise _of_another(_told(ours), received)
    if weights != shapes:
        different = sorted(
            f"{there} instead of {here}"
            for there, here in zip(weights, shapes)
            if there != here
        )
        raise _of_another(
            _told(ours), f"{len(weights)} weights ({_shown(different)})"
        )


def _told(contents):
    sizes, gates, weights = _shapes(contents)
    return f"{sum(sizes)} units, {gates} gates, {len(weights)} weights"


def _shown(names):
    names = sorted(names)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _of_another(expected, received):
    return ValueError(
        f"The file is of another network. Expected: {expected}. Received: "
        f"{received}. Load it into a model that was built in the same way."
    )


def _slices(contents):
    """Where each group's units are."""
    result, start = {}, 0
    for name, size in contents["groups"]:
        result[name] = slice(start, start + size)
        start += size
    return result


def _of_units(entries, theirs, ours):
    """Vectors over units and gates, in this network's order.

    What the file does not name was always there.
    """
    there = _slices(theirs)
    count = sum(size for _, size in theirs["groups"])
    units = [
        np.arange(count)[there[name]] if name in there else np.full(size, -1)
        for name, size in ours["groups"]
    ]
    units = np.concatenate([*units, np.zeros(0, int)]).astype(int)
    places = {name: index for index, name in enumerate(theirs["gates"])}
    gates = np.array([places.get(n, -1) for n in ours["gates"]], dtype=int)
    period = json.loads(bytes(entries[f"{_STATE}scalars"]))["period"]
    new = {"units": True, "gates": True, "saliency": np.nan, "ages": period}
    new = {**new, "logits": 0.0, "scales": 1.0}
    result = {}
    for key, value in entries.items():
        name = key.removeprefix(_STATE)
        if name == key or name == "scalars":
            continue
        chosen = gates if name.startswith("gate") else units
        missing = new[name.removeprefix("gate_")]
        result[key] = np.where(chosen < 0, missing, _at(value, chosen))
    sums = entries["meter.all_sums"]
    chosen = np.concatenate([units, np.where(gates < 0, -1, gates + count)])
    here = np.where(chosen < 0, 0, _at(sums, chosen))
    result["meter.all_sums"] = np.concatenate([here, sums[:, -1:]], axis=1)
    for index, name in enumerate(ours["gates"]):
        if f"moments.{name}" in entries:
            result[f"moments.{index}"] = entries[f"moments.{name}"]
    return result


def _at(values, indices):
    """Entries along the last axis; anything where the index is -1."""
    if not values.shape[-1]:
        return np.zeros((*values.shape[:-1], len(indices)), values.dtype)
    return values[..., indices]


def _of_weights(entries, ours, network):
    """Full-size weights and slots, by this network's numbers.

    What the file does not have is wholly in the network: it is on the device.
    """
    now, slots = network.store.to_arrays(), {}
    for key in entries:
        if _kind(key) == "slot":
            _, slot, name = key.split(".", 2)
            slots.setdefault(name, []).append((slot, entries[key]))
    result = {}
    for index, (name, _) in enumerate(ours["weights"]):
        value = entries.get(f"weight.{name}", now[f"weight.{index}"])
        result[f"weight.{index}"] = value
        if f"drawn.{index}" in now:
            everything = np.ones_like(now[f"drawn.{index}"])
            drawn = entries.get(f"drawn.{name}", everything)
            result[f"drawn.{index}"] = drawn
        for slot, value in slots.get(name, ()):
            result[f"slot.{slot}.{index}"] = value
    return result
