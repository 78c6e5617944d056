"""Every private name of Keras that this library touches.

Verified with Keras 3.8 to 3.15 on TensorFlow 2.18 to 2.21. Older ones are
refused: before Keras 3.8 a variable cannot change its shape in place.
"""

from keras_growprune.keras_internals.adapted import Adaptable
from keras_growprune.keras_internals.adapted import Setting
from keras_growprune.keras_internals.adapted import adapt
from keras_growprune.keras_internals.adapted import as_written
from keras_growprune.keras_internals.adapted import original_class
from keras_growprune.keras_internals.applied_gradients import seeing_gradients
from keras_growprune.keras_internals.changed_arguments import changing_arguments
from keras_growprune.keras_internals.distributed_fit import (
    strategy_of_optimizer,
)
from keras_growprune.keras_internals.distributed_fit import (
    was_made_in_its_scope,
)
from keras_growprune.keras_internals.files import may_write
from keras_growprune.keras_internals.files import weights_file
from keras_growprune.keras_internals.files import writes_legacy_file
from keras_growprune.keras_internals.graphs import Call
from keras_growprune.keras_internals.graphs import comes_from_layer
from keras_growprune.keras_internals.graphs import functional_graph
from keras_growprune.keras_internals.graphs import graph_calls
from keras_growprune.keras_internals.graphs import graph_structure
from keras_growprune.keras_internals.graphs import has_mask
from keras_growprune.keras_internals.graphs import input_like
from keras_growprune.keras_internals.graphs import input_shapes
from keras_growprune.keras_internals.graphs import is_dense
from keras_growprune.keras_internals.graphs import mask_of
from keras_growprune.keras_internals.graphs import outside_calls
from keras_growprune.keras_internals.graphs import producer
from keras_growprune.keras_internals.graphs import producer_name
from keras_growprune.keras_internals.graphs import producing_node
from keras_growprune.keras_internals.graphs import set_tensor_shape
from keras_growprune.keras_internals.graphs import without_time
from keras_growprune.keras_internals.layer_sharing import LayerSharing
from keras_growprune.keras_internals.layer_sharing import release_memory
from keras_growprune.keras_internals.layers import all_layers
from keras_growprune.keras_internals.layers import carried_states
from keras_growprune.keras_internals.layers import clone_operation
from keras_growprune.keras_internals.layers import layers_of_applications
from keras_growprune.keras_internals.layers import operation_name
from keras_growprune.keras_internals.layers import own_functions
from keras_growprune.keras_internals.layers import own_variables
from keras_growprune.keras_internals.layers import parts
from keras_growprune.keras_internals.layers import refresh_target_shape
from keras_growprune.keras_internals.layers import takes_training
from keras_growprune.keras_internals.layers import trusting
from keras_growprune.keras_internals.lazy_functional import LazyFunctional
from keras_growprune.keras_internals.lazy_functional import call_training_only
from keras_growprune.keras_internals.lazy_functional import count_calls
from keras_growprune.keras_internals.lazy_functional import standardized_inputs
from keras_growprune.keras_internals.optimizers import COPY
from keras_growprune.keras_internals.optimizers import OptimizerIndex
from keras_growprune.keras_internals.optimizers import carry_accumulators
from keras_growprune.keras_internals.optimizers import (
    check_optimizer_can_be_carried,
)
from keras_growprune.keras_internals.optimizers import of_all_replicas
from keras_growprune.keras_internals.optimizers import optimizer_slots
from keras_growprune.keras_internals.optimizers import optimizer_variables
from keras_growprune.keras_internals.optimizers import optimizers_in
from keras_growprune.keras_internals.optimizers import reduce_at_most_once
from keras_growprune.keras_internals.optimizers import slot_starts
from keras_growprune.keras_internals.optimizers import why_shapes_are_needed
from keras_growprune.keras_internals.optimizers import with_some_variables
from keras_growprune.keras_internals.random_state import random_state
from keras_growprune.keras_internals.random_state import seed_states
from keras_growprune.keras_internals.random_state import set_random_state
from keras_growprune.keras_internals.running import doing
from keras_growprune.keras_internals.running import is_doing
from keras_growprune.keras_internals.running import widths_are_unknown
from keras_growprune.keras_internals.training import compute_loss
from keras_growprune.keras_internals.training import has_own_train_step
from keras_growprune.keras_internals.training import is_callback_list
from keras_growprune.keras_internals.training import penalties
from keras_growprune.keras_internals.training import prepend_callback
from keras_growprune.keras_internals.training import start_at_epoch
from keras_growprune.keras_internals.training import track_loss
from keras_growprune.keras_internals.training import train_with
from keras_growprune.keras_internals.variables import assign_copies
from keras_growprune.keras_internals.variables import assign_elastic
from keras_growprune.keras_internals.variables import beside
from keras_growprune.keras_internals.variables import bring_here
from keras_growprune.keras_internals.variables import is_elastic
from keras_growprune.keras_internals.variables import make_elastic
from keras_growprune.keras_internals.variables import read_copies
from keras_growprune.keras_internals.variables import read_variable
from keras_growprune.keras_internals.variables import resize_variable
from keras_growprune.keras_internals.variables import restore_variable
from keras_growprune.keras_internals.versions import check_versions

__all__ = [
    "COPY",
    "Adaptable",
    "Call",
    "LayerSharing",
    "LazyFunctional",
    "OptimizerIndex",
    "Setting",
    "adapt",
    "all_layers",
    "as_written",
    "assign_copies",
    "assign_elastic",
    "beside",
    "bring_here",
    "call_training_only",
    "carry_accumulators",
    "carried_states",
    "changing_arguments",
    "check_optimizer_can_be_carried",
    "check_versions",
    "clone_operation",
    "comes_from_layer",
    "compute_loss",
    "count_calls",
    "doing",
    "functional_graph",
    "graph_calls",
    "graph_structure",
    "has_mask",
    "has_own_train_step",
    "input_like",
    "input_shapes",
    "is_callback_list",
    "is_dense",
    "is_doing",
    "is_elastic",
    "layers_of_applications",
    "make_elastic",
    "mask_of",
    "may_write",
    "of_all_replicas",
    "operation_name",
    "optimizer_slots",
    "optimizer_variables",
    "optimizers_in",
    "original_class",
    "outside_calls",
    "own_functions",
    "own_variables",
    "parts",
    "prepend_callback",
    "penalties",
    "producer",
    "producer_name",
    "producing_node",
    "random_state",
    "read_copies",
    "read_variable",
    "reduce_at_most_once",
    "refresh_target_shape",
    "release_memory",
    "resize_variable",
    "restore_variable",
    "seed_states",
    "seeing_gradients",
    "set_random_state",
    "set_tensor_shape",
    "slot_starts",
    "standardized_inputs",
    "start_at_epoch",
    "strategy_of_optimizer",
    "takes_training",
    "track_loss",
    "train_with",
    "trusting",
    "was_made_in_its_scope",
    "weights_file",
    "why_shapes_are_needed",
    "widths_are_unknown",
    "with_some_variables",
    "without_time",
    "writes_legacy_file",
]
