"""A second network that a task trains against its own, with an optimizer of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from poseworks.core.checkpoints import load_strict
from poseworks.core.training.processes import Processes


class Adversary:
    """A network that is trained by Adam at a constant rate, inside of the `step_loss` of the task that has it.

    A task names it `adversary`; the loop then brings it to the device, gives it the same weights in all processes, and
    saves it with its optimizer, so that a resumed run goes on exactly.
    """

    def __init__(self, network: nn.Module, learning_rate: float) -> None:
        self.network = network
        self.weights = list(network.parameters())
        self.optimizer = torch.optim.Adam(self.weights, lr=learning_rate)
        self._team = Processes(0, 1, torch.device("cpu"))

    def join(self, team: Processes) -> None:
        """Becomes one of the processes of a run, on its device."""
        self._team = team
        self.network.to(team.device)

    def share(self) -> None:
        """Gives every process the weights of the first."""
        self._team.share_weights(self.network)

    def update(self, loss: Tensor) -> None:
        """One step down a loss whose graph ends in this network (detach what the task's network gave)."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._team.average_gradients(self.weights)
        self.optimizer.step()

    @contextmanager
    def frozen(self) -> Iterator[nn.Module]:
        """The network as a judge: what it says inside the block has no gradient to its own weights."""
        self.network.requires_grad_(False)
        try:
            yield self.network
        finally:
            self.network.requires_grad_(True)

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state.

        Raises:
            CheckpointError: it is of another network.
        """
        load_strict(self.network, state["network"], source="checkpoint.pt (adversary)")
        self.optimizer.load_state_dict(state["optimizer"])
