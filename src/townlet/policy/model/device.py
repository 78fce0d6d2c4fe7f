"""Where updates are computed: kernels on this machine's processors, or a GPU, for which alone torch is imported."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from attrs import frozen

__all__ = ["Processors", "choose_device", "device_name", "training_defaults"]


@frozen
class Processors:
    """This machine's processors, beside which a `torch.device` is the other kind of device."""

    type: str = "cpu"


def choose_device(word: str) -> Any:
    """Return the device of a spec's word; `auto` is a GPU if torch has one. BadInputError if the device is missing."""
    if word == "cpu" or (word == "auto" and find_spec("torch") is None):
        return Processors()
    from townlet.policy.model.torch_network import choose_device as choose

    device = choose(word)
    return Processors() if device.type == "cpu" else device


def device_name(device: Any) -> str:
    """Return the name of a device for results: `cpu`, or `cuda: ` and the name of the GPU."""
    if isinstance(device, Processors):
        return device.type
    from townlet.policy.model.torch_network import device_name as name

    return name(device)


@contextmanager
def training_defaults(word: str) -> Iterator[None]:
    """Train with torch's defaults where torch trains; see `torch_defaults`."""
    if isinstance(choose_device(word), Processors):
        yield
        return
    from townlet.policy.model.torch_network import torch_defaults

    with torch_defaults():
        yield
