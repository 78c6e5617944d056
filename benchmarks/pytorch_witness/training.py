"""Trains one network, whose structure may change between steps."""

import numpy as np
import torch
import torch.nn.functional as F

from pytorch_witness.compact import Compact
from pytorch_witness.layers import Layers
from pytorch_witness.store import Store

MOMENTUM = 0.9


class SoftGates:
    """The paper's trained logits of units and of branches.

    Attributes:
        logits, momentum: Tensors `(units + gates,)`.
        temperatures: Tensor, likewise.
        penalties: Tensor, likewise: lambda times the relative cost of each.
    """

    def __init__(self, logits, device):
        self.logits = torch.tensor(logits, dtype=torch.float32, device=device)
        self.momentum = torch.zeros_like(self.logits)
        self.temperatures = torch.ones_like(self.logits)
        self.penalties = torch.zeros_like(self.logits)
        self.logits.requires_grad_()

    def presence(self):
        return torch.sigmoid(self.temperatures * self.logits)


class Training:
    """A network, its data and its optimizer.

    SGD with Nesterov momentum. On a GPU a step is one CUDA graph, captured
    anew whenever the structure changes.

    Args:
        network: A `Network`.
        images: The `Images`.
        seed: Seed of the weights and of the order of the data.
        batch_size: Images in a batch.
        weight_decay: Added to gradients, times the kernels.

    Attributes:
        steps: Steps of an epoch.
        soft: `SoftGates`, or None.
        measures: Whether saliencies are measured.
        scale_penalty: Factor of an L1 penalty on the scales of norms.
    """

    def __init__(
        self,
        network,
        images,
        seed,
        batch_size=128,
        weight_decay=5e-4,
    ):
        self.network, self._images = network, images
        self._weight_decay = weight_decay
        device = images.device
        self._generator = torch.Generator(device=device)
        self._generator.manual_seed(seed)
        self.batch_size = batch_size
        self.steps = len(images) // batch_size
        self.store = Store(network, self._generator)
        self.soft, self.measures, self.scale_penalty = None, False, 0.0
        self.compact = self._graph = None
        self._augmented = images.buffer()
        self._order = torch.zeros(
            (self.steps, batch_size), dtype=torch.long, device=device
        )
        self._step_index = torch.zeros(1, dtype=torch.long, device=device)
        self._rates = torch.zeros(0, device=device)
        self.loss_sum = torch.zeros((), device=device)
        count = sum(network.sizes) + len(network.gate_kinds) + 1
        self._sums = torch.zeros((2, count), device=device)
        is_gpu = torch.device(device).type == "cuda"
        self._pool = torch.cuda.graph_pool_handle() if is_gpu else None

    def start_phase(self, rate, epochs):
        """Sets the learning rates of some epochs: half a cosine."""
        count = self.steps * epochs
        way = torch.arange(count, dtype=torch.float64) / count
        rates = 0.5 * rate * (1 + torch.cos(np.pi * way))
        self._rates = rates.float().to(self._images.device)
        self._step_index.zero_()
        self._is_stale = True

    def set_structure(self, units, gates):
        """Moves to another structure."""
        self.write_back()
        self.store.draw_newcomers(units, gates)
        self.compact = Compact(self.store, units, gates)
        self._is_stale = True

    def write_back(self):
        if self.compact is not None:
            self.compact.write_back()

    def reload(self):
        """Takes over what was changed in the store."""
        self.compact = Compact(
            self.store, self.compact.units, self.compact.gates
        )
        self._is_stale = True

    # Steps

    def start_epoch(self):
        """Shuffles and augments the images."""
        order = torch.randperm(
            len(self._images),
            generator=self._generator,
            device=self._images.device,
        )
        count = self.steps * self.batch_size
        self._order.copy_(order[:count].view(self._order.shape))
        self._images.augment(self._augmented, self._generator)

    def run(self, count, chunk=8):
        """Generator that trains some steps; others may run in between."""
        if self._pool is not None and self._is_stale:
            self._capture()
        for step in range(count):
            if self._pool is None:
                self._step()
            else:
                self._graph.replay()
            if step % chunk == chunk - 1:
                yield

    def reset_sums(self):
        self.loss_sum.zero_()
        self._sums.zero_()

    def sums(self):
        """Sums of `m dL/dm` and of its square since `reset_sums`.

        Returns:
            Two pairs of arrays, those of units and those of gates.
        """
        sums = self._sums.double().cpu().numpy()[:, :-1]
        count = sum(self.network.sizes)
        return sums[:, :count], sums[:, count:]

    def _state(self):
        compact = self.compact
        state = [
            compact.theta.detach(),
            compact.momentum,
            compact.means,
            compact.variances,
            self._step_index,
            self._sums,
            self.loss_sum,
        ]
        if self.soft is not None:
            state += [self.soft.logits.detach(), self.soft.momentum]
        return state

    def _capture(self):
        """Captures a step, after one that finds algorithms and memory."""
        state = self._state()
        before = [each.clone() for each in state]
        self._step()
        graph = torch.cuda.CUDAGraph()
        torch.cuda.current_stream().synchronize()
        graph.capture_begin(pool=self._pool)
        self._step()
        graph.capture_end()
        for each, value in zip(state, before):
            each.copy_(value)
        # The old one goes only now: the memory of both is the same.
        self._graph, self._is_stale = graph, False

    def logits(self, x, training):
        """What the network says of images (channels first)."""
        compact = self.compact
        kernels, head, gammas, betas, bias = compact.theta.split(compact.parts)
        presence = None
        if self.soft is not None:
            presence = self.soft.presence()
            gammas, betas = (
                each * self._norm_factors(presence) for each in (gammas, betas)
            )
        kernels = kernels.to(self._images.dtype)
        layers = Layers(self.network, compact, kernels, gammas, betas, training)
        if presence is not None:
            self._scale_branches(layers, presence)
        x = self.network.forward(layers, x, compact.gates)
        features = x.mean((2, 3), dtype=torch.float32)
        return F.linear(features, head.view(compact.head_shape), bias)

    def _norm_factors(self, presence):
        one = torch.ones(1, device=presence.device)
        count = len(self.compact.units)
        units = torch.cat([presence[:count], one])[self.compact.norm_units]
        gates = torch.cat([presence[count:], one])[self.compact.norm_gates]
        return units * gates

    def _scale_branches(self, layers, presence):
        count = len(self.compact.units)
        for gate in np.flatnonzero(self.compact.gates):
            kind, index = self.network.branch_ends[gate]
            if kind == "convolution":
                factor = presence[count + gate]
                layers.scale_kernel(index, factor.to(self._images.dtype))

    def _step(self):
        index, compact = self._step_index, self.compact
        rows = self._order.index_select(0, index % self.steps)[0]
        x = self._augmented.index_select(0, rows).permute(0, 3, 1, 2)
        y = self._images.labels.index_select(0, rows)
        loss = F.cross_entropy(self.logits(x, training=True), y)
        leaves, total = [compact.theta], loss
        if self.soft is not None:
            leaves.append(self.soft.logits)
            penalty = self.soft.penalties * self.soft.presence()
            total = loss + penalty.sum()
        gradients = torch.autograd.grad(total, leaves)
        with torch.no_grad():
            self.loss_sum += loss
            if self.measures:
                self._measure(gradients[0])
            self._penalize(gradients[0])
            rate = self._rates.index_select(0, index)
            _descend(compact.theta, compact.momentum, gradients[0], rate)
            if self.soft is not None:
                soft = self.soft
                _descend(soft.logits, soft.momentum, gradients[1], rate)
            index += 1

    def _penalize(self, gradient):
        parts = self.compact.parts
        kernels = slice(0, sum(parts[:2]))
        theta = self.compact.theta
        gradient[kernels].add_(theta[kernels], alpha=self._weight_decay)
        if self.scale_penalty:
            gammas = slice(sum(parts[:2]), sum(parts[:3]))
            gradient[gammas].add_(
                theta[gammas].sign(), alpha=self.scale_penalty
            )

    def _measure(self, gradient):
        """Adds up `m dL/dm`, which is that of gamma and beta together."""
        compact, sums = self.compact, self._sums
        product = compact.theta.detach() * gradient
        kernels, _, gammas, betas, _ = product.split(compact.parts)
        channels = gammas + betas
        total = torch.zeros(sums.shape[1], device=sums.device)
        count, gates = len(compact.units), len(compact.gates)
        # What fills up a block has no unit: it goes to the last sum.
        last = count + gates
        units = compact.norm_units
        total.index_add_(0, torch.where(units < count, units, last), channels)
        total.index_add_(0, count + compact.norm_gates, channels)
        pieces = dict(
            zip(compact.convolutions, kernels.split(compact.kernel_sizes))
        )
        for gate in np.flatnonzero(compact.gates):
            kind, index = self.network.branch_ends[gate]
            if kind == "convolution":
                total[count + gate] += pieces[index].sum()
        sums[0] += total
        sums[1] += total**2

    # Results

    @torch.no_grad()
    def accuracy(self):
        """Percent of right answers on the test images."""
        right = sum(
            (self.logits(x, training=False).argmax(1) == y).sum()
            for x, y in self._images.test_batches()
        )
        return 100 * float(right) / len(self._images.test_labels)


def _descend(values, momentum, gradient, rate):
    """SGD with Nesterov momentum, as PyTorch and Keras define it."""
    momentum.mul_(MOMENTUM).add_(gradient)
    values -= rate * (gradient + MOMENTUM * momentum)
