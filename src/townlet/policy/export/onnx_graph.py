"""A policy as an ONNX graph, built from its weights without torch: from raw features to the greedy action.

F features, K discrete heads with A options together, D box heads; the first axis of a batch is symbolic.
"""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townlet.canonical import canonical_json
from townlet.env.libraries import needed
from townlet.policy.distributions.acting import ILLEGAL
from townlet.policy.export.bundle import BundleSpec, layout
from townlet.policy.model.forward import Layers
from townlet.policy.model.weights import Weights

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto, ValueInfoProto

__all__ = ["METADATA", "OPSET", "onnx_model"]

OPSET = 12
"""Version of the operators: the first in which ArgMax promises the first of equal options."""
_IR = 7
"""Version of the file format that came with these operators."""
METADATA = "townlet"
"""Key of the metadata: what `spec.json` of a bundle says of features, heads and spaces, as JSON."""
_DOC = (
    "Greedy actions of a policy. `features` are raw, in the order that the metadata names; the normaliser is inside. "
    "`action_mask` says which options are legal. `option` is an index for each discrete head, `number` is in the "
    "environment's units."
)


def onnx_model(weights: Weights) -> bytes:
    """Return an ONNX model of the actor; equal weights give equal bytes.

    Inputs: `features` float32 [batch, F], raw, and `action_mask` bool [batch, A] where there are discrete heads.
    Outputs: `logits` float32 [batch, A], masked, and `option` int64 [batch, K] where there are discrete heads; `mean`
    float32 [batch, D] and `log_std` float32 [D] in the units of the bounds, and `number` float32 [batch, D] in the
    environment's units, where there are box heads. MissingLibraryError where onnx is not installed.
    """
    with needed("onnx", extra="onnx"):
        from onnx import TensorProto, helper

    spec, graph = weights.spec, _Graph()
    outputs = graph.forward(weights.actor, graph.normalise("features", weights.mean, weights.scale))
    inputs = [_value("features", TensorProto.FLOAT, "batch", len(weights.mean))]
    results = list["ValueInfoProto"]()
    if spec.discrete:
        inputs.append(_value("action_mask", TensorProto.BOOL, "batch", spec.logits))
        graph.choose(graph.columns(outputs, 0, spec.logits), spec.offsets)
        results.append(_value("logits", TensorProto.FLOAT, "batch", spec.logits))
        results.append(_value("option", TensorProto.INT64, "batch", len(spec.discrete)))
    if spec.box:
        graph.node("Identity", graph.columns(outputs, spec.logits, len(spec.outputs)), output="mean")
        graph.node("Identity", graph.constant("actor.log_std", weights.log_std), output="log_std")
        graph.scale(weights)
        results.append(_value("mean", TensorProto.FLOAT, "batch", len(spec.box)))
        results.append(_value("log_std", TensorProto.FLOAT, len(spec.box)))
        results.append(_value("number", TensorProto.FLOAT, "batch", len(spec.box)))
    model = helper.make_model(
        helper.make_graph(graph.nodes, "policy", inputs, results, graph.constants, doc_string=_DOC),
        producer_name="townlet",
        ir_version=_IR,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(model, {METADATA: canonical_json(layout(weights, BundleSpec())).decode()})
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _value(name: str, kind: int, *shape: int | str) -> "ValueInfoProto":
    from onnx import helper

    return helper.make_tensor_value_info(name, kind, shape)


class _Graph:
    """Nodes and constants of a graph; each method adds some and returns the name of their result."""

    def __init__(self) -> None:
        self.nodes = list["NodeProto"]()
        self.constants = list["TensorProto"]()

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = output or f"{operator}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def columns(self, values: str, start: int, end: int) -> str:
        """Return columns start to end of [batch, …]."""
        names = [
            self.constant(f"{what}.{len(self.nodes)}", np.array([number], np.int64))
            for what, number in (("start", start), ("end", end), ("axis", 1))
        ]
        return self.node("Slice", values, *names)

    def normalise(self, features: str, mean: NDArray[np.float32], scale: NDArray[np.float32]) -> str:
        """Return (features − mean) ÷ scale, clipped to ±10."""
        shifted = self.node("Sub", features, self.constant("normaliser.mean", mean))
        scaled = self.node("Div", shifted, self.constant("normaliser.scale", scale))
        limits = [self.constant(f"limit.{sign}", np.array(sign, np.float32)) for sign in (-10, 10)]
        return self.node("Clip", scaled, *limits)

    def forward(self, layers: Layers, x: str) -> str:
        """Return the outputs [batch, A + D]: affine layers with ReLU between them."""
        for index, (weight, bias) in enumerate(layers):
            x = self.node("Relu", x) if index else x
            product = self.node("MatMul", x, self.constant(f"actor.{index}.weight", weight))
            x = self.node("Add", product, self.constant(f"actor.{index}.bias", bias))
        return x

    def choose(self, logits: str, offsets: tuple[int, ...]) -> None:
        """Add the masked logits and the greedy option of each head, the first of equal ones."""
        masked = self.node("Where", "action_mask", logits, self.constant("illegal", np.array(ILLEGAL)), output="logits")
        heads = pairwise(offsets)
        options = [self.node("ArgMax", self.columns(masked, *head), axis=1, keepdims=1) for head in heads]
        self.node("Concat", *options, axis=1, output="option")

    def scale(self, weights: Weights) -> None:
        """Add the means in the environment's units: scaled, clipped and rounded in float64, as `to_native` does."""
        from onnx import TensorProto

        spec = weights.spec
        x = self.node("Cast", "mean", to=TensorProto.DOUBLE)
        x = self.node("Mul", x, self.constant("box.half", np.array([head.half for head in spec.box])))
        x = self.node("Add", x, self.constant("box.centre", np.array([head.centre for head in spec.box])))
        lows = np.array([-np.inf if head.low is None else head.low for head in spec.box])
        highs = np.array([np.inf if head.high is None else head.high for head in spec.box])
        x = self.node("Min", self.node("Max", x, self.constant("box.low", lows)), self.constant("box.high", highs))
        integer = np.array([head.integer for head in spec.box], np.bool_)
        if integer.any():
            x = self.node("Where", self.constant("box.integer", integer), self.node("Round", x), x)
        self.node("Cast", x, to=TensorProto.FLOAT, output="number")
