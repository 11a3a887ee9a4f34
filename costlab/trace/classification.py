"""What kind of call a function of torch is, by its name."""

from __future__ import annotations

from enum import Enum, auto
from functools import lru_cache
from types import FrameType, MethodDescriptorType, WrapperDescriptorType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.jit import ScriptFunction

from costlab.isolation.autograd_functions import class_applied
from costlab.torch_private import CONTROL_FLOW, OpOverload, OpOverloadPacket, detect_causal_mask
from costlab.trace.control_flow import is_followed
from costlab.trace.registry import CHECKED, Rule, plain_name, rules
from costlab.trace.users import RULES, UsersRule, is_dispatched, label, name_of, rule_for


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


METADATA = _names(
    """
    size dim ndimension numel nelement stride is_contiguous is_floating_point is_complex
    is_signed element_size storage_offset is_same_size type_as_ __len__ __hash__
    __repr__ is_tensor is_nonzero_ dense_dim has_names is_inference
    is_conj is_neg retain_grad result_type can_cast promote_types is_distributed is_pinned
    data_ptr untyped_storage storage _is_view is_coalesced names _version broadcast_shapes
    get_default_dtype is_autocast_enabled is_grad_enabled set_grad_enabled _set_grad_enabled
    _assert __dir__ sparse_dim device __reduce_ex__ __deepcopy__ _is_zerotensor is_set_to
    _has_compatible_shallow_copy_type __new__
    """
)
"""Calls about a tensor's shape, type and place: answered at once."""

DEVICE = _names(
    """
    device get_device is_cpu is_cuda is_meta is_xpu is_mps is_hpu is_mtia is_xla is_vulkan is_ipu
    """
)
"""Attributes that say on which device a tensor is, and the method that does."""

READS = _names(
    """
    item tolist __bool__ __int__ __float__ __index__ __complex__ nonzero argwhere is_nonzero
    equal allclose numpy __array__ unique unique_consecutive masked_select bincount __contains__
    __format__ _local_scalar_dense _pack_padded_sequence _pad_packed_sequence
    from_numpy __dlpack__ __dlpack_device__ to_dlpack
    """
)
"""Calls that read values: an error, unless the tensors are the user's own."""

ARRAYS = ("numpy", "__array__", "__dlpack__", "to_dlpack")
"""Calls that give a tensor's elements as an array, of numpy or another library."""

PICKED = _names(
    """
    nonzero argwhere masked_select _pack_padded_sequence _pad_packed_sequence
    """
)
"""Those of ``READS`` that only pick elements by their values."""

MAKES = _names(
    """
    empty zeros ones full arange linspace logspace eye rand randn randint randperm tensor
    as_tensor empty_strided scalar_tensor hann_window tril_indices triu_indices
    empty_like zeros_like ones_like full_like rand_like randn_like randint_like
    new_zeros new_ones new_full new_empty new_empty_strided new_tensor
    """
)
"""Calls that make a new tensor: it is made on ``meta``."""

MOVES = _names(
    """
    view reshape flatten unflatten ravel permute transpose t adjoint squeeze unsqueeze expand
    expand_as broadcast_to view_as reshape_as contiguous clone detach alias to type type_as
    float double half bfloat16 int long short bool cpu cuda narrow select slice index
    index_select gather take take_along_dim scatter index_copy index_put index_fill split
    split_with_sizes chunk tensor_split unbind unfold im2col pad constant_pad_nd
    reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d roll flip fliplr flipud rot90 repeat repeat_interleave tile stack hstack
    vstack dstack column_stack pixel_shuffle pixel_unshuffle channel_shuffle
    native_channel_shuffle movedim moveaxis swapdims diagonal diag_embed diag tril triu copy
    as_strided view_as_real view_as_complex one_hot meshgrid block_diag max_unpool2d
    max_unpool3d atleast_1d atleast_2d atleast_3d positive lift_fresh lift_fresh_copy _to_copy
    _unsafe_view unsafe_chunk unsafe_split resolve_conj resolve_neg conj _conj masked_scatter
    select_scatter slice_scatter fill zero broadcast_tensors _reshape_alias
    _pad_circular complex resize resize_as diagonal_scatter uniform normal exponential bernoulli
    log_normal cauchy geometric random put select_backward slice_backward diagonal_backward
    """
)
"""What gives elements in another order, shape, place or type, or draws them: no arithmetic."""

SPARSE = _names(
    """
    to_sparse to_sparse_coo to_sparse_csr to_sparse_csc to_sparse_bsr to_sparse_bsc sparse_mask
    sparse_coo_tensor sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor
    sparse_compressed_tensor _sparse_coo_tensor_unsafe _spdiags
    """
)
"""Calls that make a sparse tensor."""

