"""Acts with numpy alone. `python act.py --verify` plays the recorded observations of `probe.safetensors` again."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def tensors(path: Path) -> dict[str, Any]:
    """Return the arrays of a safetensors file by name."""
    data, kinds = path.read_bytes(), {"F32": "<f4", "F64": "<f8", "I64": "<i8", "BOOL": "?"}
    start = 8 + int.from_bytes(data[:8], "little")
    found = {name: about for name, about in json.loads(data[8:start]).items() if name != "__metadata__"}
    cut = {name: data[start:][slice(*about["data_offsets"])] for name, about in found.items()}
    return {name: np.frombuffer(cut[name], kinds[at["dtype"]]).reshape(at["shape"]) for name, at in found.items()}


class Policy:
    """Greedy actions [B, C], a column for each head of `spec.json`, of features [B, F] in its order."""

    def __init__(self, folder: Path) -> None:
        self.spec, self.arrays = json.loads((folder / "spec.json").read_text()), tensors(folder / "policy.safetensors")

    def outputs(self, features: Any) -> Any:
        """Return the logits of all options and the means of the numbers, [B, A + D]."""
        a, x = self.arrays, np.atleast_2d(features).astype("f4")
        x = np.clip((x - a["normaliser.mean"]) / a["normaliser.scale"], -10, 10)
        for k in range(self.spec["layers"]):
            x = (np.maximum(x, 0) if k else x) @ a[f"actor.{k}.weight"] + a[f"actor.{k}.bias"]
        return x

    def act(self, features: Any, action_mask: Any = True) -> Any:
        """Return the greedy actions [B, C]; `action_mask` [B, A] says which options are legal."""
        return self.choose(self.outputs(features), action_mask)

    def choose(self, z: Any, action_mask: Any = True) -> Any:
        """Return the actions [B, C] that outputs [B, A + D] stand for."""
        discrete, box = self.spec["discrete"], self.spec["box"]
        ends = np.cumsum([0, *(len(head["options"]) for head in discrete)])
        logits, x = np.where(action_mask, z[:, : ends[-1]], -1e9), z[:, ends[-1] :].astype("f8")
        options = [logits[:, a:b].argmax(1) + h["start"] for a, b, h in zip(ends, ends[1:], discrete)]
        numbers = [np.clip(h["centre"] + h["half"] * x[:, k], *h["bounds"]) for k, h in enumerate(box)]
        numbers = [(np.rint(n) if h["integer"] else n).astype("f4") for n, h in zip(numbers, box)]
        return np.stack([*options, *numbers], 1).astype("f8")


if __name__ == "__main__":
    policy, probe = Policy(Path(__file__).parent), tensors(Path(__file__).parent / "probe.safetensors")
    mask, expected, recorded = probe["action_mask"], probe["actions"], probe["outputs"]
    outputs, heads = policy.outputs(probe["features"]), len(policy.spec["discrete"])
    gaps = np.abs(outputs - recorded).max(1)
    same = (policy.choose(recorded, mask) == expected).all(1)
    same &= (policy.choose(outputs, mask) == expected)[:, :heads].all(1)
    same &= gaps <= 1e-4 * np.maximum(1, np.abs(recorded).max(1))
    print(f"{same.sum()} of {len(same)} actions are the same, largest difference of an output {gaps.max():.1e}")
    sys.exit(not same.all())
