"""A pretended device, for machines that have none.

Inside `Strangers`, "cuda" may be named wherever torch takes a device. Its tensors lie in ordinary memory, but say that
they are on the device, and an operation that mixes them with the host's ends in `MixedDevicesError`, by CUDA's rules:
numbers (0-dimensional tensors) of the host may be used, a host's tensor may index one of the device, and `to`, `cpu`
and `copy_` cross. Where the host would wait for the device is written down too.

The names are changed by a mode for torch's functions; the rules are kept by a mode below autograd, which sees what
backward passes do as well. A tensor is the device's where its storage is known to be.
"""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, final
from unittest.mock import patch

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

_HOST = torch.device("cpu")
_TORCH = str(Path(torch.__file__).parent)
_HERE = (_TORCH, __file__, contextlib.__file__)

# Operations by the names of their packets, without an underscore at the end.
_CROSSING = {"copy", "_foreach_copy", "set_"}
_INDEXING = {"index", "_unsafe_index", "index_put", "_index_put_impl", "_unsafe_index_put"}
_STRICT = {"cat", "stack", "index_select", "index_add", "index_copy", "gather", "scatter", "scatter_add", "embedding"}
_STRICT |= {"_fused_adamw", "_fused_adam", "_fused_sgd", "searchsorted"}
"""Where even a number must be on the device."""
_FILLED = {"tensor", "as_tensor", "asarray", "new_tensor"}
"""What is filled by the host, and then copied."""
_WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "unique_dim", "bincount"}


class MixedDevicesError(RuntimeError):
    """An operation was given tensors of the device and of the host; torch raises a `RuntimeError` there."""


@final
class Strangers:
    """Inside, ``device`` is pretended; afterwards its tensors are the host's again, as they always were.

    Args:
        device: Its name; "cuda" unless a program treats another one in a way of its own.
    """

    def __init__(self, device: str = "cuda") -> None:
        self.device = torch.device(device, 0)
        self.waits: list[str] = []
        """Where the host waited for the device: operation and place."""
        self._storages: dict[int, StorageWeakRef] = {}
        """By their addresses, which nobody else can have while they are kept."""
        self._limit = 1 << 12
        self._made_at: torch.device = _HOST
        self._open: contextlib.ExitStack | None = None

    def __enter__(self) -> "Strangers":
        with contextlib.ExitStack() as stack:
            for target, name, value in self._stand_ins():
                stack.enter_context(patch.object(target, name, value))
            stack.enter_context(_Rules(self))
            stack.enter_context(_Names(self))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        assert self._open is not None
        self._open.close()

    def _stand_ins(self) -> Iterator[tuple[Any, str, Any]]:
        """What torch says of devices without being given a tensor."""
        ours, autocast, module_of = self.device, torch.autocast, torch.get_device_module

        def named(device: Any) -> bool:
            return device is not None and torch.device(device).type == ours.type

        module = SimpleNamespace(
            get_rng_state=lambda *_: torch.zeros(16, dtype=torch.uint8),
            set_rng_state=lambda *_: None,
            synchronize=lambda *_: None,
        )
        yield torch, "Generator", _Generator
        yield torch, "autocast", lambda kind, *a, **k: autocast("cpu" if named(kind) else kind, *a, **k)
        yield torch, "get_device_module", lambda device=None: module if named(device) else module_of(device)
        stream = SimpleNamespace(is_capturing=lambda: False, synchronize=lambda: None)
        answers = {"is_available": True, "current_accelerator": ours, "device_count": 1, "current_device_index": 0}
        answers |= {"current_stream": stream, "synchronize": None, "set_device_index": None}
        for name, value in answers.items():
            yield torch.accelerator, name, lambda *_, value=value, **__: value

    def device_of(self, tensor: Tensor) -> torch.device:
        """Where a tensor is."""
        while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            tensor = torch._C._functorch.get_unwrapped(tensor)
        if tensor.layout is not torch.strided or tensor.is_meta:
            return tensor.device
        return self.device if tensor.untyped_storage()._cdata in self._storages else _HOST

    def common(self, tensors: Iterable[Tensor]) -> torch.device:
        """The device, if any of these tensors is there."""
        return self.device if any(self.device_of(tensor) == self.device for tensor in tensors) else _HOST

    def keep(self, tensor: Tensor) -> None:
        """From now on this tensor is the device's."""
        if tensor.layout is not torch.strided or tensor.is_meta:
            return
        storage = tensor.untyped_storage()
        self._storages[storage._cdata] = StorageWeakRef(storage)
        if len(self._storages) > self._limit:
            self._storages = {name: known for name, known in self._storages.items() if not known.expired()}
            self._limit = 2 * max(1 << 11, len(self._storages))

    @contextlib.contextmanager
    def making(self, place: torch.device) -> Iterator[None]:
        """Inside, what is made of nothing is made there."""
        before, self._made_at = self._made_at, place
        try:
            yield
        finally:
            self._made_at = before

    @property
    def made_at(self) -> torch.device:
        return self._made_at

    def wait(self, what: str) -> None:
        """Writes down that the host waits."""
        self.waits.append(f"{what} at {_place()}")

    def moved(self, value: Any, place: torch.device, *, at_once: bool = True) -> Any:
        """The same with its tensors on this device; ``at_once``: the host waits for the copy."""

        def move(tensor: Tensor) -> Tensor:
            found = self.device_of(tensor)
            if found == place:
                return tensor
            if at_once:
                self.wait(f"a copy from {found} to {place}")
            copied: Tensor = _Cross.apply(tensor, self, place)  # type: ignore[no-untyped-call]  # torch's own is not annotated
            return copied

        return tree_map_only(Tensor, move, value)


