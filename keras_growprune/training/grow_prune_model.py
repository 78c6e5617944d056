"""The model that grows and prunes itself inside `fit`."""

import functools
import random

import keras

from keras_growprune import backend
from keras_growprune import keras_internals
from keras_growprune.export import CompileArguments
from keras_growprune.structure import check_not_rewritten
from keras_growprune.training import validation
from keras_growprune.training.agreement import seed_of_all
from keras_growprune.training.best_epochs import BestEpochs
from keras_growprune.training.blueprint import Blueprint
from keras_growprune.training.checked_arguments import check_fit
from keras_growprune.training.checked_arguments import explained
from keras_growprune.training.checked_strategy import check_distributed_fit
from keras_growprune.training.deployable import Deployable
from keras_growprune.training.distillation import Distillation
from keras_growprune.training.distillation import check_distillation
from keras_growprune.training.first_step import FirstStep
from keras_growprune.training.growth_callback import GrowthCallback
from keras_growprune.training.growth_controller import GrowthController
from keras_growprune.training.other_trainers.own_loops import OwnLoops
from keras_growprune.training.progress_bar import progress_bars
from keras_growprune.training.recalibration import recalibrate
from keras_growprune.training.saving.saved_with_structure import (
    SavedWithStructure,
)
from keras_growprune.training.summary import structure_table
from keras_growprune.training.training_step import training_step

# Place of `jit_compile` among the arguments of `compile`.
_JIT = 7


