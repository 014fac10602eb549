"""Records the twins' runs into tests/golden: `python tests/numpy/record.py [NAME…]` (Python 3.11, NumPy 2.4)."""

import json
import struct
import sys
from pathlib import Path

import numpy as np

import net
import optimizers

GOLDEN = Path(__file__).parent.parent / "golden"
STEPS = 8
LENET = {"name": "lenet", "classes": 10, "input": [3, 16, 16]}
# EKFAC depends on the eigenbasis, so that no eigenvalue may come twice: the batch must be larger than any layer.
MLP = {"name": "mlp", "classes": 5, "input": [2, 4, 4], "hidden": [12, 9]}
INTERVALS = {"factor_every": 1, "inverse_every": 3}

RUNS = {
    "skfac": (
        optimizers.Skfac,
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01, "damping": 0.03, "kl_clip": 1e-3, **INTERVALS},
    ),
    "skfac-star": (
        optimizers.SkfacStar,
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.001, "damping": 0.01, **INTERVALS},
    ),
    "ekfac": (
        optimizers.Ekfac,
        {
            "lr": 0.05,
            "momentum": 0.9,
            "weight_decay": 0.01,
            "stat_decay": 0.95,
            "eigenvalue_decay": 0.8,
            "damping": 0.01,
            "kl_clip": 1e-3,
            **INTERVALS,
        },
    ),
    "shampoo": (
        optimizers.Shampoo,
        {
            "lr": 0.05,
            "momentum": 0.9,
            "weight_decay": 0.001,
            "stat_decay": 0.9,
            "damping": 1e-3,
            "factor_every": 1,
            "root_every": 3,
        },
    ),
    "shampoo-half": (
        optimizers.ShampooHalf,
        {
            "lr": 0.002,
            "momentum": 0.9,
            "weight_decay": 0.001,
            "stat_decay": 0.9,
            "root": 2,
            "graft_betas": [0.9, 0.999],
            "graft_eps": 1e-8,
            "damping": 1e-3,
            "factor_every": 1,
            "root_every": 3,
        },
    ),
    "foof": (
        optimizers.Foof,
        {
            "lr": 0.05,
            "momentum": 0.9,
            "weight_decay": 0.001,
            "stat_decay": 0.9,
            "damping": 0.01,
            **INTERVALS,
        },
    ),
    "muon": (
        optimizers.Muon,
        {
            "lr": 0.02,
            "momentum": 0.95,
            "nesterov": True,
            "rounds": 5,
            "matrices": "all",
            "precision": "net",
            "adam_ratio": 0.015,
            "betas": [0.9, 0.95],
            "eps": 1e-10,
            "weight_decay": 0.01,
        },
    ),
    "psgd-kron": (
        optimizers.PsgdKron,
        {
            "lr": 0.01,
            "momentum": 0.9,
            "weight_decay": 0.05,
            "precondition_lr": 0.1,
            "largest": 16,
            "certain_steps": 2,
            "probability_decay": 1.0,
            "seed": 0,
        },
    ),
    "kl-shampoo": (
        optimizers.KlShampoo,
        {
            "lr": 0.02,
            "betas": [0.9, 0.98],
            "eps": 1e-8,
            "precondition_every": 3,
            "largest": 40,
            "start": 0.1,
            "weight_decay": 0.05,
        },
    ),
}
# Recorded on an MLP.
MLPS = {"ekfac", "psgd-kron"}
LARGE = {"kl-shampoo"}


def record(name, make, settings):
    model, batch = (MLP, 96) if name in MLPS else (LENET, 32 if name in LARGE else 8)
    classes, sizes = model["classes"], [np.prod(model["input"]), *model.get("hidden", []), model["classes"]]
    rng = np.random.default_rng(1)
    params = net.init(rng, net.mlp(sizes) if name in MLPS else net.lenet(classes))
    tensors = {f"init/{n}": p.astype(np.float32) for n, p in params.items()}
    twin, losses = make(settings), []
    for t in range(STEPS):
        x = rng.standard_normal((batch, *model["input"])).astype(np.float32)
        y = rng.integers(0, classes, batch)
        tensors[f"x/{t}"], tensors[f"y/{t}"] = x, y
        loss, grads, rows, deltas = net.backward(params, x.astype(np.float64), y)
        losses.append(loss)
        if t == 0:
            tensors |= {f"grad/0/{n}": g for n, g in grads.items() if n.startswith(("conv", "fc1"))}
        twin.step(t, params, grads, rows, deltas)
    tensors |= {f"param/{STEPS - 1}/{n}": p for n, p in params.items()}
    tensors["loss"] = np.array(losses)
    spec = {
        "source": "tests/numpy",
        "model": model,
        "optimizer": {"name": name, **settings},
        "batch": batch,
        "steps": STEPS,
    }
    write(GOLDEN / f"{name}_{model['name']}.safetensors", tensors, spec)


def write(path, tensors, spec):
    """The safetensors format: length, JSON header, numbers."""
    kinds = {"float32": "F32", "float64": "F64", "int64": "I64"}
    header, at = {"__metadata__": {"spec": json.dumps(spec)}}, 0
    for name, tensor in tensors.items():
        end = at + tensor.nbytes
        header[name] = {"dtype": kinds[str(tensor.dtype)], "shape": tensor.shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor).tobytes())


for name in sys.argv[1:] or RUNS:
    record(name, *RUNS[name])
