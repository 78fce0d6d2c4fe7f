"""Acts with numpy alone. `python act.py --verify` plays the recorded observations of `probe.safetensors` again."""

import json
import sys
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np

INPUTS = run_path(str(Path(__file__).with_name("inputs.py")))
features, legal, tensors = INPUTS["features"], INPUTS["legal"], INPUTS["tensors"]


class Policy:
    """Greedy actions [B, C], a column for each head of `spec.json`."""

    def __init__(self, folder: Path | str) -> None:
        self.spec = json.loads((Path(folder) / "spec.json").read_bytes())
        self.arrays = tensors(Path(folder) / "policy.safetensors")

    def act(self, observation: Any, action_mask: Any = None) -> Any:
        """Return the actions [1, C] of one observation, or [B, C] of a batch; the mask [B, A] may be a part of it."""
        own = observation.get("action_mask") if isinstance(observation, dict) else None
        return self.choose(self.outputs(features(self.spec, observation)), own if action_mask is None else action_mask)

    def outputs(self, rows: Any) -> Any:
        """Return the logits of all options and the means of the numbers, [B, A + D], of features [B, F]."""
        x, a = np.asarray(rows, "f4"), self.arrays
        if x.shape[1:] != a["normaliser.mean"].shape or np.isnan(x).any():
            raise ValueError(f"features {x.shape}; expected [B, {len(a['normaliser.mean'])}], and no NaN")
        x = np.clip((x - a["normaliser.mean"]) / a["normaliser.scale"], -10, 10)
        for k in range(self.spec["layers"]):
            x = (np.maximum(x, 0) if k else x) @ a[f"actor.{k}.weight"] + a[f"actor.{k}.bias"]
        return x

    def choose(self, z: Any, action_mask: Any = None) -> Any:
        """Return the actions [B, C] that outputs [B, A + D] stand for."""
        mask, box = legal(self.spec, action_mask, len(z)), self.spec["box"]
        ends = np.cumsum([0, *(len(head["options"]) for head in self.spec["discrete"])])
        logits, x = np.where(mask, z[:, : ends[-1]], -1e9), z[:, ends[-1] :].astype("f8")
        options = [logits[:, a:b].argmax(1) + h["start"] for a, b, h in zip(ends, ends[1:], self.spec["discrete"])]
        numbers = [np.clip(h["centre"] + h["half"] * x[:, k], *h["bounds"]) for k, h in enumerate(box)]
        numbers = [(np.rint(n) if h["integer"] else n).astype("f4") for n, h in zip(numbers, box)]
        return np.stack([*options, *numbers], 1).astype("f8")


if __name__ == "__main__":
    policy, probe = Policy(Path(__file__).parent), tensors(Path(__file__).parent / "probe.safetensors")
    mask, recorded, outputs = probe["action_mask"], probe["outputs"], policy.outputs(probe["features"])
    exact, again = (policy.choose(z, mask) == probe["actions"] for z in (recorded, outputs))
    gaps = np.abs(outputs - recorded).max(1)
    same = exact.all(1) & again[:, : len(policy.spec["discrete"])].all(1)
    same &= gaps <= 1e-4 * np.maximum(1, np.abs(recorded).max(1))
    print(f"{same.sum()} of {len(same)} actions are the same, largest difference of an output {gaps.max():.1e}")
    sys.exit(not same.all())