@keras.saving.register_keras_serializable(package="keras_growprune")
class GrowPruneModel(
    SavedWithStructure, OwnLoops, Deployable, keras_internals.LazyFunctional
):
    """A functional model whose structure grows and is pruned inside `fit`.

    Training starts from a small seed network. At the beginning of each epoch
    (or more often, see `GrowthSchedule`) filters, units and gated layers are
    bought and sold, in place, so that the cost follows the schedule: up past
    the budget, back to it, and then the structure is settled and trained to
    the end. Everything else is a Keras model as you know it.

    Args:
        inputs, outputs: As in `keras.Model`. The layers between them are
            written with growable layers (`GrowableConv2D`, `GatedLSTM`, ...),
            `GatedAdd` and `GatedSkip`; plain Keras layers follow along.
        budget: A `Budget`, what the final network may cost.
        schedule: A `GrowthSchedule`. Defaults to `None`: the rule's own for
            what the budget bounds (under a budget of time, the default rule
            starts shallow and wide).
        rule: `"saliency"` (default): units are priced by what they are worth
            to the loss. `"paper"`: logits are trained under a penalty, and
            structures are sampled (Yuan et al., ICLR 2021). Or an object of
            a subclass of `keras_growprune.growth.Rule`.
        width_multiple: Positive integer. Widths are multiples of it (or the
            full width), which many devices compute fastest. `"auto"`: the
            block of the budget's device. Defaults to 1. Under a budget of
            time, widths are multiples of the device's block in any case.
        seed: Integer, of all random numbers that growing draws. Defaults to
            `None`: drawn, reproducibly after `keras.utils.set_random_seed`.
        keep_weights: Whether the seed network consists of those units whose
            weights are largest, with the weights that they have. Defaults to
            `False`: fresh ones. (With a seed of the full size they stay in any
            case.)
        name: As in `keras.Model`.
        trainable: As in `keras.Model`.

    Others may train it as well: an outer model (`callbacks.Grow`), or a loop of
    your own (`begin_epoch`, `end_epoch`).

    The logs of each epoch get the entries `cost` (in the budget's measure),
    `flops` and `params`, as fractions of the full network; `price`, the worth
    per cost at which the last unit was bought or sold (the paper's rule: its
    lambda); and `settled`, 1.0 once the structure is final. The progress bar
    shows the cost alone.

    Attributes:
        ledger: A `Ledger`, what each epoch of training cost.

    Raises:
        ValueError: If an argument is invalid, the network has nothing to
            grow, one of its growable layers is used elsewhere, or the budget
            cannot be met.

    Example:

    ```python
    inputs = keras.Input((28, 28, 1))
    x = kgp.layers.GrowableConv2D(32, 3, use_bias=False)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(10)(x)
    model = kgp.GrowPruneModel(inputs, outputs, budget=kgp.Budget(flops=0.5))
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(images, labels, epochs=20)
    model.settled  # True
    small = model.compact()
    ```
    """

    def __init__(
        self,
        inputs,
        outputs,
        budget,
        schedule=None,
        rule="saliency",
        width_multiple=1,
        seed=None,
        keep_weights=False,
        name=None,
        trainable=None,
    ):
        validation.check_arguments(
            inputs, outputs, budget, schedule, width_multiple, seed
        )
        rule_object = validation.get_rule(rule)
        extra = {} if trainable is None else {"trainable": trainable}
        super().__init__(inputs=inputs, outputs=outputs, name=name, **extra)
        check_not_rewritten(self)
        if seed is None:
            seed = random.randint(0, 2**31 - 1)  # as Keras draws its own
        self._seed = seed_of_all(backend.replicas_of(self), int(seed))
        self.gate_optimizer = None
        self._distillation = None
        self._jit_is_auto = True
        blueprint = Blueprint(
            self, budget, schedule, rule_object, width_multiple
        )
        self._growth = GrowthController(
            self, blueprint, self._seed, keep_weights
        )
        network = self._growth.network
        # As attributes of the model Keras finds their variables.
        self._unit_gate = network.gates.unit_gate
        self._layer_gate = network.gates.layer_gate
        keras_internals.train_with(self, self._unit_gate)
        keras_internals.train_with(self, self._layer_gate)
        self._call_plan = network.plan
        self._width_multiple = width_multiple
        self.save_in_checkpoints()

    # What it is now

    @property
    def budget(self):
        """The `Budget`, what the final network may cost."""
        return self._growth.blueprint.budget

    @property
    def schedule(self):
        """The `GrowthSchedule` of its cost: the given one, or the rule's."""
        return self._growth.blueprint.schedule

    @property
    def rule(self):
        """Name of the rule by which it grows, such as `"saliency"`."""
        return self._growth.blueprint.rule.name

    @property
    def structure(self):
        """The present `Structure`: which units and gated layers there are."""
        return self._growth.network.structure

    @property
    def groups(self):
        """List of `Group`: units that live and die together."""
        return list(self._growth.blueprint.map.groups)

    @property
    def settled(self):
        """Whether the structure is final."""
        return self._growth.state.settled

    @property
    def ledger(self):
        """A `Ledger`, what each epoch of training cost."""
        return self._growth.ledger

    @property
    def widths(self):
        """Present width of each group, by the name of its first layer."""
        names = [group.name for group in self.groups]
        widths = self._growth.network.widths()
        return {name: int(width) for name, width in zip(names, widths)}

    def structure_summary(self, print_fn=None):
        """Prints widths, gates, cost, and what training has cost so far.

        Args:
            print_fn: Function to print with. Defaults to `print`.
        """
        (print_fn or print)(structure_table(self._growth))

    def coupling_report(self):
        """What depends on what, and what cannot change and why.

        Returns:
            A `CouplingReport`; `print` it, or read its attributes.
        """
        growth = self._growth
        return growth.blueprint.report.with_traces(
            growth.network.one_trace.reasons
        )

    # Training

    def compile(self, *args, gate_optimizer=None, **kwargs):
        """Configures the model for training.

        Args:
            gate_optimizer: Optimizer of the structure gates' logits, for rules
                that train them. Defaults to `None`: the model's optimizer.
            *args, **kwargs: As in `keras.Model.compile`. With its
                `jit_compile="auto"` XLA waits until the structure is settled.
        """
        before = getattr(self, "_jit_is_auto", True)
        given = args[_JIT] if len(args) > _JIT else "auto"
        asked = kwargs.get("jit_compile", given)
        self._jit_is_auto = asked == "auto"
        try:
            super().compile(*args, **kwargs)
        except BaseException:
            self._jit_is_auto = before
            raise
        self.compile_arguments = CompileArguments(*args, **kwargs)
        self._growth.functions.clear()
        if gate_optimizer is not None:
            gate_optimizer = keras.optimizers.get(gate_optimizer)
        self.gate_optimizer = gate_optimizer

    @property
    def distillation(self):
        """A `Distillation` whose teacher `fit` listens to as well, or None.

        It may be set at any time between two calls of `fit`.

        Raises:
            ValueError: If it is set to something else, or to a teacher from
                whom the model cannot learn.
        """
        return self._distillation

    @distillation.setter
    def distillation(self, value):
        if value is not None:
            if not isinstance(value, Distillation):
                raise ValueError(
                    "Attribute `distillation` must be a `Distillation`, or "
                    f"None. Received: {value!r}"
                )
            value.check(self)
        self._distillation = value
        self.distillation_left_behind = None
        self.train_function = None
        self._growth.functions.clear()

    @property
    def jit_compile(self):
        """Whether steps are compiled by XLA.

        Left to Keras (`"auto"`), they are not while the network grows: each
        structure would be compiled.
        """
        compiles = keras.Model.jit_compile.fget(self)
        growth = getattr(self, "_growth", None)
        waits = self._jit_is_auto and not (growth and growth.state.settled)
        return compiles and not waits

    @jit_compile.setter
    def jit_compile(self, value):
        keras.Model.jit_compile.fset(self, value)

    def get_compile_config(self):
        config = super().get_compile_config()
        if config and self._jit_is_auto:
            config["jit_compile"] = "auto"
        if config and self.gate_optimizer is not None:
            config["gate_optimizer"] = keras.saving.serialize_keras_object(
                self.gate_optimizer
            )
        return config

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self._build_optimizers()
        self._growth.attach_optimizer()

    def optimizer_variables(self):
        """Returns what the model's optimizer trains, a list of variables.

        All trainable variables, without the logits of structure gates where
        they have an optimizer of their own (`gate_optimizer`).
        """
        apart = (
            []
            if self.gate_optimizer is None
            else self._growth.network.gates.variables()
        )
        apart = {id(variable) for variable in apart}
        return [v for v in self.trainable_variables if id(v) not in apart]

    def _build_optimizers(self):
        gates = self._growth.network.gates.variables()
        with backend.replicas_of(self).scope():
            if not self.optimizer.built:
                self.optimizer.build(self.optimizer_variables())
            if self.gate_optimizer is None:
                return
            if not self.gate_optimizer.built:
                self.gate_optimizer.build(gates)
            keras_internals.reduce_at_most_once(self.gate_optimizer)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        *,
        initial_epoch=0,
        growth_epochs=None,
        growth_line="auto",
        **kwargs,
    ):
        """Trains the model, growing and pruning it between epochs.

        Args:
            growth_epochs: Positive integer, length of the whole run in
                epochs. Defaults to `None`: the epochs trained so far plus
                those of this call. Give it when you call `fit` in pieces.
            growth_line: Whether each epoch begins with a line about widths,
                cost and price, until the structure is settled. Defaults to
                `"auto"`: where there is a progress bar (`verbose=1`).
            x, y, batch_size, epochs, verbose, callbacks, initial_epoch: As in
                `keras.Model.fit`.
            **kwargs: All its other arguments.

        Returns:
            A `keras.callbacks.History`, with the entries that the class
            description names.

        Raises:
            ValueError: If an argument cannot work, or the optimizer's state
                cannot follow a change of shape (Adafactor), before any
                training.
            FloatingPointError: If a restructuring is due after an epoch whose
                loss was not finite; the structure is left as it was.
        """
        is_ready = keras_internals.is_callback_list(callbacks)
        given = callbacks.callbacks if is_ready else callbacks
        given = keras.tree.flatten(given or [])
        numbers = {"epochs": epochs, "initial_epoch": initial_epoch}
        check_fit(self, x, y, given, batch_size=batch_size, **numbers, **kwargs)
        self.check_checkpoints(given)
        first = FirstStep()
        ours = [
            first,
            GrowthCallback(self._growth, growth_line),
            BestEpochs(self._growth, given),
        ]
        if self.compiled:  # else Keras says so
            check_distributed_fit(self)
            check_distillation(self)
            self._growth.others.leave()
            self._build_optimizers()
            self._growth.prepare_run(epochs, initial_epoch, growth_epochs)
        if is_ready:
            for callback in reversed(ours):
                callback.set_model(self)
                keras_internals.prepend_callback(callbacks, callback)
        else:
            callbacks = [*ours, *given, *progress_bars(given, verbose)]
        self._growth.is_fitting = True
        try:
            with explained(self, "Training"):
                return super().fit(
                    x,
                    y,
                    batch_size,
                    epochs,
                    verbose,
                    callbacks,
                    initial_epoch=initial_epoch,
                    **kwargs,
                )
        except BaseException:
            first.take_back()
            raise
        finally:
            self._growth.is_fitting = False
            for callback in ours if is_ready else ():
                callbacks.callbacks.remove(callback)

    def train_step(self, data):
        self._growth.functions.note_trace("train")
        with self.own_step():
            logs = training_step(self, self._growth.network, data)
        return backend.to_be_averaged(logs)

    def test_step(self, data):
        self._growth.functions.note_trace("test")
        return super().test_step(data)

    def predict_step(self, data):
        self._growth.functions.note_trace("predict")
        return super().predict_step(data)

    def make_train_function(self, force=False):
        if self.compiled:
            # What is traced has to know the optimizer's state as it will be.
            self._build_optimizers()
            if self._growth.others.optimizer is not self.optimizer:
                self._growth.others.leave()
            self._growth.attach_optimizer()
        make = super().make_train_function
        if type(self).train_step is not GrowPruneModel.train_step:
            make = functools.partial(self._make_with_own_step, make)
        self._keep_function("train", make, force)
        return self.train_function

    def make_test_function(self, force=False):
        self._keep_function("test", super().make_test_function, force)
        return self.test_function

    def make_predict_function(self, force=False):
        self._keep_function("predict", super().make_predict_function, force)
        return self.predict_function

    def _keep_function(self, kind, make, force):
        name = f"{kind}_function"
        before = getattr(self, name)
        make(force=force)
        made = getattr(self, name)
        if made is not before:
            setattr(self, name, self._growth.functions.wrap(kind, made))

    def settle(self):
        """Lands on the budget now; from here on the structure is final."""
        self._growth.settle()
        self._growth.network.norms.refresh(self)

    def restructure(self, structure):
        """Gives the network a structure of your own choice, now.

        Units that stay keep their weights and optimizer slots exactly, units
        that come back have theirs again, newcomers start without effect on
        the outputs.

        Args:
            structure: A `Structure` of this network. Its groups and gates are
                found by their names, where it knows them.

        Raises:
            ValueError: If it has other groups or gates, or a group would be
                empty.
        """
        self._growth.restructure(structure)

    def recalibrate(self, x, batch_size=None, steps=None):
        """Measures the statistics of all batch norms anew.

        Averages them over a data set without training anything, which makes
        validation exact right after a change of structure or of weights.

        Args:
            x: A `tf.data.Dataset` of batches (inputs, or tuples that begin
                with inputs), or an array.
            batch_size: Batch size for an array. Defaults to `None`: 32.
            steps: Most batches to use. Defaults to `None`: all.
        """
        recalibrate(self, self._growth.network.norms, x, batch_size, steps)
