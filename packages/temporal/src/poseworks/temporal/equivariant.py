"""SmoothNets that do not mind where the origin is, how fast the person moves off, or what the unit is.

    y = P x + f((1 - P) x),   P the projection of a window on polynomials (constant; constant and linear),
    f a SmoothNet without biases

P commutes with a shift (and with a steady motion), and f(s x) = s f(x) for s > 0, as leaky ReLUs and matrices do. The sum
is again a plain SmoothNet of the published architecture. Its encoder takes in 1 - P. A pair of hidden units per
polynomial q carries <q, x> past the blocks, whose second layers have zero rows there:
leaky(m) - leaky(-m) = (1 + 0.1) m, which the decoder turns into q <q, x>.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from poseworks.temporal.smoothnet import SmoothNet, SmoothNetConfig

_CARRIED = 1.1  # leaky(m) - leaky(-m) = 1.1 m with the encoder's slope of 0.1


class EquivariantSmoothNet(nn.Module):
    """The trained form of the equation above; `folded` gives the plain SmoothNet.

    Args:
        config: sizes of f; the folded network has 2 (degree + 1) more hidden units.
        degree: degree of the polynomials, 0 or 1.
        start_sigma: the network starts near a Gaussian filter of this width, in frames.
        generator: draws the initial weights.
    """

    basis: Tensor

    def __init__(
        self, config: SmoothNetConfig, degree: int = 1, start_sigma: float = 2.0, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config, self.degree = config, degree
        self.inner = SmoothNet(config)
        self.register_buffer("basis", polynomials(config.window, degree), persistent=False)
        for name, parameter in self.inner.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter).requires_grad_(False)
            else:
                nn.init.kaiming_uniform_(parameter, a=5**0.5, generator=generator)
        self._start_as_filter(start_sigma)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (..., W) -> (..., W)."""
        trend = (x @ self.basis) @ self.basis.mT
        out: Tensor = self.inner.layers(x - trend) + trend
        return out

    @torch.no_grad()
    def _start_as_filter(self, sigma: float) -> None:
        """2 W hidden units carry the window to a decoder that smooths it; all else starts small."""
        window = self.config.window
        frames = torch.arange(window, dtype=torch.float32)
        smoothing = torch.exp(-0.5 * ((frames[:, None] - frames) / sigma) ** 2)
        smoothing /= smoothing.sum(dim=1, keepdim=True)
        for block in self.inner.res_blocks:
            block.linear2.weight.mul_(0.3)  # type: ignore[union-attr]
        self.inner.decoder.weight.mul_(0.3)
        if self.config.hidden < 2 * window:
            return
        for column, sign in ((0, 1.0), (window, -1.0)):
            self.inner.encoder[0].weight[column : column + window] = sign * torch.eye(window)
            self.inner.decoder.weight[:, column : column + window] = sign * smoothing / _CARRIED


def polynomials(window: int, degree: int) -> Tensor:
    """(W, degree + 1) orthonormal polynomials over the frames of a window."""
    frames = torch.linspace(-1, 1, window, dtype=torch.float64)
    powers = torch.stack([frames**power for power in range(degree + 1)], dim=1)
    return torch.linalg.qr(powers)[0].float()


@torch.no_grad()
def folded(network: EquivariantSmoothNet) -> SmoothNet:
    """The plain SmoothNet that computes the same."""
    basis, inner = network.basis.double(), network.inner
    carriers = 2 * basis.shape[1]
    config = network.config.model_copy(update={"hidden": network.config.hidden + carriers})
    plain = SmoothNet(config).eval()
    for parameter in plain.parameters():
        nn.init.zeros_(parameter)
    hidden = network.config.hidden
    encoder = inner.encoder[0].weight.double()
    plain.encoder[0].weight[:hidden] = (encoder - (encoder @ basis) @ basis.mT).float()
    plain.encoder[0].weight[hidden:] = torch.cat([basis, -basis], dim=1).mT.float()
    plain.decoder.weight[:, :hidden] = inner.decoder.weight
    plain.decoder.weight[:, hidden:] = (torch.cat([basis, -basis], dim=1) / _CARRIED).float()
    for source, target in zip(inner.res_blocks, plain.res_blocks, strict=True):
        target.linear1.weight[:, :hidden] = source.linear1.weight  # type: ignore[union-attr,index]
        target.linear2.weight[:hidden] = source.linear2.weight  # type: ignore[union-attr,index]
    return plain
