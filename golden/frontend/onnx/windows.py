"""Windows of ONNX's convolutions and pools: their kernels, strides and padding."""

from __future__ import annotations

from dataclasses import dataclass

from golden.frontend.onnx.translate import Call, Declined, shape_of


@dataclass(frozen=True)
class Window:
    """One value an axis; ``pads`` in front of and behind it; ``over``: places behind these that ``ceil_mode`` adds."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    over: tuple[int, ...]

    @property
    def even(self) -> bool:
        """Whether each axis has as much padding in front as behind."""
        return all(head == tail for head, tail in self.pads)

    def counts(self, sizes: tuple[int, ...], padding: bool) -> int | None:
        """How many values of ``sizes`` places, or of the padding too, are in a window; None if windows differ."""
        total = 1
        for size, kernel, step, (head, tail), over in zip(
            sizes, self.kernel, self.stride, self.pads, self.over, strict=True
        ):
            first, last = (-head, size + tail) if padding else (0, size)
            starts = range(-head, size + tail + over - kernel + 1, step)
            found = {min(start + kernel, last) - max(start, first) for start in starts}
            if len(found) != 1:
                return None
            total *= found.pop()
        return total or None

    @property
    def around(self) -> list[int]:
        """Padding as torch's ``pad`` takes it, of the last axis first."""
        return [size for pads in reversed(self.pads) for size in pads]

    def flat(self) -> tuple[list[int], list[int], list[int]]:
        """Kernel, stride and padding (top, left, bottom, right) in two dimensions; a sequence has one row."""
        one = len(self.kernel) == 1
        kernel, stride = ([1, *sizes] if one else list(sizes) for sizes in (self.kernel, self.stride))
        ends = [(head, tail + over) for (head, tail), over in zip(self.pads, self.over, strict=True)]
        ends = [(0, 0), *ends] if one else ends
        return kernel, stride, [ends[0][0], ends[1][0], ends[0][1], ends[1][1]]


def window_of(call: Call, kernel: tuple[int, ...]) -> Window:
    """Of a convolution or pool. Raises Declined for more than two axes, and for sizes that are none."""
    sizes = shape_of(call.image())[2:]
    axes = len(sizes)
    if axes not in (1, 2) or len(kernel) != axes:
        raise Declined(f"in {axes} dimensions: one or two are supported", follows=True)
    stride, dilation = (_values(call, key, [1] * axes) for key in ("strides", "dilations"))
    given = _values(call, "pads", [0] * 2 * axes)
    if min(*stride, *dilation, *kernel) < 1 or min(given) < 0 or len(given) != 2 * axes:
        raise Declined(f"with kernel {list(kernel)}, strides {list(stride)}, pads {list(given)}")
    auto, ceil = call.attribute("auto_pad", "NOTSET") or "NOTSET", bool(call.attribute("ceil_mode", 0))
    pads, over = [], []
    for axis, size in enumerate(sizes):
        reach, step = dilation[axis] * (kernel[axis] - 1) + 1, stride[axis]
        head, tail = (given[axis], given[axes + axis]) if auto == "NOTSET" else (0, 0)
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            needed = max(0, (-(-size // step) - 1) * step + reach - size)
            head = (needed + (auto == "SAME_LOWER")) // 2
            tail = needed - head
        room = size + head + tail - reach
        if room < 0:
            raise Declined(f"of windows of {reach} on {size} places", follows=True)
        count = room // step + 1
        if ceil and room % step and count * step < size + head:
            count += 1
        pads.append((head, tail))
        over.append(max(0, (count - 1) * step + reach - size - head - tail))
    return Window(kernel, stride, dilation, tuple(pads), tuple(over))


def _values(call: Call, key: str, default: list[int]) -> tuple[int, ...]:
    return tuple(int(value) for value in call.attribute(key, default))
