"""Runs the examples of docstrings and pages, and checks what they claim.

An example is the text of a fence that opens with ```python (and maybe more,
such as a title). Behind an expression a comment that is a Python literal tells
its value, as in `sum([1, 2])  # 3`: the two must be equal, and floats about.
Behind `print(...)` it tells the value of what is printed.
"""

import ast
import contextlib
import io
import linecache
import math
import re
import tokenize
from typing import NamedTuple

import numpy as np

# What a run takes in a test, whatever the example says.
EPOCHS = 2
SECONDS = 1
# Of what a comment says it is enough to have this in common.
RELATIVE, ABSOLUTE = 1e-3, 1e-6

_FENCE = re.compile(
    r"^(?P<indent>[ ]*)```python(?:[ ][^\n`]*)?\n"
    r"(?P<code>.*?)"
    r"^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One fence.

    Attributes:
        code: Its text, without the indentation of the fence.
        line: Number of its first line in the text around it, from 1.
    """

    code: str
    line: int


def blocks_of(text):
    """The Python fences of a text, a list of `Block`."""
    found = []
    for match in _FENCE.finditer(text):
        indent = len(match["indent"])
        lines = match["code"].splitlines()
        code = "\n".join(line[indent:] for line in lines) + "\n"
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Block(code, line))
    return found


def run(code, namespace, name, first_line=1):
    """Runs an example.

    Args:
        code: Its text.
        namespace: Dict of names, which also takes those that it makes.
        name: What tracebacks call it.
        first_line: Number of its first line there.

    Raises:
        AssertionError: If a value is not what a comment says.
    """
    filename = f"<{name}>"
    # So that tracebacks show the lines, and autograph finds them.
    lines = ["\n"] * (first_line - 1) + code.splitlines(keepends=True)
    linecache.cache[filename] = (len(code), None, lines, filename)
    tree = ast.increment_lineno(ast.parse(code, filename), first_line - 1)
    values = {
        line + first_line - 1: value for line, value in _values_of(code).items()
    }
    tree = ast.fix_missing_locations(_Shorter().visit(tree))
    for statement in tree.body:
        expected = values.get(statement.end_lineno)
        if isinstance(statement, ast.Expr) and expected is not None:
            expression = ast.Expression(_shown(statement.value))
            value = eval(compile(expression, filename, "eval"), namespace)
            assert is_same(value, expected[0]), (
                f"{name}, line {statement.end_lineno}: "
                f"`{ast.unparse(statement)}` is {value!r}, and not "
                f"{expected[0]!r} as its comment says"
            )
        else:
            module = ast.Module([statement], type_ignores=[])
            exec(compile(module, filename, "exec"), namespace)


def _shown(node):
    """The expression whose value a comment tells: what `print` is given."""
    is_print = isinstance(node, ast.Call) and (
        getattr(node.func, "id", None) == "print"
    )
    if is_print and len(node.args) == 1 and not node.keywords:
        return node.args[0]
    return node


def is_same(value, expected):
    """Whether a value is what a comment says.

    Args:
        value: Anything; arrays and tensors count as lists.
        expected: What the comment says, of Python's own types.
    """
    if hasattr(value, "numpy"):
        value = value.numpy()
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(expected, (bool, str, bytes)) or expected is None:
        return type(value) is type(expected) and value == expected
    if isinstance(expected, (int, float, complex)):
        if isinstance(value, bool) or not isinstance(value, type(expected)):
            return False
        if not isinstance(expected, float):
            return value == expected
        return math.isclose(value, expected, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    if isinstance(expected, dict):
        return (
            isinstance(value, dict)
            and value.keys() == expected.keys()
            and all(is_same(value[key], expected[key]) for key in expected)
        )
    if isinstance(expected, set):
        return value == expected
    return (
        isinstance(value, (list, tuple))
        and len(value) == len(expected)
        and all(map(is_same, value, expected))
    )


def _values_of(code):
    """What comments at the ends of lines say, where it is a literal.

    Returns:
        Dict of tuples with one value, by the number of the line.
    """
    found = {}
    code_lines = set()
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] in code_lines:
                with contextlib.suppress(ValueError, SyntaxError, TypeError):
                    text = token.string.lstrip("#").strip()
                    found[token.start[0]] = (ast.literal_eval(text),)
        elif token.string.strip():
            code_lines.update(range(token.start[0], token.end[0] + 1))
    return found


class _Shorter(ast.NodeTransformer):
    """Lets runs be short: few epochs, and little time for measuring."""

    def visit_Call(self, node):
        self.generic_visit(node)
        name = getattr(node.func, "attr", None)
        if name in ("fit", "begin_epoch"):
            _bound(node, "epochs", EPOCHS)
        if name == "measure":
            node.keywords = [k for k in node.keywords if k.arg != "seconds"]
            seconds = ast.Constant(SECONDS)
            node.keywords.append(ast.keyword("seconds", seconds))
        return node

    def visit_For(self, node):
        self.generic_visit(node)
        is_range = isinstance(node.iter, ast.Call) and (
            getattr(node.iter.func, "id", None) == "range"
        )
        name = getattr(node.target, "id", "")
        if is_range and name == "epoch" and len(node.iter.args) == 1:
            node.iter.args = [_at_most(node.iter.args[0], EPOCHS)]
        return node


def _bound(call, name, most):
    for keyword in call.keywords:
        if keyword.arg == name:
            keyword.value = _at_most(keyword.value, most)


def _at_most(node, most):
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return ast.copy_location(ast.Constant(min(node.value, most)), node)
    return node
