"""On which device tensors would be: what code gets that asks for it, where all are on ``meta``.

It is found when it is asked for: from what was put somewhere (inputs, parameters, ``.to(device)``,
``device=``) by way of the operations.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from costlab.trace.module_stack import Places
from costlab.trace.tape import Tape
from costlab.trace.tape_records import TapeRecord
from costlab.trace.tensors import META, tensors


class Devices:
    """The devices of the tensors of a run on shapes."""

    def __init__(self, tape: Tape, places: Places) -> None:
        self._tape, self._places = tape, places
        self._placed: dict[int, tuple[torch.device, Tensor]] = {}  # by identity
        self._values: dict[int, torch.device] = {}
        self._makers: dict[int, TapeRecord] = {}
        """The operation that gave each value, of the records that were looked at."""
        self._looked_at = self._forgotten = 0

    def place(self, tensor: Tensor, device: Any) -> None:
        """That tensor is on that device, or on that of another tensor.

        Where the model is, which stands in place of ``meta``, is only found when it is asked for.
        """
        if not (isinstance(device, torch.device) and device == META):
            device = self._whole(device)
        self._placed[id(tensor)] = (device, tensor)
        number = self._tape.number(tensor)
        if number is not None:
            self._values[number] = device

    def answer(self, name: str, tensor: Tensor) -> Any:
        """What a tensor says of its device: ``device``, ``get_device()``, ``is_cuda``..."""
        device = self.of(tensor)
        if name == "device":
            return device
        if name == "get_device":
            return -1 if device.index is None else device.index
        return device.type == name.removeprefix("is_")

    def name_of_type(self, tensor: Tensor) -> str:
        """What ``tensor.type()`` says: ``torch.cuda.FloatTensor``."""
        device = self.of(tensor).type
        name: str = torch.empty(0, dtype=tensor.dtype, device="cpu").type()
        return name if device == "cpu" else name.replace("torch.", f"torch.{device}.")

    def of(self, tensor: Tensor) -> torch.device:
        """The device of a tensor."""
        if id(tensor) in self._placed:
            return self._whole(self._placed[id(tensor)][0])
        number = self._tape.number(tensor)
        if tensor.device != META or number is None:
            owner = self._tape.stored.owner(tensor)
            return self._whole(self._stored.get(owner, tensor.device))
        return self._whole(self._of_value(number))

    def made(self, result: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What a call makes: where it is asked to be, or like its argument, or where all are."""
        device = kwargs.get("device")
        if device is None and args and isinstance(args[0], Tensor):
            device = args[0]
        device = default_device() if device is None else device
        for leaf in tensors(result):
            self.place(leaf, device)
        return result

    def moved(self, name: str, result: Tensor, args: Any, kwargs: dict[str, Any]) -> Tensor:
        """What ``.to(device)`` gives: another tensor than its own, if the device is another."""
        tensor: Tensor = args[0]
        wanted = [*args[1:], *kwargs.values()]
        places = [place for place in wanted if isinstance(place, (torch.device, Tensor, str))]
        places += [torch.device("cuda", place) for place in wanted if type(place) is int]
        if name != "to":
            places = [*places, name]
        if not places or self._whole(places[0]) == self.of(tensor):
            return result
        if result is tensor or result is self._tape.standin(tensor):
            result = torch.empty(result.shape, dtype=result.dtype, device=META)
            result = self._tape.moved(name, [tensor], result)
        self.place(result, places[0])
        return result

    def _whole(self, device: Any) -> torch.device:
        """A device with its number; in place of ``meta`` that of the model."""
        if isinstance(device, Tensor):
            return self.of(device)
        place = torch.device(device)
        if place.type == "meta":
            return self._home
        if place.type != "cpu" and place.index is None:
            return torch.device(place.type, 0)
        return place

    @cached_property
    def _stored(self) -> dict[int, torch.device]:
        """The devices of parameters and buffers by identity."""
        stored = {**self._places.parameters, **self._places.buffers}
        return {key: tensor.device for key, (_, tensor) in stored.items()}

    @cached_property
    def _home(self) -> torch.device:
        """Where the model is: what it would be on, if all of it is on ``meta``."""
        known = (device for device in self._stored.values() if device.type != "meta")
        device = next(known, default_device())
        return torch.device("cpu") if device.type == "meta" else device

    def _of_value(self, number: int) -> torch.device:
        """The device of a value: that of the first operand with axes, where all of them are."""
        self._look_at_records()
        values, path = self._tape.values, [number]
        while (device := self._values.get(number)) is None:
            maker = self._makers.get(number)
            taken = [n for n in (maker.operands + maker.weights if maker else ()) if n < number]
            if not taken:
                device = self._of_leaf(number)
                break
            number = next((n for n in taken if values[n].shape), taken[0])
            path.append(number)
        self._values.update(dict.fromkeys(path, device))
        return device

    def _of_leaf(self, number: int) -> torch.device:
        value, constant = self._tape.values[number], self._tape.stored.constants.get(number)
        if constant is not None:
            placed = self._placed.get(id(constant))
            return self._whole(constant.device) if placed is None else placed[0]
        stored = self._places.parameters if value.kind == "parameter" else self._places.buffers
        owner = next((tensor for name, tensor in stored.values() if name == value.name), None)
        return self._home if owner is None else self._whole(owner.device)

    def _look_at_records(self) -> None:
        if self._tape.forgotten != self._forgotten:  # numbers stand for other values now
            self._forgotten, self._looked_at = self._tape.forgotten, 0
            self._makers.clear()
            self._values.clear()
            for device, tensor in list(self._placed.values()):
                self.place(tensor, device)
        for record in self._tape.records[self._looked_at :]:
            self._makers.update(dict.fromkeys(record.results, record))
        self._looked_at = len(self._tape.records)


def default_device() -> torch.device:
    """Where tensors are made if nothing else is said."""
    try:
        return torch.get_default_device()
    except AttributeError:  # older torch cannot say after `set_default_device(None)`
        return torch.device("cpu")
