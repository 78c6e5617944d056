"""Lets one traced function serve every width of a network."""

import keras
import numpy as np
from keras import ops

from keras_growprune import backend
from keras_growprune import keras_internals
from keras_growprune.structure import axes_of
from keras_growprune.structure import recurrent_parts
from keras_growprune.structure import registered_class
from keras_growprune.structure.unknown_widths import TRY


class OneTrace:
    """Variables of unknown width, and layers that do not mind.

    While a function is traced, widths are read from the device: variables do
    not tell them, and attributes that count units (`filters`, `units`,
    `target_shape`, ...) are tensors. Outside, everything tells what is there.

    Where a layer needs a width that is known, all stays as Keras has it, and
    functions have to be traced anew for each structure.

    Args:
        channel_map: A `ChannelMap`, of the network at its full width.

    Attributes:
        reasons: Maps the names of layers that need known widths to why. Where
            it is empty, one trace serves all widths.
    """

    def __init__(self, channel_map):
        self._map = channel_map
        # XLA must know widths when it compiles, and it knows all shapes: so
        # each is told by the length of a vector.
        everything = np.ones(channel_map.unit_count, bool)
        self._widths = [
            [backend.IndexVector("width") for _ in _counts_of(each, everything)]
            for each in channel_map.attributes
        ]
        self._tell(everything)
        # Layers with weights whose sizes may change.
        self._elastic = {
            id(weight.layer)
            for weight in channel_map.weights
            if channel_map.elastic_axes(weight)
        }
        self.reasons, forms = {}, {}
        for call in self._calls_that_change():
            form = _form(call, id(call.layer) in self._elastic)
            if isinstance(form, str) and form != TRY:
                self.reasons[call.layer.name] = form
            elif form is not None:
                forms[id(call.layer)] = call, form
        if backend.present_replicas().need_known_sizes:
            self.reasons["strategy"] = (
                "the devices of this strategy compile for known sizes"
            )
        if not self.reasons:
            self._prepare(forms)

    def __bool__(self):
        return not self.reasons

    def set_widths(self, structure):
        """Tells traced functions the widths of a structure."""
        if self:
            self._tell(structure.units)

    def _tell(self, units):
        for attribute, widths in zip(self._map.attributes, self._widths):
            for width, count in zip(widths, _counts_of(attribute, units)):
                if width.length != count:
                    width.assign(np.zeros(count))

    def make_elastic(self, weight, variable, value=None):
        """Lets a variable, or a slot of it, take any width from now on.

        Before an optimizer is built with the variable.

        Args:
            weight: The `WeightAxes` that it is, or belongs to.
            variable: The `keras.Variable`.
            value: Array, its new value. Defaults to `None`: it keeps its own.
        """
        if self:
            axes = self._map.elastic_axes(weight)
            keras_internals.make_elastic(variable, axes, value)

    def make_all_elastic(self):
        """Makes the rest elastic, once the first structure is there."""
        for weight in self._map.weights:
            self.make_elastic(weight, weight.variable)

    def needs_elastic(self, weight, variable):
        """Whether a variable, or a slot of it, still has to be made elastic.

        What the first structure changes becomes elastic as it gets the size
        that it has there: so the device need not hold the full network.
        """
        is_fixed = not self._map.elastic_axes(weight)
        return not (is_fixed or keras_internals.is_elastic(variable))

    def check_optimizer(self, optimizer):
        """Gives one trace up, where an optimizer needs known widths."""
        reason = keras_internals.why_shapes_are_needed(optimizer)
        if reason is not None:
            self.give_up("optimizer", reason, optimizer)

    def give_up(self, name, reason, optimizer=None):
        """Goes back to variables of known sizes, and a trace per structure.

        Args:
            name: Who needs them.
            reason: Why, for the report.
            optimizer: The optimizer that is built with the variables, if any.
        """
        if self:
            self._take_back(optimizer)
        self.reasons[name] = reason

    def shape_while_tracing(self, tensor):
        """What is known of a symbolic tensor's shape at all widths."""
        shape = [None, *tensor.shape[1:]] if len(tensor.shape) else []
        known = self._map.channels.get(id(tensor))
        if known is not None and self._changes(known.units):
            shape[known.axis] = None
        return shape

    def _changes(self, units):
        return bool((units < self._map.unit_count).any())

    def _calls_that_change(self):
        """Calls that read or write channels that may come and go."""
        for call in self._map.calls:
            known = [
                self._map.channels.get(id(tensor))
                for tensor in call.inputs + call.outputs
            ]
            if id(call.layer) in self._elastic or any(
                each is not None and self._changes(each.units) for each in known
            ):
                yield call

    def _prepare(self, forms):
        for attribute, widths in zip(self._map.attributes, self._widths):
            if self._changes(attribute.units):
                self._adapt_attribute(attribute, widths)
        for call, form in forms.values():
            if isinstance(form, dict):
                settings = {k: self._while_tracing(f) for k, f in form.items()}
                keras_internals.adapt(call.layer, **settings)
            elif form != TRY:
                keras_internals.adapt(call.layer, call=form)
        for call, form in forms.values():
            reason = self._try(call) if form == TRY else None
            if reason is not None:
                self.give_up(call.layer.name, reason)

    def _take_back(self, optimizer=None):
        built = [] if optimizer is None else [optimizer]
        index = keras_internals.OptimizerIndex(built)
        for weight in self._map.weights:
            value = keras_internals.read_variable(weight.variable)
            raw = keras_internals.resize_variable(weight.variable, value)
            backend.free(raw)
        index.renew()

    def _while_tracing(self, function):
        """A setting that differs only while a function is traced."""

        def read(value):
            unknown = self and keras_internals.widths_are_unknown()
            return function(value) if unknown else value

        return read

    def _adapt_attribute(self, attribute, widths):
        def count(value):
            # Zero says that the layer is not in the network.
            return ops.shape(widths[0].value())[0] if value else value

        def counts(value):
            return tuple(ops.shape(width.value())[0] for width in widths)

        def shape(value):
            where = attribute.place
            return (*value[:where], count(1), *value[where + 1 :])

        layer, name = attribute.layer, attribute.name
        parts = recurrent_parts(layer)
        if parts and name == "units":
            of_list = self._while_tracing(lambda v: [count(n) for n in v])
            of_one = self._while_tracing(count)
            several = isinstance(layer.cell.state_size, (list, tuple))
            keras_internals.adapt(layer, state_size=of_list)
            keras_internals.adapt(
                layer.cell,
                units=of_one,
                output_size=of_one,
                state_size=of_list if several else of_one,
            )
            return
        read = counts
        if hasattr(attribute, "template"):
            read = count if attribute.template is None else shape
        keras_internals.adapt(layer, **{name: self._while_tracing(read)})

    def _try(self, call):
        """Why a layer needs known widths, or None: called with unknown ones."""
        for weight in self._map.weights:
            if weight.layer is call.layer:
                self.make_elastic(weight, weight.variable)
        keras_tensors = {id(tensor): tensor for tensor in call.inputs}
        tensors = list(keras_tensors.values())
        random = np.random.default_rng(0)
        arrays, axes = [], []
        for tensor in tensors:
            shape = [2, *(3 if n is None else n for n in tensor.shape[1:])]
            dtype = keras.backend.standardize_dtype(tensor.dtype)
            values = random.normal(size=shape)
            arrays.append(values.astype("float32").astype(dtype))
            known = self._map.channels.get(id(tensor))
            changes = known is not None and self._changes(known.units)
            axes.append(known.axis if changes else None)

        def run(*values):
            by_id = {id(t): value for t, value in zip(tensors, values)}
            args, kwargs = call.node.arguments.fill_in(by_id)
            return call.operation(*args, **kwargs)

        try:
            with keras_internals.doing("call", call.layer):
                found, shapes = backend.call_with_unknown_sizes(
                    run, arrays, axes
                )
            expected = keras.tree.flatten(run(*arrays))
        except Exception as error:  # whatever it does: it does not run
            text = " ".join(str(error).split())
            return f"traced without known widths, it fails: {text[:200]}"
        for tensor, shape in zip(call.outputs, shapes):
            known = self._map.channels.get(id(tensor))
            if known is not None and self._changes(known.units):
                if shape[known.axis] is not None:
                    return "its output has a width of its own while tracing"
        for one, other in zip(found, expected):
            if not np.allclose(one, other, rtol=1e-3, atol=1e-5):
                return "without known widths it computes something else"
        return None


