"""Reads the python batches of CIFAR-10, which are pickles, without unpickling: nothing in the file is ever called.

The opcodes are listed by the standard library's ``pickletools`` and played back on a stack of plain values. A pickle
can only *name* things; here four names stand for numpy's arrays of bytes, and any other is an error.
"""

import pickletools
from typing import Any

import attrs
import numpy as np

from inrkit import DataError

_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    "BINSTRING", "SHORT_BINSTRING", "STRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BINUNICODE",
    "SHORT_BINUNICODE", "UNICODE", "BINUNICODE8", "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4",
}  # fmt: skip
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_NAMES = (
    "numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct", "numpy ndarray", "numpy dtype",
)  # fmt: skip


@attrs.define(eq=False)
class _Symbol:
    """Stands for a name, an array under construction, or a dtype."""

    kind: str
    value: Any = None


def read_pickled_dict(data: bytes, name: str) -> dict[str, Any]:
    """A pickled dict of text, whole numbers, lists and arrays of bytes; `DataError` for anything else."""
    try:
        result = _play(data, name)
    except DataError:
        raise
    except Exception as error:  # whatever a damaged stream does to a stack machine
        raise DataError(f"{name}: expected a python batch of CIFAR-10, found damage: {error!r}.") from error
    if not isinstance(result, dict):
        raise DataError(f"{name}: expected a pickled dict, found {type(result).__name__}.")
    return {_text(key): _finished(value, name) for key, value in result.items()}


def _play(data: bytes, name: str) -> Any:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    argument: Any
    for opcode, argument, _ in pickletools.genops(data):
        op = opcode.name
        if op == "STOP":
            return stack.pop()
        if op in _VALUES:
            stack.append(argument)
        elif op in _CONSTANTS:
            stack.append(_CONSTANTS[op])
        elif op in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if op == "MEMOIZE" else argument] = stack[-1]
        elif op in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif op in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(_named(argument if op == "GLOBAL" else f"{stack.pop(-2)} {stack.pop()}", name))
        elif op not in ("PROTO", "FRAME"):
            _container(op, stack, name)
    raise DataError(f"{name}: expected a python batch of CIFAR-10, found one that is cut off.")


def _container(op: str, stack: list[Any], name: str) -> None:
    """The opcodes that build containers, and the two by which a pickle would call functions."""
    if op == "MARK":
        stack.append(_MARK)
    elif op in _EMPTY:
        stack.append(_EMPTY[op]())
    elif op in ("TUPLE1", "TUPLE2", "TUPLE3"):
        count = int(op[-1])
        stack[-count:] = [tuple(stack[-count:])]
    elif op in ("TUPLE", "LIST", "DICT"):
        items = _to_mark(stack)
        stack.append(tuple(items) if op == "TUPLE" else items if op == "LIST" else _pairs(items))
    elif op in ("SETITEM", "SETITEMS"):
        items = _to_mark(stack) if op == "SETITEMS" else [stack.pop(-2), stack.pop()]
        _of_type(stack[-1], dict).update(_pairs(items))
    elif op in ("APPEND", "APPENDS"):
        items = _to_mark(stack) if op == "APPENDS" else [stack.pop()]
        _of_type(stack[-1], list).extend(items)
    elif op == "REDUCE":
        arguments, function = stack.pop(), stack.pop()
        stack.append(_called(function, arguments, name))
    elif op == "BUILD":
        state = stack.pop()
        _build(_of_type(stack[-1], _Symbol), state)
    else:
        raise DataError(f"{name}: expected a python batch of CIFAR-10, found a pickle with {op}; it was not run.")


def _named(place: str, name: str) -> _Symbol:
    if place not in _NAMES:
        found = f"a pickle that names '{place.replace(' ', '.')}'"
        raise DataError(f"{name}: expected a python batch of CIFAR-10, found {found}; it was not run.")
    return _Symbol(place.split()[1])


def _called(function: Any, arguments: Any, name: str) -> _Symbol:
    kind = _of_type(function, _Symbol).kind
    if kind == "_reconstruct" and _of_type(arguments[0], _Symbol).kind == "ndarray":
        return _Symbol("array")
    if kind == "dtype" and arguments[0] in ("u1", "uint8"):
        return _Symbol("uint8")
    raise DataError(f"{name}: expected arrays of bytes, found a call of {kind} with {arguments!r:.80}; it was not run.")


def _build(symbol: _Symbol, state: Any) -> None:
    """numpy's state of an array: version, shape, dtype, whether in Fortran's order, bytes. A dtype's is ignored."""
    if symbol.kind == "array":
        _, shape, dtype, fortran, data = state
        if _of_type(dtype, _Symbol).kind != "uint8":
            raise ValueError("an array of something else than bytes")
        flat = np.frombuffer(_raw(data), np.uint8)
        symbol.value = flat.reshape(shape, order="F" if fortran else "C")
    elif symbol.kind != "uint8":
        raise ValueError(f"a state for {symbol.kind}")


def _to_mark(stack: list[Any]) -> list[Any]:
    at = len(stack) - 1 - stack[::-1].index(_MARK)
    items = stack[at + 1 :]
    del stack[at:]
    return items


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _of_type(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} where {kind.__name__} belongs")
    return value


def _raw(data: Any) -> bytes:
    return data.encode("latin-1") if isinstance(data, str) else bytes(_of_type(data, bytes))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _raw(value).decode("latin-1")


def _finished(value: Any, name: str) -> Any:
    if not isinstance(value, _Symbol):
        return value
    if value.kind != "array" or value.value is None:
        raise DataError(f"{name}: expected arrays with their contents, found none.")
    return value.value
