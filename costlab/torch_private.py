"""The private names of torch that costlab uses, and what each is for; no other file has any.

They may go with any release of torch. One that is gone is an error that names it when a module is
first followed; costs of the catalog, which need no torch, go on.
"""

from __future__ import annotations

from importlib import import_module
from operator import attrgetter
from typing import Any

import torch

from costlab.errors import TraceError

VERSIONS = "2.6 to 2.15"
"""The releases of torch that have all of them, of those that were tried."""


def _private(home: str, name: str, purpose: str) -> Any:
    """The object ``name`` of the module ``home``. Raises ``TraceError`` if this torch has none."""
    value: Any = None
    try:
        value = import_module(home)
        for part in name.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError):
        raise TraceError(
            f"torch {torch.__version__} has no {home}.{name}, which costlab needs to {purpose}; "
            f"it works with torch {VERSIONS}"
        ) from None
    return value


def _later(home: str, name: str) -> Any:
    """An object that came with later releases, or None."""
    try:
        return getattr(import_module(home), name, None)
    except ImportError:
        return None


# Modes: what torch asks about its calls.
_MODES = "leave the modes of torch as they were"
function_modes = _private("torch._C", "_len_torch_function_stack", _MODES)
function_mode_at = _private("torch._C", "_get_function_stack_at", "know who answers a call")
unseen_by_modes = _private("torch._C", "DisableTorchFunction", "answer without being asked again")
pop_function_mode = _private("torch._C", "_pop_torch_function_stack", _MODES)
dispatch_modes = _private("torch._C", "_len_torch_dispatch_stack", _MODES)
pop_dispatch_mode = _private("torch._C", "_pop_torch_dispatch_stack", _MODES)
default_device = _private("torch", "_GLOBAL_DEVICE_CONTEXT", "restore the default device")
set_grad_enabled = _private("torch._C", "_set_grad_enabled", "restore gradient mode")

# Functions whose C++ takes no sizes that are symbols.
_SYMBOLS = "follow what a run holds with sizes that are symbols"
neural_functions = _private("torch._C", "_nn", _SYMBOLS)
recurrent_functions = _private("torch", "_VF", _SYMBOLS)
functions_in_c = _private("torch", "_C", _SYMBOLS)
convolution_kernel = _private("torch._C", "_select_conv_backend", _SYMBOLS)

# Transforms of torch.func: the tensors in them stand for others.
_FUNC = "follow torch.func"
is_wrapped = _private("torch._C._functorch", "is_functorch_wrapped_tensor", _FUNC)
is_batched = _private("torch._C._functorch", "is_batchedtensor", _FUNC)
unwrapped = _private("torch._C._functorch", "get_unwrapped", _FUNC)
batch_axis = _private("torch._C._functorch", "maybe_get_bdim", _FUNC)
batch_level = _private("torch._C._functorch", "maybe_get_level", _FUNC)
add_batch_axis = _private("torch._C._functorch", "_add_batch_dim", _FUNC)
transform_at_work = _private("torch._C._functorch", "peek_interpreter_stack", _FUNC)
outside_transforms = _private(
    "torch._functorch.pyfunctorch", "temporarily_clear_interpreter_stack", _FUNC
)

# Modules: what torch runs when one is called.
call_module = _private("torch.nn", "Module._call_impl", "find which module is at work")
detect_causal_mask = _private(
    "torch.nn.modules.transformer",
    "_detect_is_causal_mask",
    "know a question that is only for speed",
)
_HOOKS = "see hooks of all modules"
forward_hooks = _private("torch.nn.modules.module", "_global_forward_hooks", _HOOKS)
forward_pre_hooks = _private("torch.nn.modules.module", "_global_forward_pre_hooks", _HOOKS)

# Tensors: the descriptor of ``tensor.data``, which torch calls by no other name.
_DATA = _private("torch._C", "TensorBase.data", "follow tensor.data = ...")
get_data, set_data = _DATA.__get__, _DATA.__set__

# Nested tensors: their rows as one tensor, and where each begins, without another call.
nested_rows = attrgetter("_values")
nested_offsets = attrgetter("_offsets")
PADDING = tuple(
    function.default
    for name in ("_jagged_to_padded_dense_forward", "_padded_dense_to_jagged_forward")
    if (function := getattr(torch.ops.aten, name, None)) is not None
)
"""What fills the rows of a nested tensor up, and cuts them again."""

# Operators, which are called by several names.
OpOverload: Any = _private("torch._ops", "OpOverload", "tell operators from functions")
OpOverloadPacket: Any = _private("torch._ops", "OpOverloadPacket", "tell operators from functions")
operator_of_functions: Any = _private(
    "torch._functorch.autograd_function", "custom_function_call", "follow torch.vmap of functions"
)
HigherOrderOperator: Any = _private("torch._ops", "HigherOrderOperator", "follow torch.cond")
function_of_graph: Any = _private(
    "torch._C", "_create_function_from_graph", "follow scripted modules"
)
CustomOpDef: Any = _private("torch._library.custom_ops", "CustomOpDef", "name operators of users")
CONTROL_FLOW = tuple(
    function
    for name in ("cond", "map", "scan", "while_loop")
    if (function := _later(f"torch._higher_order_ops.{name}", name)) is not None
)
"""Functions that take functions, as far as this torch has them."""
# Tensors without values.
_SHAPES = "run modules on shapes"
unseen_by_functions = _private("torch._C", "_disabled_torch_function_impl", _SHAPES)
without_modes = _private("torch._C", "_DisableTorchDispatch", _SHAPES)
no_data_pointer = _private("torch._C", "_set_throw_on_mutable_data_ptr", _SHAPES)
has_kernel_for = _private("torch._C", "_dispatch_has_kernel_for_dispatch_key", _SHAPES)
FakeTensor: Any = _private(
    "torch._subclasses.fake_tensor", "FakeTensor", "copy modules without values"
)
FakeTensorMode: Any = _private(
    "torch._subclasses.fake_tensor", "FakeTensorMode", "run modules without values"
)

# Sizes that are symbols: torch's shapes of them are Python code.
SymInt: Any = torch.SymInt
SymFloat: Any = torch.SymFloat
asserted: Any = _private("torch", "_assert", "know text that only an assertion says")
enable_python_dispatcher: Any = _private(
    "torch._dispatch.python", "enable_python_dispatcher", "follow sizes that are symbols"
)

# Gradients: which layer an operation of a backward pass belongs to.
_NODES = "know which layer the backward pass is at"
current_node = _private("torch._C", "_current_autograd_node", _NODES)
nodes_made = _private("torch.autograd", "_get_sequence_nr", _NODES)

# What ``torch.jit.trace`` notes: not the copies of arguments that it is not given.
tracing_state = _private("torch._C", "_get_tracing_state", "copy arguments for torch.jit.trace")
set_tracing_state = _private("torch._C", "_set_tracing_state", "copy arguments for torch.jit.trace")


def function_of(context: Any) -> Any:
    """The ``torch.autograd.Function`` whose ``apply`` made that context; None of another object."""
    return getattr(type(context), "_forward_cls", None)


# Settings that torch has no public way to ask for.
print_options = _private("torch._tensor_str", "PRINT_OPTS", "restore how tensors are printed")
