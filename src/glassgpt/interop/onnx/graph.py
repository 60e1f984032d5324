"""A builder of ONNX graphs: operators, constants and weights by our names.

It uses operators of opset 18, which programs from 2023 on know.
Source: https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

OPSET = 18
IR_VERSION = 8
"""Version of the file format that belongs to this opset."""
TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "bool": TensorProto.BOOL}
TYPES |= {"float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}

Value = str
"""The name of a tensor in a graph."""
Shape = Sequence[int | str]
"""Sizes; a name stands for a size that changes from call to call."""


class Graph:
    """A graph in the making. Methods add a node and return the name of its output.

    model: its parameters keep their names. dtype: the stored weights; the graph computes in float32.
    """

    def __init__(self, model: nn.Module, dtype: str) -> None:
        self.dtype = dtype
        self._names = {id(p): name for name, p in model.named_parameters()}
        self._nodes: list[onnx.NodeProto] = []
        self._stored: dict[str, onnx.TensorProto] = {}
        self._known: dict[str, Value] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: Shape, dtype: str = "float32") -> Value:
        """Declare an input."""
        self._inputs.append(helper.make_tensor_value_info(name, TYPES[dtype], shape))
        return name

    def output(self, name: str, value: Value, shape: Shape, dtype: str = "float32") -> None:
        """Give a value out under a name."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TYPES[dtype], shape))

    def op(self, kind: str, *inputs: Value, **attributes: Any) -> Value:
        """Add an operator with one output."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, n: int, *inputs: Value, **attributes: Any) -> list[Value]:
        """Add an operator with n outputs."""
        outputs = [f"{kind}_{len(self._nodes)}" + (f".{i}" if n > 1 else "") for i in range(n)]
        self._nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return outputs

    def weight(self, tensor: Tensor, name: str = "") -> Value:
        """Store a weight, once, and return it in float32. name: for a tensor that is no parameter."""
        name = name or self._names[id(tensor)]
        if name not in self._known:
            self._store(name, tensor.detach().numpy().astype(self.dtype))
            is_rounded = self.dtype != "float32"
            self._known[name] = self.op("Cast", name, to=TYPES["float32"]) if is_rounded else name
        return self._known[name]

    def table(self, name: str, values: Tensor) -> Value:
        """Store numbers that follow from the configuration, in float32."""
        if name not in self._stored:
            self._store(name, values.detach().numpy())
        return name

    def const(self, value: int | float | Sequence[int]) -> Value:
        """Store a float32 or int64 constant; a sequence makes a vector."""
        array = np.array(value, np.float32 if isinstance(value, float) else np.int64)
        name = f"{array.dtype}({value})"
        if name not in self._stored:
            self._store(name, array)
        return name

    def _store(self, name: str, array: np.ndarray) -> None:
        self._stored[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)

    def size(self, value: Value, axis: int) -> Value:
        """Return the size of an axis, a scalar."""
        return self.op("Squeeze", self.op("Shape", value, start=axis, end=axis + 1), self.const([0]))

    def arange(self, start: Value, end: Value) -> Value:
        """Return the integers from start to end − 1."""
        return self.op("Range", start, end, self.const(1))

    def slice(self, value: Value, start: Value, end: Value, axis: int) -> Value:
        """Return a part of an axis. start, end: scalars."""
        ends = [self.op("Unsqueeze", each, self.const([0])) for each in (start, end)]
        return self.op("Slice", value, *ends, self.const([axis]))

    def split(self, value: Value, sizes: Sequence[int]) -> list[Value]:
        """Split the last axis."""
        return self.ops("Split", len(sizes), value, self.const(sizes), axis=-1)

    def reshape(self, value: Value, *sizes: int) -> Value:
        """Reshape; 0 keeps the size of an axis at this place."""
        return self.op("Reshape", value, self.const(sizes))

    def unsqueeze(self, value: Value, *axes: int) -> Value:
        """Add axes of size 1."""
        return self.op("Unsqueeze", value, self.const(axes))

    def transpose(self, value: Value, *axes: int) -> Value:
        """Reorder the axes."""
        return self.op("Transpose", value, perm=axes)

    def build(self, name: str, about: Mapping[str, str]) -> onnx.ModelProto:
        """Return the checked model. about: metadata of the file."""
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, [*self._stored.values()])
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="glassgpt",
        )
        helper.set_model_props(model, dict(about))
        onnx.checker.check_model(model, full_check=True)
        return model
