"""What a training loop of the user's own calls on a growing model."""

import functools

from keras_growprune import backend
from keras_growprune.training.growth_callback import GrowthCallback
from keras_growprune.training.other_trainers import loop_validation


class OwnLoops:
    """Mixin of a growing model: it grows in loops that are not `fit`.

    The loop says where its epochs begin and end. All else is seen where the
    model is called with `training=True` and where the optimizer is handed the
    gradients, so the steps are written as ever.
    """

    _own_loop = None

    def begin_epoch(self, epochs, optimizer=None, steps=None):
        """Begins an epoch of a training loop of your own.

        Here the structure changes where it is time to. Between this call and
        `end_epoch`, steps call the model with `training=True`, and give the
        gradients of `model.trainable_variables` (others may be among them) to
        the optimizer's `apply` or `apply_gradients`. An epoch that was broken
        off is begun anew.

        A step may be a `tf.function` if the network has no gated layers, one
        trace serves all its widths (`coupling_report().traced_anew` is
        empty), and it is not traced before the first epoch begins.
        `model.traced(step)` may be used in any case.

        Norms without gamma, gated skips and recurrent layers in front of norms
        have no weights to read their worth from: there all gradients count
        that are taken through the model. Keep those of other losses on a
        tape that does not see the model.

        Args:
            epochs: Positive integer, length of the whole run in epochs,
                with what was trained before.
            optimizer: The `keras.optimizers.Optimizer` that trains the model.
                If it is not built yet, it is built with the variables of this
                model. Defaults to `None`: the one it was compiled with, which
                is saved with the model.
            steps: Positive integer, training steps of an epoch, for short
                runs and schedules that change the structure within epochs:
                then call `begin_step` before each step. Defaults to `None`:
                it changes between epochs only.

        Raises:
            ValueError: If an argument is invalid, `fit` is running, or the
                optimizer's state cannot follow a change of shape. Nothing is
                changed then.
            FloatingPointError: If a restructuring is due after an epoch whose
                loss was not finite; the structure is left as it was.

        Example:

        ```python
        loss_function = keras.losses.SparseCategoricalCrossentropy(
            from_logits=True
        )
        optimizer = keras.optimizers.Adam()
        batches = tf.data.Dataset.from_tensor_slices((images, labels))
        batches = batches.batch(32)


        @model.traced
        def step(x, y):
            with tf.GradientTape() as tape:
                loss = loss_function(y, model(x, training=True))
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
            return loss


        for epoch in range(20):
            model.begin_epoch(epochs=20, optimizer=optimizer)
            losses = [step(x, y) for x, y in batches]
            print(model.end_epoch(np.mean(losses)))
        model.settled  # True
        ```
        """
        growth = self._growth
        loop_validation.check_not_in_fit(self, growth.is_fitting)
        loop_validation.check_lengths(epochs, steps)
        if optimizer is None and self.compiled:
            optimizer = self.optimizer
        loop_validation.check_optimizer(self, growth.network, optimizer)
        if not optimizer.built:
            with backend.replicas_of(self).scope():
                optimizer.build(self.trainable_variables)
        growth.let_others_train(optimizer)
        growth.prepare_run(0, 0, epochs)
        loop = self._own_loop or GrowthCallback(growth)
        loop.set_params({"steps": steps})
        loop.on_train_begin()
        loop.on_epoch_begin(0)
        growth.check_agreement()
        self._own_loop = loop

    def begin_step(self, step):
        """Begins a step, where the structure changes within epochs.

        Args:
            step: Integer, how many steps of this epoch came before.

        Raises:
            ValueError: If no epoch was begun.
        """
        self._check_begun("begin_step")
        self._own_loop.on_train_batch_begin(step)
        self._own_loop.on_train_batch_end(step)

    def end_epoch(self, loss=None):
        """Ends an epoch of a training loop of your own.

        Validate the model after it: statistics of batch norms are measured
        on the present network here.

        Args:
            loss: The mean loss of the epoch, so that nothing is decided by
                an epoch in which it was not finite. Defaults to `None`.

        Returns:
            A dict with the entries that `fit` adds to its logs: `cost`,
            `flops`, `params`, `price` and `settled`.

        Raises:
            ValueError: If no epoch was begun, or the optimizer was not given
                any gradient of this model in it.
        """
        self._check_begun("end_epoch")
        logs = {} if loss is None else {"loss": loss}
        seen = self._growth.others.check_steps()
        if seen and not self._own_loop.has_steps:  # none was announced
            self._own_loop.on_train_batch_end(seen - 1)
        self._own_loop.on_epoch_end(0, logs)
        self._growth.others.pause()
        logs.pop("loss", None)
        return logs

    def traced(self, step):
        """A `tf.function` that follows the structure of the network.

        It is traced anew where a layer leaves or comes back, or where layers
        need known widths. It can decorate a function.

        Args:
            step: Function that calls the model: a training step, say.

        Returns:
            A function with the same arguments and results.
        """
        growth = self._growth
        result = growth.functions.following(
            "train", lambda: backend.traced(step)
        )
        # What was traced between two epochs takes no part in growing.
        result.keys["active"] = lambda: growth.others.is_active
        return functools.update_wrapper(result, step, updated=())

    def called_in_training(self, run, inputs):
        """Others call the model with `training=True`.

        Args:
            run: Function that does it.
            inputs: The inputs, to look at.

        Returns:
            The outputs.
        """
        return self._growth.others.call(run, inputs)

    def _make_with_own_step(self, make, force):
        """Makes the function of a subclass that trains in its own way."""
        own = self.train_step
        step = functools.partial(self._growth.others.step, own)
        vars(self)["train_step"] = step  # where Keras takes it from
        try:
            make(force=force)
        finally:
            del vars(self)["train_step"]

    def _check_begun(self, name):
        is_begun = self._own_loop is not None and self._growth.others.is_active
        loop_validation.check_begun(self, is_begun, name)
