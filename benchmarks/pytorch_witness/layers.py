"""What `Network.forward` computes layers by."""

import torch.nn.functional as F

MOMENTUM, EPSILON = 0.1, 1e-5


class Layers:
    """Layers of the present structure.

    Args:
        network: The `Network`.
        compact: Its `Compact`.
        kernels: One tensor for all kernels, in the type to compute in.
        gammas, betas: Those of all norms.
        training: Whether norms use the statistics of the batch.
    """

    def __init__(self, network, compact, kernels, gammas, betas, training):
        self._network, self._training = network, training
        self._kernels = {
            i: piece.view(shape).permute(0, 3, 1, 2)  # channels last
            for i, shape, piece in zip(
                compact.convolutions,
                compact.kernel_shapes,
                kernels.split(compact.kernel_sizes),
            )
        }
        sizes = compact.norm_sizes
        vectors = [
            vector.split(sizes)
            for vector in (gammas, betas, compact.means, compact.variances)
        ]
        self._norms = dict(zip(compact.norms, zip(*vectors)))

    def scale_kernel(self, index, factor):
        self._kernels[index] = self._kernels[index] * factor

    def convolution(self, index, x):
        each = self._network.convolutions[index]
        return F.conv2d(
            x,
            self._kernels[index],
            stride=each.strides,
            padding=each.size // 2,
        )

    def norm(self, index, x, add=None, relu=True):
        """Batch norm, then a sum, then a ReLU."""
        gamma, beta, mean, variance = self._norms[index]
        x = F.batch_norm(
            x, mean, variance, gamma, beta, self._training, MOMENTUM, EPSILON
        )
        x = x if add is None else x + add
        return F.relu(x) if relu else x

    def pool(self, x):
        return F.max_pool2d(x, 2)