RESHAPED = _names(
    """
    squeeze unsqueeze transpose t swapdims as_strided resize resize_as
    """
)
"""Of these, what changes a tensor's shape where it works in place."""

SETS = {
    "requires_grad_": "requires_grad",
    "register_hook": "register_hook",
    "set_": "data",
    "swap_tensors": "swap_tensors",
}
"""Functions that set an attribute of a tensor, or all of them."""

BASIC = _names(
    """
    native_layer_norm native_group_norm native_batch_norm _native_batch_norm_legit
    _native_batch_norm_legit_no_training _fused_rms_norm _scaled_dot_product_flash_attention
    _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_efficient_attention
    _scaled_dot_product_cudnn_attention _scaled_dot_product_fused_attention_overrideable
    _flash_attention_forward _efficient_attention_forward
    """
)
"""What gives more than its rule does, such as the mean: answered as the basic operation it is."""

REFUSED = _names(
    """
    _nested_tensor_from_mask_left_aligned
    """
)
"""Torch's questions whether a fast path of the same cost may be taken: always answered False."""


def code_at_work(frame: FrameType | None) -> FrameType | None:
    """The innermost frame that is none of ours."""
    while frame is not None and frame.f_globals.get("__name__", "").startswith("costlab."):
        frame = frame.f_back
    return frame


def is_for_speed(frame: FrameType | None) -> bool:
    """Whether it is torch that asks for a value, only to take a faster way that costs the same."""
    frame = code_at_work(frame)
    return frame is not None and frame.f_code is detect_causal_mask.__code__


