"""Structures as JSON text that people can read, write and compare."""

import json
import os
import re

import numpy as np

from keras_growprune.text import counted

_FORMAT, _VERSION = "keras_growprune.Structure", 1
_KEYS = ("format", "version", "groups", "gates")
_GROUP_KEYS = ("name", "size", "width", "units")


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
    content = _content(text)
    _check_keys(content, _KEYS, ("groups", "gates"), "the structure")
    groups, gates = content["groups"], content["gates"]
    if not isinstance(groups, list):
        raise _wrong("`groups` that are no list")
    if not isinstance(gates, dict):
        raise _wrong("`gates` that map no names to true or false")
    units = [_units(group, number) for number, group in enumerate(groups, 1)]
    names = [group["name"] for group in groups]
    for name in names:
        if names.count(name) > 1:
            raise _wrong(f"group `{name}` twice")
    for name, is_on in gates.items():
        if not isinstance(is_on, bool):
            raise _wrong(f"gate `{name}` of {is_on!r}, not true or false")
    return {
        "units": np.concatenate([*units, np.zeros(0, bool)]),
        "gates": np.array(list(gates.values()), bool),
        "groups": tuple((group["name"], group["size"]) for group in groups),
        "gate_names": tuple(gates),
    }


def _content(text):
    try:
        content = json.loads(text, object_pairs_hook=_without_twins)
    except (TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        if _looks_like_a_path(text):
            raise _wrong(
                f"a path, {os.fspath(text)!r}. Give what the file has in it: "
                "`pathlib.Path(path).read_text()`"
            ) from error
        raise _wrong(f"no JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise _wrong(f'JSON of something else (no "format": "{_FORMAT}")')
    version = content.get("version", _VERSION)
    if not _is_count(version):
        raise _wrong(f"version {version!r}")
    if version > _VERSION:
        raise _wrong(
            f"version {version} of a newer keras_growprune; upgrade it"
        )
    return content


def _looks_like_a_path(text):
    if isinstance(text, os.PathLike):
        return True
    if not isinstance(text, str) or not text or "\n" in text:
        return False
    return text.endswith(".json") or os.path.exists(text)


def _without_twins(pairs):
    """A dict; JSON itself would take the last of two equal keys."""
    found = {}
    for key, value in pairs:
        if key in found:
            raise _wrong(f"`{key}` twice")
        found[key] = value
    return found


def _check_keys(entry, known, needed, where):
    for key in entry:
        if key not in known:
            names = ", ".join(f"`{name}`" for name in known)
            raise _wrong(f"`{key}` in {where}, where only {names} can stand")
    for key in needed:
        if key not in entry:
            raise _wrong(f"JSON that lacks an entry: `{key}` of {where}")


def _units(group, number):
    """Boolean vector over the units of one group."""
    if not isinstance(group, dict):
        raise _wrong(f"{group!r} as group number {number}")
    name = group.get("name")
    where = f"group number {number}" if name is None else f"group `{name}`"
    _check_keys(group, _GROUP_KEYS, ("name", "size"), where)
    if not isinstance(name, str):
        raise _wrong(f"group number {number} with the name {name!r}")
    for key in ("size", "width"):
        if key in group and not _is_count(group[key]):
            raise _wrong(
                f"{where} with a {key} of {group[key]!r}, which must be an "
                "integer of at least 1"
            )
    if "units" not in group and "width" not in group:
        raise _wrong(f"JSON that lacks an entry: `width` of {where}")
    size, width = group["size"], group.get("width")
    ranges = _spans(group["units"], where) if "units" in group else []
    ranges = ranges or [(0, width - 1)] * ("units" not in group)
    if any(last >= size for _, last in ranges):
        raise _wrong(f"{where} with units beyond its {size}")
    units = np.zeros(size, bool)
    for first, last in ranges:
        if units[first : last + 1].any():
            raise _wrong(f"{where} with a unit twice in {group['units']!r}")
        units[first : last + 1] = True
    if not units.any():
        raise _wrong(f"{where} without any unit; each group keeps at least one")
    if width is not None and width != units.sum():
        raise _wrong(
            f"{where} with a width of {width}, but "
            f"{counted(units.sum(), 'unit')}; give one of the two"
        )
    return units


def _is_count(value):
    return isinstance(value, int) and value is not True and value > 0


def _ranges(indices):
    """Indices such as `0-7, 9`."""
    if not len(indices):
        return ""
    runs = np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1)
    return ", ".join(
        f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs
    )


def _spans(text, where):
    """First and last index of each part of `0-7, 9`."""
    found = []
    if not isinstance(text, str):
        raise _wrong(f"{where} with units {text!r}, no text such as '0-7, 9'")
    for part in text.split(",") if text.strip() else ():
        parsed = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        first, last = parsed.groups() if parsed else (1, 0)
        last = first if last is None else last
        if int(last) < int(first):
            raise _wrong(
                f"{where} with units {text!r}, of which {part.strip()!r} is no "
                "index or range such as '0-7'"
            )
        found.append((int(first), int(last)))
    return found


def _wrong(received):
    return ValueError(
        "Argument `text` must be a structure as JSON, as "
        "`model.structure.to_json()` returns it. Received: " + received
    )
