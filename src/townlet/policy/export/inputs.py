"""What `act.py` reads, with numpy alone: arrays of a file, features of an observation, legal options of a mask."""

import json
from functools import reduce
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


def features(spec: dict[str, Any], observation: Any) -> Any:
    """Return the features [1, F] of an observation as the environment has it, or [B, F] of a batch, arrays [B, …].

    ValueError where an array has another shape, type or option than `spec["observation"]` says.
    """
    rows = list[Any]()
    for part in spec["observation"]:
        x, shape = np.asarray(reduce(lambda at, key: at[key], part["path"], observation)), tuple(part["shape"])
        batch = x.shape[: x.ndim - len(shape)]
        if x.dtype.kind not in "biuf" or len(batch) > 1 or batch + shape != x.shape:
            raise ValueError(f"an array of type {x.dtype} and shape {x.shape}; expected {part}, or a batch [B, …]")
        x = x.reshape(*(batch or (1,)), -1) if x.size else np.zeros((*(batch or (1,)), int(np.prod(shape))))
        if part["kind"] == "choice":
            choices = enumerate(zip(part["starts"], part["counts"]))
            x = np.concatenate([x[:, [i]] == start + np.arange(count) for i, (start, count) in choices], 1)
            if (x.sum(1) != len(part["counts"])).any():
                raise ValueError(f"an option that does not exist; expected {part}")
        rows.append(x.astype("f4"))
    return np.concatenate(rows, 1)


def legal(spec: dict[str, Any], action_mask: Any, rows: int) -> Any:
    """Return which options [B, A] are legal, all where there is no mask; ValueError where it leaves a head nothing."""
    ends = np.cumsum([0, *(len(head["options"]) for head in spec["discrete"])])
    is_open = action_mask is None or not ends[-1]
    mask = np.ones((rows, ends[-1]), bool) if is_open else np.asarray(action_mask).astype(bool)
    if mask.size != rows * ends[-1]:
        raise ValueError(f"a mask of shape {mask.shape}; expected {ends[-1]} options for each of {rows} observations")
    mask = mask.reshape(rows, ends[-1])
    if not all(mask[:, start:end].any(1).all() for start, end in zip(ends, ends[1:])):
        raise ValueError("a mask that allows a head nothing; expected a legal option for each head")
    return mask