class _Generator(torch.Generator):
    """A generator of the host that says whose it is."""

    named: torch.device

    def __new__(cls, device: Any = _HOST) -> "_Generator":
        made = super().__new__(cls)
        made.named = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]  # torch's stubs have an attribute
        return self.named


class _Cross(torch.autograd.Function):
    """A copy on the other side; its gradient comes back."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, strangers: Strangers, place: torch.device) -> Tensor:
        ctx.strangers, ctx.back = strangers, strangers.device_of(tensor)
        with torch.utils._python_dispatch._disable_current_modes():
            copied = tensor.detach().clone()
        if place == strangers.device:
            strangers.keep(copied)
        return copied

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        back = _Cross.apply(grads[0], ctx.strangers, ctx.back)  # type: ignore[no-untyped-call]  # torch's own is not annotated
        return back, None, None


class _Names(TorchFunctionMode):
    """Devices as torch's functions are told them, and as tensors tell them."""

    def __init__(self, strangers: Strangers) -> None:
        super().__init__()
        self.strangers = strangers
        of = strangers.device_of
        self._told: Mapping[Any, Callable[[Tensor], Any]] = {
            torch.Tensor.device.__get__: of,
            torch.Tensor.is_cuda.__get__: lambda x: of(x).type == "cuda",  # type: ignore[attr-defined]
            torch.Tensor.is_cpu.__get__: lambda x: of(x).type == "cpu",  # type: ignore[attr-defined]
            torch.Tensor.get_device: lambda x: -1 if of(x) == _HOST else 0,
            torch.Tensor.pin_memory: lambda x: x,
        }

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        strangers, kwargs, name = self.strangers, dict(kwargs or {}), getattr(func, "__name__", "")
        if func in self._told:
            return self._told[func](args[0])
        if name in ("__get__", "_parse_to") or func is torch.device:  # shape, grad and the like; a name, not a place
            return func(*args, **kwargs)
        tensors = _tensors(args, kwargs)
        place, args = self._asked(name, args, kwargs)
        if name in ("numpy", "__array__", "tolist") and strangers.common(tensors[:1]) != _HOST:
            if name != "tolist":
                raise MixedDevicesError(f"a tensor of {strangers.device} cannot become an array, at {_place()}")
            strangers.wait(name)
        here = strangers.common(tensors) if place is None else place
        generator = kwargs.get("generator")
        if generator is not None and generator.device.type != here.type:
            raise MixedDevicesError(f"'{name}' for {here} is given a generator of {generator.device}, at {_place()}")
        with strangers.making(_HOST if name in _FILLED else here):
            found = (torch.Tensor.cpu if name == "cuda" else func)(*args, **kwargs)
        if place is None:
            return found
        waits = not kwargs.get("non_blocking", False) and not any(value is True for value in args)
        return strangers.moved(found, place, at_once=waits)

    def _asked(self, name: str, args: Any, kwargs: dict[str, Any]) -> tuple[torch.device | None, Any]:
        """The device that a call names, if it does, and the call's arguments with the host in its place."""
        if name in ("cpu", "cuda"):
            return (_HOST if name == "cpu" else self.strangers.device), args[:1]
        if name == "to" and len(args) > 1 and isinstance(args[1], Tensor):
            return self.strangers.device_of(args[1]), args
        if name == "new_tensor" and kwargs.get("device") is None:
            return self.strangers.device_of(args[0]), args
        place = None
        if kwargs.get("device") is not None:
            place, kwargs["device"] = torch.device(kwargs["device"]), _HOST
        args = list(args)
        for i, value in enumerate(args):
            if isinstance(value, torch.device) or (name == "to" and i == 1 and isinstance(value, str)):
                place, args[i] = torch.device(value), _HOST
        if place is not None and place.type == self.strangers.device.type:
            place = self.strangers.device
        return place, args


