"""A function that follows the structure of growing networks."""

import collections


class Following:
    """Calls the function that fits the present networks.

    Args:
        make: Function that makes it, where there is none yet.
        most: Function that tells how many are kept.

    Attributes:
        keys: By owner, functions that tell what it goes by.
    """

    def __init__(self, make, most):
        self._make, self._most = make, most
        self.keys = {}
        self._made = collections.OrderedDict()

    def __call__(self, *args, **kwargs):
        key = tuple(key_of() for key_of in self.keys.values())
        if key not in self._made:
            self._made[key] = self._make()
        self._made.move_to_end(key)
        while len(self._made) > self._most():
            self._made.popitem(last=False)
        return self._made[key](*args, **kwargs)
