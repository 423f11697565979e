"""Random ONNX graphs, by seed: operators in any order, spelled as any of several programs spell them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.golden.onnx_graphs import Drawn, ModelProto, model, node


class Growing:
    """A graph that grows node by node. ``shape``: of the newest value, (channels, rows, columns)."""

    def __init__(self, seed: int) -> None:
        self.rng, self.drawn = np.random.default_rng(seed), Drawn(seed)
        self.opset = int(self.rng.choice([9, 11, 13, 17, 18, 21]))
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self.last, self.shape = "x", tuple(int(size) for size in self.rng.integers((1, 4, 4), (4, 10, 10)))
        self.taken = self.shape
        self.earlier: list[tuple[str, tuple[int, ...]]] = []
        self.positive = False

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return bool(self.rng.random() < share)

    def hold(self, value: Any) -> str:
        """A constant, by its new name."""
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def add(
        self, kind: str, inputs: str, shape: tuple[int, ...] | None = None, positive: bool = False, **o: Any
    ) -> str:
        """A node that reads ``inputs``; its result is the newest value, of ``shape``."""
        self.earlier.append((self.last, self.shape))
        name = f"v{len(self.nodes)}"
        self.nodes.append(node(kind, inputs, name, **o))
        self.last, self.shape, self.positive = name, self.shape if shape is None else shape, positive
        return name

    def numbers(self, kind: str, attribute: str, values: list[int], since: int, shape: tuple[int, ...]) -> None:
        """A node whose integers are an attribute before opset ``since`` and an operand from then on."""
        kept = self.positive
        if self.opset < since:
            self.add(kind, self.last, shape, False, **{attribute: values})
        else:
            self.add(kind, f"{self.last} {self.hold(np.array(values, np.int64))}", shape)
        self.positive = kept

    # -- steps

    def conv(self) -> None:
        channels, rows, columns = self.shape
        kernel = [int(min(size + 1, k)) for size, k in zip((rows, columns), self.rng.integers(1, 4, 2), strict=True)]
        groups = channels if self.chance(0.25) else 1
        outputs = groups * int(self.rng.integers(1, 3)) if groups > 1 else int(self.rng.integers(1, 7))
        stride = [int(s) for s in self.rng.integers(1, 3, 2)]
        weight = self.hold(self.drawn(outputs, channels // groups, *kernel))
        inputs = f"{self.last} {weight}" + (f" {self.hold(self.drawn(outputs))}" if self.chance(0.7) else "")
        o: dict[str, Any] = {"group": groups, "strides": stride}
        if self.chance(0.3):
            auto = str(self.rng.choice(["SAME_UPPER", "SAME_LOWER"]))
            self.add("Conv", inputs, (outputs, -(-rows // stride[0]), -(-columns // stride[1])), auto_pad=auto, **o)
            return
        pads = [int(p) for p in self.rng.integers(0, 2, 4)]
        height = (rows + pads[0] + pads[2] - kernel[0]) // stride[0] + 1
        width = (columns + pads[1] + pads[3] - kernel[1]) // stride[1] + 1
        if height >= 1 and width >= 1:
            self.add("Conv", inputs, (outputs, height, width), pads=pads, **o)

    def relu(self) -> None:
        kind = self.rng.integers(4)
        if kind == 0:
            low, high = np.float32(0), np.float32(self.rng.uniform(0.5, 3))
            if self.opset < 11:
                self.add("Clip", self.last, positive=True, min=float(low), max=float(high))
            else:
                self.add("Clip", f"{self.last} {self.hold(low)} {self.hold(high)}", positive=True)
        elif kind == 1:
            self.add("Max", f"{self.hold(np.float32(0))} {self.last}", positive=True)
        else:
            self.add("Relu", self.last, positive=True)

    def norm(self) -> None:
        channels = self.shape[0]
        drawn = [self.drawn(channels, low=low, high=high) for low, high in ((0.5, 1.5), (-0.5, 0.5))]
        drawn += [self.drawn(channels, low=-0.3, high=0.3), self.drawn(channels, low=0.5, high=1.5)]
        self.add("BatchNormalization", " ".join([self.last, *map(self.hold, drawn)]))

    def arithmetic(self) -> None:
        kind = str(self.rng.choice(["Add", "Sub", "Mul", "Div"]))
        value = self.drawn(self.shape[0], 1, 1, low=0.4, high=1.6) if self.chance(0.6) else np.float32(0.75)
        pair = [self.last, self.hold(value)]
        self.add(kind, " ".join(pair[::-1] if kind != "Div" and self.chance(0.4) else pair))

    def join(self) -> None:
        """With an earlier value of the same shape, or of the same size as more channels."""
        alike = [name for name, shape in self.earlier if shape == self.shape and name != "x"]
        if alike and self.chance(0.6):
            kind = str(self.rng.choice(["Add", "Sum", "Sub"]))
            self.add(kind, f"{self.last} {alike[int(self.rng.integers(len(alike)))]}")
            return
        sized = [(name, shape) for name, shape in self.earlier if shape[1:] == self.shape[1:]]
        if sized:
            name, shape = sized[int(self.rng.integers(len(sized)))]
            self.add("Concat", f"{self.last} {name}", (self.shape[0] + shape[0], *self.shape[1:]), axis=1)

    def pool(self) -> None:
        channels, rows, columns = self.shape
        kernel = [min(rows, int(self.rng.integers(1, 4))), min(columns, int(self.rng.integers(1, 4)))]
        stride = [int(s) for s in self.rng.integers(1, 3, 2)]
        largest = self.chance(0.5)
        pads = [min(1, k - 1) if self.positive and self.chance(0.3) else 0 for k in (*kernel, *kernel)]
        size = [(n + pads[i] + pads[i + 2] - kernel[i]) // stride[i] + 1 for i, n in enumerate((rows, columns))]
        o: dict[str, Any] = {"kernel_shape": kernel, "strides": stride, "pads": pads}
        if largest:
            self.add("MaxPool", self.last, (channels, *size), self.positive, **o)
        else:
            self.add("AveragePool", self.last, (channels, *size), self.positive, count_include_pad=1, **o)

    def move(self) -> None:
        channels, rows, columns = self.shape
        kind, kept = self.rng.integers(5), self.positive
        if kind == 0 and rows > 1:
            step = int(self.rng.integers(1, 3))
            held = [self.hold(np.array([value], np.int64)) for value in (1, 2**40, 2, step)]
            if self.opset >= 10:
                self.add("Slice", " ".join([self.last, *held]), (channels, -(-(rows - 1) // step), columns))
        elif kind == 1:
            order = self.rng.permutation(channels)[: int(self.rng.integers(1, channels + 1))]
            self.add("Gather", f"{self.last} {self.hold(order)}", (len(order), rows, columns), axis=1)
        elif kind == 2 and channels % 2 == 0:
            first = [0, 2, channels // 2, rows, columns]
            self.add("Reshape", f"{self.last} {self.hold(np.array(first, np.int64))}")
            self.add("Transpose", self.last, perm=[0, 2, 1, 3, 4])
            self.add("Reshape", f"{self.last} {self.hold(np.array([0, channels, rows, columns], np.int64))}")
            del self.earlier[-2:]
        elif kind == 3:
            pads = [
                0,
                0,
                *(int(p) for p in self.rng.integers(0, 2, 2)),
                0,
                0,
                *(int(p) for p in self.rng.integers(0, 2, 2)),
            ]
            self.numbers("Pad", "pads", pads, 11, (channels, rows + pads[2] + pads[6], columns + pads[3] + pads[7]))
        else:
            self.add(str(self.rng.choice(["Identity", "Dropout"])), self.last)
        self.positive = kept

    def head(self) -> ModelProto:
        """The end: a vector of classes, or a map."""
        channels, rows, columns = self.shape
        kind = self.rng.integers(4)
        if kind == 0:
            self.add("GlobalAveragePool", self.last, (channels, 1, 1))
            self.add("Flatten", self.last)
            features = channels
        elif kind == 1:
            self.numbers("ReduceMean", "axes", [2, 3], 18, (channels, 1, 1))
            self.numbers("Squeeze", "axes", [2, 3], 13, (channels, 1, 1))
            features = channels
        else:
            self.add("Reshape", f"{self.last} {self.hold(np.array([0, -1], np.int64))}")
            features = channels * rows * columns
        weight = self.drawn(5, features)
        if self.chance(0.5):
            self.add("Gemm", f"{self.last} {self.hold(weight)} {self.hold(self.drawn(5))}", transB=1)
        else:
            self.add("MatMul", f"{self.last} {self.hold(weight.T.copy())}")
            self.add("Add", f"{self.hold(self.drawn(5))} {self.last}")
        if self.chance(0.3):
            self.add("Softmax", self.last, axis=1)
        shape: list[int | str | None] = ["n" if self.chance(0.5) else 1, *self.taken]
        return model(self.nodes, self.constants, shape, self.opset, output=self.last)


def random_graph(seed: int) -> tuple[ModelProto, tuple[int, ...]]:
    """A model and the shape of its images."""
    graph = Growing(seed)
    graph.conv()
    steps = ("conv", "relu", "norm", "arithmetic", "join", "pool", "move")
    for step in graph.rng.choice(steps, int(graph.rng.integers(3, 11)), p=[0.24, 0.22, 0.08, 0.1, 0.14, 0.1, 0.12]):
        getattr(graph, step)()
    return graph.head(), graph.taken