class _Rules(TorchDispatchMode):
    """What may be mixed, and where results are."""

    def __init__(self, strangers: Strangers) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is not annotated
        self.strangers = strangers

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """What guards against being compiled, which nobody does here, is slow to import."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        strangers, kwargs = self.strangers, kwargs or {}
        name = func.overloadpacket.__name__.rstrip("_")
        given = _tensors(args, kwargs)
        place = self._place(name, func, args, given) if given and name != "lift_fresh" else strangers.made_at
        found = func(*args, **kwargs)
        if place == strangers.device and name not in _CROSSING:
            for tensor in _tensors((found,), {}):
                strangers.keep(tensor)
        return found

    def _place(self, name: str, func: Any, args: Any, given: list[Tensor]) -> torch.device:
        """Where the operation happens."""
        strangers = self.strangers
        where = [strangers.device_of(tensor) for tensor in given]
        if all(place == _HOST for place in where):
            return _HOST
        if name in _CROSSING:
            if len(set(where)) > 1 and not any(value is True for value in args[2:]):
                strangers.wait(f"{func} from {where[-1]} to {where[0]}")
            return where[0]
        indices: list[Tensor] = []
        if name in _INDEXING:
            indices = [index for index in args[1] if index is not None]
            if where[0] == _HOST and any(strangers.device_of(index) != _HOST for index in indices):
                raise MixedDevicesError(f"{func} looks up the host's tensor by the device's numbers, at {_place()}")
            self._look_up(name, func, args, indices)
        elif name in _WAITING or (name == "repeat_interleave" and len(args) == 1):
            strangers.wait(str(func))
        strict, ids = name in _STRICT, {id(index) for index in indices}
        for tensor, place in zip(given, where, strict=True):
            if place == _HOST and id(tensor) not in ids and (strict or tensor.ndim):
                told = ", ".join(f"{tuple(x.shape)} of {y}" for x, y in zip(given, where, strict=True))
                raise MixedDevicesError(f"{func} mixes tensors of two devices, {told}, at {_place()}")
        return strangers.device

    def _look_up(self, name: str, func: Any, args: Any, indices: list[Tensor]) -> None:
        """Masks are counted and the host's indices copied before anything is looked up."""
        filled = "put" in name and args[2].numel() == 1
        if any(index.dtype in (torch.bool, torch.uint8) for index in indices) and not filled:
            self.strangers.wait(f"{func} by a mask")
        elif any(self.strangers.device_of(index) == _HOST for index in indices):
            self.strangers.wait(f"{func} by the host's numbers")


def _tensors(args: Iterable[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """All tensors among arguments, those in lists included."""
    found: list[Tensor] = []
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple | dict):
            found += [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
    return found


def _place() -> str:
    """The line that is to blame: the innermost one that is neither torch's nor ours."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    if frame is None:
        return "an unknown place"
    path = Path(frame.f_code.co_filename)
    return f"{path.parent.name}/{path.name}:{frame.f_lineno} ({frame.f_code.co_name})"
