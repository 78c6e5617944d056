"""What differs between the backends of Keras, behind one set of names.

Another backend is another set of modules with these names.
"""

from keras_growprune.backend.copies import copies_of
from keras_growprune.backend.examples import Examples
from keras_growprune.backend.placement import beside
from keras_growprune.backend.placement import elsewhere
from keras_growprune.backend.quiet import quiet_logs
from keras_growprune.backend.replica_step import first_of_replicas
from keras_growprune.backend.replica_step import is_first_replica
from keras_growprune.backend.replica_step import nothing_from_empty
from keras_growprune.backend.replica_step import replica_count
from keras_growprune.backend.replica_step import sum_over_replicas
from keras_growprune.backend.replica_step import to_be_averaged
from keras_growprune.backend.replicas import Replicas
from keras_growprune.backend.replicas import in_scope
from keras_growprune.backend.replicas import present_replicas
from keras_growprune.backend.replicas import replicas_of
from keras_growprune.backend.strategies import is_in_scope
from keras_growprune.backend.strategies import may_update_conditionally
from keras_growprune.backend.strategies import why_strategy_is_refused
from keras_growprune.backend.tensorflow import IndexVector
from keras_growprune.backend.tensorflow import assign
from keras_growprune.backend.tensorflow import assign_copies
from keras_growprune.backend.tensorflow import batches_of
from keras_growprune.backend.tensorflow import check_while_running
from keras_growprune.backend.tensorflow import convolve
from keras_growprune.backend.tensorflow import convolve_transposed
from keras_growprune.backend.tensorflow import either
from keras_growprune.backend.tensorflow import elastic_variable
from keras_growprune.backend.tensorflow import free
from keras_growprune.backend.tensorflow import gradients
from keras_growprune.backend.tensorflow import in_checkpoints
from keras_growprune.backend.tensorflow import is_tensor
from keras_growprune.backend.tensorflow import is_tracing
from keras_growprune.backend.tensorflow import not_rewritten
from keras_growprune.backend.tensorflow import outside_of_traces
from keras_growprune.backend.tensorflow import read
from keras_growprune.backend.tensorflow import refine_shape
from keras_growprune.backend.tensorflow import rows_of
from keras_growprune.backend.tensorflow import seen_backwards
from keras_growprune.backend.tensorflow import spec
from keras_growprune.backend.tensorflow import split
from keras_growprune.backend.tensorflow import tensor_of
from keras_growprune.backend.tensorflow import traced
from keras_growprune.backend.tensorflow_trials import call_with_unknown_sizes
from keras_growprune.backend.tensorflow_trials import value_by_shape
from keras_growprune.backend.workers import is_lost as is_lost_worker

__all__ = [
    "Examples",
    "IndexVector",
    "Replicas",
    "assign",
    "assign_copies",
    "batches_of",
    "beside",
    "call_with_unknown_sizes",
    "check_while_running",
    "convolve",
    "convolve_transposed",
    "copies_of",
    "either",
    "elastic_variable",
    "elsewhere",
    "first_of_replicas",
    "free",
    "gradients",
    "in_checkpoints",
    "in_scope",
    "is_first_replica",
    "is_in_scope",
    "is_lost_worker",
    "is_tensor",
    "is_tracing",
    "may_update_conditionally",
    "not_rewritten",
    "nothing_from_empty",
    "outside_of_traces",
    "present_replicas",
    "quiet_logs",
    "read",
    "refine_shape",
    "replica_count",
    "replicas_of",
    "rows_of",
    "seen_backwards",
    "spec",
    "split",
    "sum_over_replicas",
    "tensor_of",
    "to_be_averaged",
    "traced",
    "value_by_shape",
    "why_strategy_is_refused",
]
