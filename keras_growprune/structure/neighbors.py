"""Which calls make a tensor, and which read it."""


def producers(channel_map):
    """Returns a dict from ids of tensors to the call that makes each."""
    return {
        id(tensor): call
        for call in channel_map.calls
        for tensor in call.outputs
    }


def consumers(channel_map):
    """Returns a dict from ids of tensors to a list of the calls that read each.

    `None` in the list stands for the outputs of the network.
    """
    result = {}
    for call in channel_map.calls:
        for tensor in call.inputs:
            result.setdefault(id(tensor), []).append(call)
    for tensor in channel_map.outputs:
        result.setdefault(id(tensor), []).append(None)
    return result
