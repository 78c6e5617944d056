"""Keras's training loop, where several replicas take part."""

from keras_growprune import backend


class DistributedFit:
    """Mixin of a model whose `fit` also runs on several replicas and workers.

    What Keras builds before the first epoch, it builds by the mean of the
    batches of all replicas: which there is none of where these have different
    sizes, and never on several workers.
    """

    def test_step(self, data):
        return backend.to_be_averaged(super().test_step(data))

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        if self._distribute_strategy is None or not self._has_to_be_built():
            return
        with backend.replicas_of(self).scope():
            for *_, batches in iterator or ():
                data_batch = backend.first_of_replicas(next(batches))
                break
            self._symbolic_build(data_batch=data_batch)

    def _has_to_be_built(self):
        parts = self._compile_metrics, self._compile_loss, self.optimizer
        return not all(
            part.built
            for part in [*self._flatten_layers(), *parts]
            if part is not None
        )


def was_made_in_its_scope(model):
    """Whether a model is trained under the strategy that it was made in."""
    return model._distribute_strategy is not None or not backend.is_in_scope()


def strategy_of_optimizer(optimizer):
    """The strategy in whose scope an optimizer was made."""
    return optimizer._distribution_strategy
