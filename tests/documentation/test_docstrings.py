"""Every public name is documented: arguments, results, errors, an example.

The rules, in the style of Google (https://google.github.io/styleguide/pyguide):

- A function or class has a summary of one line, an entry in `Args:` for each
  argument (those of a constructor are in the class's docstring; the attributes
  of a dataclass are its arguments), `Returns:` where it returns something,
  `Raises:` where its own body raises, and an `Example:`.
- So have methods and properties, but for the example. A docstring that begins
  with "Returns" or "Whether", or that of a property, says what it returns.
- A method that overrides one of Keras with the same meaning has Keras's
  docstring. Only what it takes beyond that has to be explained.
- A method that overrides one of the package has that one's docstring.
"""

import dataclasses
import inspect

import pytest

from tests.documentation import audit
from tests.documentation import public_names


def lacks_of_name(public):
    """What the docstring of a public function or class lacks."""
    value = public.value
    text = value.__doc__ and inspect.cleandoc(value.__doc__)
    if inspect.isfunction(value):
        return audit.lacks(
            text,
            audit.parameters_of(value),
            returns=audit.returns_something(value),
            raises=audit.raises_directly(value),
            example=True,
        )
    arguments, raises = [], set()
    if inspect.isfunction(value.__init__):
        arguments = audit.parameters_of(value.__init__, is_method=True)
    for name in ("__init__", "__post_init__"):
        if name in vars(value):
            raises |= audit.raises_directly(vars(value)[name])
    return audit.lacks(
        text,
        arguments,
        raises=raises,
        example=True,
        attributes_count=dataclasses.is_dataclass(value),
    )


def lacks_of_member(member):
    """What the docstring of a method or property lacks."""
    value, text = member.value, public_names.document_of(member)
    if not inspect.isfunction(value):
        setters = [getattr(value, name, None) for name in ("fset", "fdel")]
        raises = set().union(
            *(audit.raises_directly(each) for each in setters if each)
        )
        is_keras = public_names.overridden(member) is not None
        return [] if is_keras and not text else audit.lacks(text, raises=raises)
    arguments = audit.parameters_of(value, is_method=not _is_static(member))
    other = public_names.overridden(member)
    if other is not None:
        known = audit.parameters_of(getattr(other, "__func__", other))
        # What Keras calls with anything (`call`, `compute_output_shape`) takes
        # what the class says under "Call arguments".
        takes_all = any(each.startswith("*") for each in known)
        arguments = [
            each
            for each in arguments
            if not (each in known or takes_all or each.startswith("*"))
        ]
        if not text and not arguments:
            return []
        named = audit.entries_of(audit.sections_of(text or "").get("Args", ""))
        # What it has in common with Keras it may explain or not.
        arguments += [each for each in named if each not in arguments]
        return audit.lacks(text, arguments, raises=_raises(value))
    says = bool(text) and text.startswith(("Returns ", "Whether "))
    return audit.lacks(
        text,
        arguments,
        returns=audit.returns_something(value) and not says,
        raises=_raises(value),
    )


def _raises(function):
    return audit.raises_directly(function) - {""}


def _is_static(member):
    name = member.name.rpartition(".")[2]
    return isinstance(vars(member.owner)[name], staticmethod)


def complaints(names, lacks):
    found = {each.name: lacks(each) for each in names}
    return [
        f"{name}: {'; '.join(each)}" for name, each in found.items() if each
    ]


def test_public_functions_and_classes_are_documented():
    names = public_names.public_names()
    assert len(names) > 50
    found = complaints(names, lacks_of_name)
    assert not found, "docstrings lack\n" + "\n".join(found)


def test_public_methods_and_properties_are_documented():
    members = public_names.public_members()
    assert len(members) > 100
    found = complaints(members, lacks_of_member)
    assert not found, "docstrings lack\n" + "\n".join(found)


DOCUMENTED = """Adds numbers.

    Further text, with a list: of things.

    Args:
        first, second: The numbers. A long entry
            that goes on: here.
        *rest, **others: More
            of them.

    Returns:
        Their sum.

    Raises:
        ValueError: If one is none.

    Example:

    ```python
    add(1, 2)
    ```
    """


@pytest.mark.parametrize(
    "before,after,complaint",
    [
        ("", "", None),
        ("Adds numbers.\n", "Adds numbers\n", "one-line summary"),
        (
            "Adds numbers.\n",
            "Adds numbers.\n    And so on.\n",
            "one-line summary",
        ),
        ("first, second:", "first:", "Args: second"),
        (", **others", "", "Args: **others"),
        ("Returns:", "It returns:", "Returns:"),
        ("ValueError", "OSError", "Raises: ValueError"),
        ("Raises:", "It raises:", "Raises: ValueError"),
        ("```python", "```py", "Example: with a ```python fence"),
        ("Example:", "For example:", "Example: with a ```python fence"),
    ],
)
def test_what_is_missing_is_named(before, after, complaint):
    def add(first, second, *rest, **others):
        if first is None:
            raise ValueError("none")
        return first + second

    text = inspect.cleandoc(DOCUMENTED.replace(before, after, 1))
    found = audit.lacks(
        text,
        audit.parameters_of(add),
        returns=audit.returns_something(add),
        raises=audit.raises_directly(add),
        example=True,
    )
    assert found == ([] if complaint is None else [complaint])


def test_an_argument_that_is_gone_is_named():
    text = "Does it.\n\nArgs:\n    here: One.\n    gone: Another."
    assert audit.lacks(text, ["here"]) == [
        "no Args: gone (not in the signature)"
    ]


def test_no_docstring_is_named():
    assert audit.lacks(None) == ["docstring"]
