"""Tensors that were there before the run: parameters, buffers and constants.

Each becomes a value when an operation first takes it, once, whatever views of it are taken.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from costlab.graph.values import Value, ValueKind, owner_of
from costlab.ops.movement import Leaf
from costlab.trace.appeared import Appeared
from costlab.trace.module_stack import Places
from costlab.trace.placed_parameters import parameter_in_place
from costlab.trace.tape_records import TapeRecord
from costlab.trace.tensors import META, memory_of, type_of

new_tuple: Any = tuple.__new__
"""Makes a named tuple in a third of the time of its class, which calls this in Python."""


class StoredTensors:
    """Which value each of them is; ``records``, ``values`` and the like are those of the tape.

    A tensor is known by its identity, so what is noted of one is kept alive.
    """

    def __init__(
        self,
        records: list[TapeRecord],
        places: Places,
        values: list[Value],
        numbers: dict[int, int],
        standins: dict[int, Tensor],
        alive: list[Any],
    ) -> None:
        self.parameters, self.buffers = places.parameters, places.buffers
        self.owners: dict[int, int] = {}
        """Of a view of one: the identity of that one."""
        self.leaves: dict[int, int] = {}
        """The values that they are, by their identity."""
        self.memory: dict[int, int] = {}
        """The first value in each memory of parameters and buffers."""
        self.constants: dict[int, Tensor] = {}
        """Tensors that are neither parameters nor buffers, by their values."""
        self._learns: dict[int, bool] = {}
        """Whether parameters learn now, of which code says so during the run."""
        self._taken_as: dict[int, bool] = {}
        """Whether they did when they were taken; as of the values of `leaves`."""
        self._frozen: dict[int, int] = {}
        """The values of those that are taken in both states where they are frozen."""
        self.appeared = Appeared()
        self._held: dict[tuple[int, str], Tensor] = {}
        self._places, self._values, self._numbers = places, values, numbers
        self._standins, self._alive, self._records = standins, alive, records

    def owner(self, tensor: Tensor) -> int:
        """The identity of a tensor, or of the stored tensor that it is a view of."""
        return self.owners.get(id(tensor), id(tensor))

    def is_view(self, tensor: Tensor) -> bool:
        """Whether a tensor is a view of one that was there before the run."""
        return id(tensor) in self.owners

    def is_parameter(self, tensor: Tensor, place: str) -> bool:
        """Whether a tensor is a parameter, or a view of one, or is in place of one at ``place``."""
        if self.owner(tensor) in self.parameters:
            return True
        return isinstance(tensor, Parameter) and self.is_in_place(tensor, place)

    def is_in_place(self, tensor: Tensor, place: str) -> bool:
        """Note a tensor that a hook has put in place of a parameter of the module at ``place``."""
        if id(tensor) in self._numbers:
            return False
        key = parameter_in_place(tensor, self._places, place, self._standins)
        if key is None or key == id(tensor):
            return False
        self.owners[id(tensor)] = key
        self._alive.append(tensor)
        return True

    def parameter(self, name: str, holder: Any, tensor: Tensor, place: str) -> Tensor:
        """What stands for a parameter that the module at ``place`` holds in another form."""
        key = (id(holder), name)
        if key not in self._held:
            path = f"{place}.{name}".lstrip(".")
            if any(path == taken for taken, _ in self.parameters.values()):
                path += f"_{len(self._held) + 1}"
            standin = torch.empty(tensor.shape, dtype=tensor.dtype, device=META)
            self._held[key] = standin
            self.parameters[id(standin)] = (path, standin)
            self._alive.append(holder)
        return self._held[key]

    def value(self, tensor: Tensor, place: str) -> int | None:
        """The value of one, or of that which a tensor views; a new one if it is first taken.

        None of one that was not there before the run, and has appeared from nowhere.
        """
        key, leaves = id(tensor), self.leaves
        if key in self.owners:
            key = self.owners[key]
        if key in leaves:
            return leaves[key] if key not in self._learns else self._in_its_state(key)
        kind: ValueKind = "parameter"
        named = self.parameters.get(key)
        if named is None:
            kind, named = "buffer", self.buffers.get(key)
            if named is None and self.is_in_place(tensor, place):
                return self.value(tensor, place)
        if named is None and self.appeared.has(tensor):
            return None
        if key in self._learns:
            self._taken_as[key] = self._learns[key]
        number = leaves[key] = len(self._values)
        if named is None:
            value = Value(tuple(tensor.shape), type_of(tensor.dtype), "constant")
            self.constants[number] = tensor
        else:
            name, whole = named
            first = self.memory.setdefault(memory_of(whole), number)
            shares = None if first == number else first
            own = (tuple(whole.shape), type_of(whole.dtype), kind, name, shares, False)
            value = new_tuple(Value, own)
        self._values.append(value)
        return number

    def set_learning(self, parameter: Tensor, before: bool, now: bool) -> None:
        """Note that code freezes or thaws a parameter; as a value it is taken anew."""
        key = id(parameter)
        if key not in self.parameters:
            return
        if key in self.leaves:
            self._taken_as.setdefault(key, before)
        self._learns[key] = now
        own = id(self._standins.get(key, parameter))
        number = self._numbers.get(own)
        if any(number in record.results and type(record.op) is Leaf for record in self._records):
            del self._numbers[own]

    def _in_its_state(self, key: int) -> int:
        """The value of a parameter as it is now; frozen a constant, if it learns elsewhere."""
        number, learns = self.leaves[key], self._learns[key]
        if self._taken_as[key] == learns:
            return number
        if number not in self._frozen:
            frozen = self._frozen[number] = len(self._values)
            value = self._values[number]
            shares = owner_of(self._values, number)
            self._values.append(Value(value.shape, value.dtype, "constant", "", shares, True))
            if learns:  # so that all that took it until now took a frozen one
                for record in self._records:
                    record.weights = tuple([frozen if n == number else n for n in record.weights])
                self._taken_as[key] = True
        return number if learns else self._frozen[number]

    def complete(self) -> None:
        """After the run: note what parameters are frozen, and add those that nothing took.

        Not during it, when to ask for a tensor's attribute is a call.
        """
        for key, (name, parameter) in self.parameters.items():
            number, frozen = self.leaves.get(key), not parameter.requires_grad
            frozen = not self._taken_as.get(key, not frozen)
            if number is None:
                dtype = type_of(parameter.dtype)
                shape = tuple(parameter.shape)
                self._values.append(Value(shape, dtype, "parameter", name, None, frozen))
            elif frozen:
                self._values[number] = self._values[number]._replace(detached=True)

    def unregistered(self) -> dict[int, Tensor]:
        """The parameters that no module has, by their values."""
        if not self.constants:
            return {}
        known = {id(tensor): tensor for tensor in self._alive}
        return {
            number: tensor
            for key, number in self.leaves.items()
            if number in self.constants
            and isinstance(tensor := known.get(key, self.constants[number]), Parameter)
        }
