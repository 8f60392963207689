"""SmoothNets that do not mind where the origin is, how fast the person moves off, or what the unit is.

    y = P x + f((1 - P) x),   P the projection of a window on polynomials (constant; constant and linear),
    f a SmoothNet without biases

P commutes with a shift (and with a steady motion), and f(s x) = s f(x) for s > 0, as leaky ReLUs and matrices do. The
sum is again a plain SmoothNet of the published architecture. Its encoder takes in 1 - P. A pair of hidden units per
polynomial q carries <q, x> past the blocks, whose second layers have zero rows there:
leaky(m) - leaky(-m) = (1 + 0.1) m, which the decoder turns into q <q, x>.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poseworks.temporal.smoothnet import ResidualBlock, SmoothNet, SmoothNetConfig

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
        self,
        config: SmoothNetConfig,
        degree: int = 1,
        start_sigma: float = 2.0,
        generator: torch.Generator | None = None,
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
        encoder, blocks, decoder = _weights(self.inner)
        trend = (x @ self.basis) @ self.basis.mT
        h = F.leaky_relu_(F.linear(x - trend, encoder), 0.1)
        for narrow, wide in blocks:  # as `SmoothNet.layers`, without biases and in place: half the time
            y = F.leaky_relu_(F.linear(h, narrow), 0.2)
            h = h + F.leaky_relu_(F.linear(y, wide), 0.2)
        out: Tensor = F.linear(h, decoder) + trend
        return out

    @torch.no_grad()
    def _start_as_filter(self, sigma: float) -> None:
        """2 W hidden units carry the window to a decoder that smooths it; all else starts small."""
        window = self.config.window
        frames = torch.arange(window, dtype=torch.float32)
        smoothing = torch.exp(-0.5 * ((frames[:, None] - frames) / sigma) ** 2)
        smoothing /= smoothing.sum(dim=1, keepdim=True)
        encoder, blocks, decoder = _weights(self.inner)
        for _, wide in blocks:
            wide.mul_(0.3)
        decoder.mul_(0.3)
        if self.config.hidden < 2 * window:
            return
        for column, sign in ((0, 1.0), (window, -1.0)):
            encoder[column : column + window] = sign * torch.eye(window)
            decoder[:, column : column + window] = sign * smoothing / _CARRIED


def polynomials(window: int, degree: int) -> Tensor:
    """(W, degree + 1) orthonormal polynomials over the frames of a window."""
    frames = torch.linspace(-1, 1, window, dtype=torch.float64)
    powers = torch.stack([frames**power for power in range(degree + 1)], dim=1)
    basis: Tensor = torch.linalg.qr(powers)[0].float()
    return basis


@torch.no_grad()
def folded(network: EquivariantSmoothNet) -> SmoothNet:
    """The plain SmoothNet that computes the same."""
    basis = network.basis.double()
    both = torch.cat([basis, -basis], dim=1)
    hidden = network.config.hidden
    plain = SmoothNet(network.config.model_copy(update={"hidden": hidden + both.shape[1]})).eval()
    for parameter in plain.parameters():
        nn.init.zeros_(parameter)
    encoder, blocks, decoder = _weights(network.inner)
    new_encoder, new_blocks, new_decoder = _weights(plain)
    new_encoder[:hidden] = (encoder.double() - (encoder.double() @ basis) @ basis.mT).float()
    new_encoder[hidden:] = both.mT.float()
    new_decoder[:, :hidden] = decoder
    new_decoder[:, hidden:] = (both / _CARRIED).float()
    for (narrow, wide), (new_narrow, new_wide) in zip(blocks, new_blocks, strict=True):
        new_narrow[:, :hidden] = narrow
        new_wide[:hidden] = wide
    return plain


def _weights(network: SmoothNet) -> tuple[Tensor, list[tuple[Tensor, Tensor]], Tensor]:
    """The matrices of the encoder, of both layers of each block, and of the decoder."""
    encoder = cast(nn.Linear, network.encoder[0])
    blocks = [cast(ResidualBlock, block) for block in network.res_blocks]
    matrices: list[tuple[Tensor, Tensor]] = [(block.linear1.weight, block.linear2.weight) for block in blocks]
    return encoder.weight, matrices, network.decoder.weight
