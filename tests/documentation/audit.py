"""What a docstring lacks."""

import ast
import inspect
import re
import textwrap

SECTIONS = (
    "Args",
    "Attributes",
    "Call arguments",
    "Example",
    "Raises",
    "Returns",
    "Yields",
)
_HEADER = re.compile(r"\*{0,2}\w+(,\s+\*{0,2}\w+)*\Z")


def sections_of(text):
    """The named sections of a docstring.

    Args:
        text: The docstring, as `inspect.cleandoc` returns it.

    Returns:
        Dict of the texts of the sections, without their indentation; under
        `""` what is in none.
    """
    found, name = {"": []}, ""
    for line in text.splitlines():
        is_title = line.endswith(":") and line[:-1] in SECTIONS
        if is_title:
            name = line[:-1]
            found.setdefault(name, [])
            continue
        # `Example:` holds a fence that is not indented.
        ends = line and not line.startswith(" ") and name != "Example"
        if ends:
            name = ""
        found[name].append(line)
    return {
        key: textwrap.dedent("\n".join(lines)).strip("\n")
        for key, lines in found.items()
    }


def entries_of(section):
    """Names that a section explains, `*args` and `**kwargs` with stars.

    Args:
        section: Text such as `x, y: Two numbers.`

    Returns:
        List of names.
    """
    parts = re.split(r"\n(?=\S)", section)
    names = []
    for part in parts:
        header, colon, _ = part.partition(":")
        if colon and _HEADER.match(header):
            names += re.split(r",\s+", header)
    return names


def parameters_of(function, is_method=False):
    """Names of what a function takes, with the stars of `*args`, `**kwargs`."""
    parameters = list(inspect.signature(function).parameters.values())
    stars = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
    return [
        stars.get(each.kind, "") + each.name
        for each in parameters[1 if is_method else 0 :]
    ]


def returns_something(function):
    """Whether a function returns anything but None."""
    return any(
        isinstance(node, ast.Return)
        and node.value is not None
        and not (isinstance(node.value, ast.Constant) and not node.value.value)
        for node in _own_nodes(function)
    )


def raises_directly(function):
    """Names of the errors that a function's own body raises.

    An error that a function makes (`raise refusal(...)`) is `""`.
    """
    names = set()
    for node in _own_nodes(function):
        if not isinstance(node, ast.Raise) or node.exc is None:
            continue
        made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        name = made.id if isinstance(made, ast.Name) else ""
        is_error = name.endswith("Error") and isinstance(node.exc, ast.Call)
        names.add(name if is_error else "")
    return names


def _own_nodes(function):
    """Nodes of a function's body, without those of functions inside it."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(source).body[0]
    except (OSError, SyntaxError, TypeError):
        return
    stack = list(getattr(tree, "body", []))
    while stack:
        node = stack.pop()
        if not isinstance(
            node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        ):
            yield node
            stack.extend(ast.iter_child_nodes(node))


def lacks(
    text,
    arguments=(),
    *,
    returns=False,
    raises=(),
    example=False,
    attributes_count=False,
):
    """What a docstring lacks, as a list of phrases.

    Args:
        text: The docstring, as `inspect.cleandoc` returns it, or None.
        arguments: What it has to explain.
        returns: Whether it has to say what is returned.
        raises: Errors that it has to name; `""` for any.
        example: Whether it has to have an example.
        attributes_count: Whether `Attributes:` may explain arguments, as of a
            dataclass.
    """
    if not text:
        return ["docstring"]
    found = []
    lines = text.splitlines()
    if not re.search(r"[.:]\Z", lines[0]) or lines[1:2] not in ([], [""]):
        found.append("one-line summary")
    sections = sections_of(text)
    explained = entries_of(sections.get("Args", ""))
    if attributes_count:
        explained += entries_of(sections.get("Attributes", ""))
    missing = [each for each in arguments if each not in explained]
    if missing:
        found.append(f"Args: {', '.join(missing)}")
    if not any(each.startswith("*") for each in arguments):
        rest = [
            each
            for each in entries_of(sections.get("Args", ""))
            if each not in arguments
        ]
        if rest:
            found.append(f"no Args: {', '.join(rest)} (not in the signature)")
    if returns and not sections.get("Returns"):
        found.append("Returns:")
    named = sections.get("Raises", "")
    for error in sorted(raises):
        if not re.search(rf"\b{error}\b", named) or not named:
            found.append(f"Raises: {error}".strip())
    if example and "```python\n" not in sections.get("Example", ""):
        found.append("Example: with a ```python fence")
    return found
