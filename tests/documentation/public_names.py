"""What of the package is public: what users import, get and call."""

import importlib
import importlib.util
import inspect
import types
from typing import NamedTuple

import keras_growprune as kgp
from keras_growprune.export import Verification
from keras_growprune.structure import CouplingReport
from keras_growprune.structure import StructureDiff
from keras_growprune.training import Ledger

PACKAGE = kgp.__name__
# Classes of which users get objects, but that they do not make themselves.
RESULTS = (CouplingReport, Ledger, StructureDiff, Verification)


class PublicName(NamedTuple):
    """A name that users may write.

    Attributes:
        name: As users write it, without the package.
        value: A function or a class; of a method the function in it, of a
            property the property.
        owner: The class of a method or a property, else None.
    """

    name: str
    value: object
    owner: type | None = None


def public_names():
    """Functions and classes of `kgp` and its public modules, and results."""
    found = {}

    def add(name, value):
        if inspect.isclass(value) or inspect.isfunction(value):
            known = found.get(id(value))
            # The shortest way to write it.
            if known is None or len(name) < len(known.name):
                found[id(value)] = PublicName(name, value)

    for name in kgp.__all__:
        value = getattr(kgp, name)
        add(name, value)
        if isinstance(value, types.ModuleType):
            _add_module(add, name, value)
    spec = importlib.util.find_spec(f"{PACKAGE}.visualization")
    if spec is not None and "visualization" not in kgp.__all__:
        module = importlib.import_module(spec.name)
        _add_module(add, "visualization", module)
    for value in RESULTS:
        add(value.__name__, value)
    return sorted(found.values(), key=lambda each: each.name.lower())


def _add_module(add, name, module):
    for inside in module.__all__:
        add(f"{name}.{inside}", getattr(module, inside))


def public_members():
    """Methods and properties that the package gives the public classes.

    One that a class has from another class of the package is listed once.
    """
    found = {}
    for public in public_names():
        if not inspect.isclass(public.value):
            continue
        for owner in public.value.__mro__:
            if not owner.__module__.startswith(f"{PACKAGE}."):
                continue
            # A growable layer made of another class has that one's module.
            for name, value in vars(owner).items():
                if isinstance(value, (classmethod, staticmethod)):
                    value = value.__func__
                is_code = inspect.isfunction(value)
                is_code = is_code or isinstance(value, property)
                is_code = is_code or hasattr(value, "func")  # cached_property
                if name.startswith("_") or not is_code:
                    continue
                found.setdefault(
                    (owner, name),
                    PublicName(f"{public.name}.{name}", value, owner),
                )
    return sorted(found.values(), key=lambda each: each.name.lower())


def overridden(member):
    """What a member overrides of a class that is not the package's, or None.

    Looked for in all public classes that have it: a mixin overrides what
    stands behind it.
    """
    for public in public_names():
        if not inspect.isclass(public.value):
            continue
        classes = public.value.__mro__
        if member.owner not in classes:
            continue
        name = member.name.rpartition(".")[2]
        for each in classes[classes.index(member.owner) + 1 :]:
            is_ours = each.__module__.startswith(f"{PACKAGE}.")
            if not is_ours and each is not object and name in vars(each):
                return vars(each)[name]
    return None


def document_of(member):
    """A member's docstring, or that of what it overrides in the package."""
    name = member.name.rpartition(".")[2]
    for each in member.owner.__mro__:
        if each.__module__.startswith(f"{PACKAGE}."):
            text = getattr(vars(each).get(name), "__doc__", None)
            if text:
                return inspect.cleandoc(text)
    return None
