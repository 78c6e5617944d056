"""What shape a network has: groups, gates, axes. Knows nothing of training."""

from keras_growprune.structure import keras_layers  # noqa: F401 (a table)
from keras_growprune.structure.axes import axes_of
from keras_growprune.structure.axes import axes_of_class
from keras_growprune.structure.axes import channel_axis
from keras_growprune.structure.axes import is_growable
from keras_growprune.structure.axes import register_axes
from keras_growprune.structure.axes import registered_class
from keras_growprune.structure.channel_map import ChannelMap
from keras_growprune.structure.channel_map import Group
from keras_growprune.structure.channel_map import LayerGate
from keras_growprune.structure.channel_map import WeightAxes
from keras_growprune.structure.cloning import bidirectional
from keras_growprune.structure.cloning import clone_layer
from keras_growprune.structure.cloning import copy_weights
from keras_growprune.structure.cloning import make_layer
from keras_growprune.structure.coupling_report import CouplingReport
from keras_growprune.structure.expansion import call_on_symbols
from keras_growprune.structure.expansion import expand_call
from keras_growprune.structure.expansion import may_be_expanded
from keras_growprune.structure.factor_points import FactorPoint
from keras_growprune.structure.factor_points import find_branch_points
from keras_growprune.structure.factor_points import find_factor_points
from keras_growprune.structure.factor_points import find_recurrent_ends
from keras_growprune.structure.graph_copy import GraphCopy
from keras_growprune.structure.identity_branches import IdentityBranch
from keras_growprune.structure.identity_branches import find_identity_branches
from keras_growprune.structure.initial_values import initial_values
from keras_growprune.structure.initial_values import initializer_of_part
from keras_growprune.structure.matched_names import in_order_of
from keras_growprune.structure.neighbors import producers
from keras_growprune.structure.reshaping import whole_key
from keras_growprune.structure.rewritten_layers import check_not_rewritten
from keras_growprune.structure.rewritten_layers import refuse_to_rewrite
from keras_growprune.structure.sequences import candidate_columns
from keras_growprune.structure.sequences import is_reverse
from keras_growprune.structure.sequences import recurrent_parts
from keras_growprune.structure.structure import Structure
from keras_growprune.structure.structure_diff import StructureDiff
from keras_growprune.structure.trace import trace_channels

__all__ = [
    "ChannelMap",
    "CouplingReport",
    "FactorPoint",
    "GraphCopy",
    "Group",
    "IdentityBranch",
    "LayerGate",
    "Structure",
    "StructureDiff",
    "WeightAxes",
    "axes_of",
    "axes_of_class",
    "bidirectional",
    "call_on_symbols",
    "candidate_columns",
    "channel_axis",
    "check_not_rewritten",
    "clone_layer",
    "copy_weights",
    "expand_call",
    "find_branch_points",
    "find_factor_points",
    "find_identity_branches",
    "find_recurrent_ends",
    "in_order_of",
    "initial_values",
    "initializer_of_part",
    "is_growable",
    "is_reverse",
    "make_layer",
    "may_be_expanded",
    "producers",
    "recurrent_parts",
    "refuse_to_rewrite",
    "register_axes",
    "registered_class",
    "trace_channels",
    "whole_key",
]
