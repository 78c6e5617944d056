"""The paper's networks for CIFAR-10, as in `keras_growprune.models`.

No PyTorch in here: `forward` is told by whom layers are computed.
"""

from pytorch_witness.network import ALWAYS
from pytorch_witness.network import IMAGE
from pytorch_witness.network import Network


def resnet(depth, width=1.0):
    """Residual network for small images (He et al., CVPR 2016)."""
    network = Network()
    stream = network.group(max(1, round(16 * width)))
    stem = network.convolution(IMAGE, stream, 3)
    stem_norm = network.norm(stream)
    blocks = []
    for stage, filters in enumerate((16, 32, 64)):
        filters = max(1, round(filters * width))
        for block in range((depth - 2) // 6):
            strides = 2 if stage and not block else 1
            gate = ALWAYS if strides > 1 else network.gate(stage)
            inner = network.group(filters)
            outer = network.group(filters) if strides > 1 else stream
            first = network.convolution(stream, inner, 3, strides, gate)
            first_norm = network.norm(inner, gate)
            shortcut = None
            if strides > 1:
                shortcut = (
                    network.convolution(stream, outer, 1, strides),
                    network.norm(outer),
                )
                network.shrink(strides)
            second = network.convolution(inner, outer, 3, 1, gate)
            second_norm = network.norm(outer, gate)
            if gate != ALWAYS:
                network.branch_ends[gate] = ("norm", second_norm)
            blocks.append(
                (gate, first, first_norm, second, second_norm, shortcut)
            )
            stream = outer
    network.head = stream

    def forward(layers, x, gates):
        x = layers.norm(stem_norm, layers.convolution(stem, x))
        for gate, first, first_norm, second, second_norm, shortcut in blocks:
            if gate != ALWAYS and not gates[gate]:
                continue
            y = layers.norm(first_norm, layers.convolution(first, x))
            if shortcut:
                x = layers.convolution(shortcut[0], x)
                x = layers.norm(shortcut[1], x, relu=False)
            x = layers.norm(second_norm, layers.convolution(second, y), add=x)
        return x

    network.forward = forward
    return network


def vgg16(width=1.0):
    """VGG-16 with batch norm and one dense layer."""
    network, group = Network(), IMAGE
    sequence = []
    stages = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
    for filters, count in stages:
        for _ in range(count):
            outputs = network.group(max(1, round(filters * width)))
            index = network.convolution(group, outputs, 3)
            sequence.append((index, network.norm(outputs)))
            group = outputs
        sequence.append(None)
        network.shrink()
    network.head = group

    def forward(layers, x, gates):
        for step in sequence:
            if step is None:
                x = layers.pool(x)
            else:
                x = layers.norm(step[1], layers.convolution(step[0], x))
        return x

    network.forward = forward
    return network


def wide_resnet(depth=28, widening=10, width=1.0):
    """Wide residual network (Zagoruyko and Komodakis, BMVC 2016)."""
    network = Network()
    stream = network.group(max(1, round(16 * width)))
    stem = network.convolution(IMAGE, stream, 3)
    blocks = []
    for stage, filters in enumerate((16, 32, 64)):
        filters = max(1, round(filters * widening * width))
        for block in range((depth - 4) // 6):
            strides = 2 if stage and not block else 1
            gate = network.gate(stage) if block else ALWAYS
            first_norm = network.norm(stream, gate)
            inner = network.group(filters)
            outer = stream if block else network.group(filters)
            first = network.convolution(stream, inner, 3, strides, gate)
            shortcut = None
            if not block:
                shortcut = network.convolution(stream, outer, 1, strides)
                network.shrink(strides)
            second_norm = network.norm(inner, gate)
            second = network.convolution(inner, outer, 3, 1, gate)
            if block:
                network.branch_ends[gate] = ("convolution", second)
            blocks.append(
                (gate, first_norm, first, second_norm, second, shortcut)
            )
            stream = outer
    last_norm = network.norm(stream)
    network.head = stream

    def forward(layers, x, gates):
        x = layers.convolution(stem, x)
        for gate, first_norm, first, second_norm, second, shortcut in blocks:
            if gate != ALWAYS and not gates[gate]:
                continue
            active = layers.norm(first_norm, x)
            y = layers.norm(second_norm, layers.convolution(first, active))
            y = layers.convolution(second, y)
            if shortcut is not None:
                x = layers.convolution(shortcut, active)
            x = x + y
        return layers.norm(last_norm, x)

    network.forward = forward
    return network


NETWORKS = {
    "resnet8": lambda: resnet(8),
    "resnet20": lambda: resnet(20),
    "resnet56": lambda: resnet(56),
    "vgg16": vgg16,
    "wrn28_10": wide_resnet,
}
