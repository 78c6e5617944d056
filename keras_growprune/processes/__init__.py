"""Work that may crash, in processes of its own.

A converter or an interpreter that fails ends its whole process now and then.
That should not be the one that has just trained for a day. What runs there
imports no other part of this library than `runtimes`, so it starts fast.
"""

from keras_growprune.processes.child import ChildError
from keras_growprune.processes.child import run_in_child

__all__ = ["ChildError", "run_in_child"]
