"""Writes a small ONNX network by hand, as protocol buffers of a few fields: the suite needs no library for that."""


def field(number: int, content: bytes | str | int) -> bytes:
    """One field of a protocol buffer: a number below 128, or bytes."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    data = content.encode() if isinstance(content, str) else content
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def tensor_info(name: str, element_type: int, shape: list[int | str]) -> bytes:
    dims = b"".join(field(1, field(2, d) if isinstance(d, str) else b"\x08" + varint(d)) for d in shape)
    return field(1, name) + field(2, field(1, field(1, element_type) + field(2, dims)))


def node(operator: str, source: str, target: str) -> bytes:
    return field(1, field(1, source) + field(2, target) + field(4, operator))


FLOAT, UINT8 = 1, 2


def network_bytes(
    shape: tuple[int | str, ...] = ("batch", 3, 224, 224),
    element_type: int = FLOAT,
    outputs: tuple[str, ...] = ("pooled", "means"),
) -> bytes:
    """A network whose `means` (count, 3) are the means of the channels; `pooled` is the same as (count, 3, 1, 1)."""
    shapes: dict[str, list[int | str]] = {"pooled": [shape[0], 3, 1, 1], "means": [shape[0], "dimensions"]}
    nodes = node("GlobalAveragePool", "picture", "pooled") + node("Flatten", "pooled", "means")
    graph = (
        (nodes if element_type == FLOAT else node("Flatten", "picture", "means"))
        + field(2, "channel_means")
        + field(11, tensor_info("picture", element_type, list(shape)))
        + b"".join(field(12, tensor_info(name, element_type, shapes[name])) for name in outputs)
    )
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))
