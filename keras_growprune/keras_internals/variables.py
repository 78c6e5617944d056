"""Variables that change their shape in place."""

from keras_growprune import backend
from keras_growprune.keras_internals.running import widths_are_unknown


class _Elastic:
    """A variable that has no size along some axes while it is traced.

    Keras compiles a convolution by XLA, once for each width and in silence,
    where the channels of input and kernel are not the same; so the kernel
    must not tell its present width where the input does not.
    """

    @property
    def shape(self):
        return self._value.shape if widths_are_unknown() else super().shape


_ELASTIC = {}  # made at first use: the class of a variable is the backend's


def make_elastic(variable, axes, value=None):
    """Lets a variable change its size along some axes, without a new trace.

    Optimizers find variables by what is behind them: before one is built.

    Args:
        variable: A `keras.Variable`.
        axes: List of axes.
        value: Array, the value that it is to have. Defaults to `None`: the
            one that it has.
    """
    kind = type(variable)
    if not axes or isinstance(variable, _Elastic):
        return
    if kind not in _ELASTIC:
        _ELASTIC[kind] = type(kind.__name__, (_Elastic, kind), {})
    raw = variable.value
    value = backend.read(raw) if value is None else value
    new = backend.elastic_variable(raw, value, axes)
    variable.__class__ = _ELASTIC[kind]
    _replace(variable, new)
    variable._shape = tuple(value.shape)
    backend.free(raw)


def bring_here(variables):
    """Moves variables to the device on which new ones are made.

    As with `make_elastic`, before an optimizer is built with them.

    Args:
        variables: List of `keras.Variable`.
    """
    raw = [variable.value for variable in variables]
    moving = {id(each) for each in backend.elsewhere(raw)}
    for variable, before in zip(variables, raw):
        if id(before) in moving:
            value = backend.read(before)
            _replace(variable, backend.elastic_variable(before, value, ()))
            backend.free(before)


def beside(variables):
    """Inside, new variables are made on the device that others are on.

    Args:
        variables: List of `keras.Variable`.
    """
    return backend.beside([variable.value for variable in variables])


def is_elastic(variable):
    return isinstance(variable, _Elastic)


def read_variable(variable):
    """The value of a variable as a NumPy array."""
    return backend.read(variable.value)


def read_copies(variable):
    """The values that the replicas of this worker have of a variable."""
    return [backend.read(each) for each in backend.copies_of(variable.value)]


def assign_copies(variable, values):
    """Puts back what `read_copies` returned."""
    copies = backend.copies_of(variable.value)
    for each, value in zip(copies, values):
        backend.assign(each, value)
    if is_elastic(variable):
        variable._shape = tuple(values[0].shape)


def assign_elastic(variable, value):
    """Gives a variable made elastic a value of another size."""
    backend.assign(variable.value, value)
    variable._shape = tuple(value.shape)


def resize_variable(variable, value):
    """Gives any variable a value of another shape; the object stays.

    Traced functions do not follow, nor do optimizers: see `OptimizerIndex`.

    Args:
        variable: A `keras.Variable`.
        value: Array, or a list of one for each replica of this worker.

    Returns:
        The TensorFlow variable that was replaced.
    """
    before = variable.value
    if isinstance(value, list):
        values, value = value, value[0]
        variable._initialize(value)
        assign_copies(variable, values)
    else:
        variable._initialize(value)
    variable._shape = tuple(value.shape)
    variable._ndim = len(value.shape)
    return before


def restore_variable(variable, raw):
    """Puts back what `resize_variable` returned."""
    _replace(variable, raw)
    variable._shape = tuple(raw.shape)
    variable._ndim = len(raw.shape)


def _replace(variable, raw):
    variable._value = raw