def accumulates(name: str, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether elements are not put in their places but added to what is there."""
    if name in ("index_put", "put"):
        return bool(kwargs.get("accumulate") or (len(args) > 3 and args[3]))
    return name == "scatter" and kwargs.get("reduce") is not None


def movement_of(made: Call, args: Any) -> str:
    """What a call that moves elements is: ``x[places]`` looks them up, ``x[2, 1:]`` is a slice.

    ``x[mask]`` takes none twice, as ``masked_select`` does.
    """
    if made.name != "index" or made.in_place or len(args) != 2:
        return made.name
    several = isinstance(args[1], tuple) or (
        isinstance(args[1], list) and any(isinstance(item, Tensor | None) for item in args[1])
    )
    items = args[1] if several else (args[1],)
    if all(map(_is_of_slice, items)):
        return "slice"
    return (
        "masked_select" if all(_is_of_slice(item) or _is_mask(item) for item in items) else "index"
    )


def _is_of_slice(item: Any) -> bool:
    """Whether an item of an index takes each element once: no list, and no tensor with an axis."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return True
    return hasattr(item, "__index__") and not getattr(item, "ndim", 0) and not _is_mask(item)


def _is_mask(item: Any) -> bool:
    """Whether an item of an index says of each place whether it is taken."""
    if isinstance(item, list):
        return bool(item) and all(map(_is_mask, item))
    return isinstance(item, bool) or getattr(item, "dtype", None) in (torch.bool, torch.uint8)


TENSOR_ATTRIBUTES = _names(
    """
    T mT H mH real imag data
    """
)
"""Attributes of a tensor that are tensors themselves."""


GRADIENTS = _names("grad backward jacobian hessian vjp jvp vhp hvp")
"""Functions of ``torch.autograd`` that run backwards, and ``Tensor.backward``."""


CUTS = _names("detach data")
"""Calls whose result no gradient goes through."""


class Kind(Enum):
    """How a call is answered."""

    DIRECT = auto()
    """By torch itself: it is about shapes and types."""
    DEVICE = auto()
    """By the device on which a tensor would be."""
    SETS = auto()
    """By setting an attribute of a tensor, until the run is over."""
    REFUSED = auto()
    """With False."""
    VALUES = auto()
    """With an error: there are no values."""
    MAKES = auto()
    """By a new tensor on ``meta``."""
    SPARSE = auto()
    """By a sparse tensor."""
    MOVES = auto()
    """By torch's own shapes, noted as moved elements."""
    USERS = auto()
    """By a user's rule."""
    USERS_WHOLE = auto()
    """By what a Python function calls, which a user's rule counts as a whole."""
    FUNCTION = auto()
    """By what the forward of a ``torch.autograd.Function`` calls."""
    RULE = auto()
    """By a rule."""
    GRADIENTS = auto()
    """By the shapes of gradients."""
    CONTROL = auto()
    """By what the functions do that it is given: ``torch.cond``, ``scan``."""
    UNKNOWN = auto()
    """By the basic operations that it consists of."""


class Call(NamedTuple):
    """A function: how its calls are answered, its plain name, whether it works in place."""

    kind: Kind
    name: str
    in_place: bool = False
    rule: Rule | None = None
    asked: bool = False
    """Whether torch is asked if it takes a call before the rule answers it."""
    spelled: str = ""
    """Where the name is from: ``F.relu``, ``torch.relu`` or ``Tensor.relu``."""
    users: UsersRule | None = None
    is_function: bool = False
    """Whether it is a ``torch.autograd.Function``."""


def classify(function: Any) -> Call:
    """What kind of call a function is."""
    kind = class_applied(function)
    if (rule := rule_for(function)) is not None:
        in_place = plain_name(_name(function))[1]
        is_run = rule.output is None and not is_dispatched(function)
        how = Kind.USERS_WHOLE if is_run and not is_others(function) else Kind.USERS
        call = Call(how, label(function), in_place, spelled=_spelled(function), users=rule)
        return call._replace(is_function=kind is not None)
    if kind is not None:
        return Call(Kind.FUNCTION, kind.__name__, spelled=kind.__name__, is_function=True)
    call = of_torch(function)
    if RULES and _CONSISTS_OF.get(call.name) in RULES:
        return call._replace(kind=Kind.UNKNOWN, rule=None)
    return call


_CONSISTS_OF = {"argsort": "sort", "msort": "sort"}
"""Functions with rules of ours that are another one of torch's, which users may have a rule for."""


@lru_cache(maxsize=1024)
def of_torch(function: Any) -> Call:
    """What kind of call a function of torch is, whatever rules users have given."""
    return _kind(function)._replace(spelled=_spelled(function))


def _spelled(function: Any) -> str:
    home = getattr(function, "__module__", None) or ""
    if home == "torch.nn.functional":
        room = "F"
    elif isinstance(function, (MethodDescriptorType, WrapperDescriptorType)) or home in (
        "torch._tensor",
        "torch.Tensor",
    ):
        room = "Tensor"
    else:
        room = "F" if home == "torch._C._nn" else "torch"
    return f"{room}.{getattr(function, '__name__', function)}"


def _name(function: Any) -> str:
    name: str = getattr(function, "__name__", None) or str(function)
    return name


def is_others(function: Any) -> bool:
    """Whether a function is not torch's own, whatever its name: scripted, or of another library."""
    if isinstance(function, OpOverloadPacket):
        return not function._qualified_op_name.startswith(_OWN)
    if isinstance(function, OpOverload):
        return not function._schema.name.startswith(_OWN)
    return isinstance(function, ScriptFunction)


def is_for_profiling(function: Any) -> bool:
    """Whether a call only marks a place for torch's profiler, as ``record_function`` does."""
    if isinstance(function, OpOverload):
        return bool(function._schema.name.startswith("profiler::"))
    return isinstance(function, OpOverloadPacket) and function._qualified_op_name.startswith(
        "profiler::"
    )


def _name_of_others(function: Any) -> str:
    if isinstance(function, OpOverload):
        return str(function._schema.name).partition("::")[2]
    return getattr(function, "name", "") or _name(function)


_OWN = ("aten::", "prims::", "prim::")


_BY_NAME = (
    (REFUSED, Kind.REFUSED),
    ({"get_device"}, Kind.DEVICE),
    (METADATA, Kind.DIRECT),
    (READS, Kind.VALUES),
    (MAKES, Kind.MAKES),
    (SPARSE, Kind.SPARSE),
    (GRADIENTS, Kind.GRADIENTS),
)


def _kind(function: Any) -> Call:
    name = _name(function)
    if is_for_profiling(function):
        return Call(Kind.DIRECT, name)
    if is_others(function):
        rule = None if isinstance(function, ScriptFunction) else rules().get(name_of(function))
        kind = Kind.UNKNOWN if rule is None else Kind.RULE
        return Call(kind, _name_of_others(function), False, rule)
    if function in CONTROL_FLOW or is_followed(function):
        return Call(Kind.CONTROL, name)
    if name == "__get__":
        attribute = function.__self__.__name__
        if attribute in DEVICE:
            return Call(Kind.DEVICE, attribute)
        return Call(Kind.MOVES if attribute in TENSOR_ATTRIBUTES else Kind.DIRECT, attribute)
    if name in ("__set__", "__delete__"):
        return Call(Kind.SETS, function.__self__.__name__)
    if name in SETS:
        return Call(Kind.SETS, SETS[name])
    for names, kind in _BY_NAME:
        if name in names:
            return Call(kind, name)
    plain, in_place = plain_name(name)
    if plain in MOVES:
        return Call(Kind.MOVES, plain, in_place)
    rule = None if plain in BASIC else rules().get(plain)
    if rule is None:
        return Call(Kind.UNKNOWN, plain, in_place)
    return Call(Kind.RULE, plain, in_place, rule, plain not in CHECKED)
