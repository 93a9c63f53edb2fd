"""Writes a model file in GGUF, version 3, little-endian: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Offsets of tensors are multiples of this, unless `general.alignment` says otherwise.
ALIGNMENT = 32

_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
#: ggml's number for 32-bit floats.
_F32 = 0

Value = str | bool | int | float | Sequence[str] | Sequence[float] | Sequence[int]


@dataclass(frozen=True)
class Tensor:
    """A matrix of `rows` by `columns`, row by row; one row is a vector."""

    rows: int
    columns: int
    values: array[float]

    def __post_init__(self) -> None:
        if len(self.values) != self.rows * self.columns:
            raise ValueError(f"{len(self.values)} values for {self.rows} by {self.columns}")


def encode(metadata: Mapping[str, Value], tensors: Mapping[str, Tensor]) -> bytes:
    """Return the file's bytes."""
    head = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
    for key, value in metadata.items():
        head += _string(key) + _typed(value)
    body = bytearray()
    for name, tensor in tensors.items():
        # The dimension that runs fastest comes first.
        dimensions = (tensor.columns,) if tensor.rows == 1 else (tensor.columns, tensor.rows)
        head += _string(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, _F32, len(body))
        body += _aligned(struct.pack(f"<{len(tensor.values)}f", *tensor.values))
    return _aligned(bytes(head)) + bytes(body)


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _typed(value: Value) -> bytes:
    if isinstance(value, (str, bool, int, float)):
        kind, data = _scalar(value)
        return struct.pack("<I", kind) + data
    kinds, items = zip(*(_scalar(item, signed=True) for item in value), strict=True)
    return struct.pack("<IIQ", _ARRAY, kinds[0], len(items)) + b"".join(items)


def _scalar(value: str | bool | float, *, signed: bool = False) -> tuple[int, bytes]:
    if isinstance(value, str):
        return _STRING, _string(value)
    if isinstance(value, bool):
        return _BOOL, struct.pack("<?", value)
    if isinstance(value, int):
        # The one list of whole numbers there is, the kinds of tokens, is one of signed ones.
        return (_INT32, struct.pack("<i", value)) if signed else (_UINT32, struct.pack("<I", value))
    return _FLOAT32, struct.pack("<f", value)
