"""Structures as JSON text that people can read, write and compare."""

import json

import numpy as np

_FORMAT, _VERSION = "keras_growprune.Structure", 1


def to_json(structure):
    """Returns a structure that knows its names as text."""
    units = structure.units
    groups, start = [], 0
    for name, size in structure.groups:
        there = np.flatnonzero(units[start : start + size])
        entry = {"name": name, "size": size, "width": len(there)}
        groups.append({**entry, "units": _ranges(there)})
        start += size
    on = map(bool, structure.gates)
    # One group a line, so that two files can be compared line by line.
    lines = ",\n".join(f"    {json.dumps(group)}" for group in groups)
    gates = json.dumps(dict(zip(structure.gate_names, on)))
    return (
        f'{{\n  "format": "{_FORMAT}",\n  "version": {_VERSION},\n'
        f'  "groups": [\n{lines}\n  ],\n  "gates": {gates}\n}}\n'
    )


def from_json(text):
    """Returns the arguments of the `Structure` that a text tells.

    Args:
        text: What `to_json` returned. A group may have a `width` alone: it
            has its first units then.

    Raises:
        ValueError: If the text tells no structure.
    """
    try:
        content = json.loads(text)
    except (TypeError, ValueError) as error:
        raise _wrong(f"no JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise _wrong("JSON of something else")
    if content.get("version", _VERSION) > _VERSION:
        raise _wrong(
            f"version {content['version']} of a newer keras_growprune; "
            "upgrade it"
        )
    groups, units = [], []
    try:
        for group in content["groups"]:
            groups.append((str(group["name"]), int(group["size"])))
            units.append(_units(group))
        gates = {str(k): bool(v) for k, v in content["gates"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise _wrong(f"JSON that lacks an entry ({error!r})") from error
    return {
        "units": np.concatenate([*units, np.zeros(0, bool)]),
        "gates": np.array(list(gates.values()), bool),
        "groups": tuple(groups),
        "gate_names": tuple(gates),
    }


def _units(group):
    """Boolean vector over the units of one group."""
    size, width = int(group["size"]), group.get("width")
    if "units" in group:
        there = _indices(group["units"])
    else:
        there = list(range(int(group["width"])))
    units = np.zeros(size, bool)
    if any(not 0 <= index < size for index in there):
        raise _wrong(f"`{group['name']}` with units beyond its {size}")
    units[there] = True
    if width is not None and int(width) != units.sum():
        raise _wrong(
            f"`{group['name']}` with a width of {width}, but "
            f"{units.sum()} units; give one of the two"
        )
    return units


def _ranges(indices):
    """Indices such as `0-7, 9`."""
    if not len(indices):
        return ""
    runs = np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1)
    return ", ".join(
        f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs
    )


def _indices(text):
    found = []
    for part in filter(None, str(text).replace(" ", "").split(",")):
        first, _, last = part.partition("-")
        try:
            found += range(int(first), int(last or first) + 1)
        except ValueError as error:
            raise _wrong(f"units {text!r}") from error
    return found


def _wrong(received):
    return ValueError(
        "Argument `text` must be a structure as JSON, as "
        "`model.structure.to_json()` returns it. Received: " + received
    )