def _form(call, is_elastic):
    """How a call computes without known widths: see `unknown_widths`.

    Args:
        call: The call.
        is_elastic: Whether its layer has weights whose sizes may change.
    """
    layer = call.layer
    known = axes_of(layer)
    if known is None:
        return None  # it touches nothing that changes
    is_norm = isinstance(layer, keras.layers.BatchNormalization)
    if is_norm or known.channels == "recurrent":
        mask = call.keywords.get("mask")
        if mask is not None or keras_internals.has_mask(call.inputs[0]):
            return "its inputs are masked"
    if _computes_its_own_way(layer):
        return TRY
    if is_norm and not is_elastic:
        return None  # it keeps statistics of positions
    if known.unknown_widths is None or known.unknown_widths == TRY:
        return known.unknown_widths
    return known.unknown_widths(layer)


def _computes_its_own_way(layer):
    """Whether a class overrides how the class in the table computes."""
    kind = keras_internals.original_class(layer)
    known = registered_class(kind)
    return known is not None and kind.call is not known.call


def _counts_of(attribute, units):
    """All numbers of an attribute that depend on the structure, a list."""
    value = attribute.value(units)
    if not isinstance(value, tuple):
        return [value]
    if hasattr(attribute, "template"):
        return [value[attribute.place]]
    return list(value)
