"""Records one forward and backward pass in float64 of the nets that no recorded run covers yet, for `nkfac-bench verify`.

python tests/pytorch/record_models.py tests/golden
"""

import json
import math
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import twins

MODELS = [
    {"name": "preact-resnet18", "width": 8, "classes": 10, "input": [3, 32, 32]},
    {"name": "mobilenet-v2", "width": 8, "classes": 10, "input": [3, 32, 32]},
    {"name": "resnext50", "width": 8, "classes": 10, "input": [3, 32, 32]},
    {"name": "resnet18-imagenet", "width": 8, "classes": 10, "input": [3, 64, 64]},
    {"name": "resnet50-imagenet", "width": 8, "classes": 10, "input": [3, 65, 65]},
    {"name": "vit-tiny", "width": 8, "classes": 10, "input": [3, 32, 32], "patch": 4},
    {"name": "vit-small", "width": 4, "classes": 10, "input": [3, 48, 48], "patch": 16},
]


def formula(name, shape, k):
    """The values of parameter `k`, in [-1/2, 1/2) before they are scaled: a hash of its index and theirs."""
    index = torch.arange(1, math.prod(shape) + 1)
    h = (index * 2654435761 + (k + 1) * 2246822519) % 2**32
    h = ((h ^ h >> 15) * 2246822519) % 2**32
    u = (h ^ h >> 13).double() / 2**32 - 0.5
    if len(shape) > 1:
        return (u * math.sqrt(24 * shape[0] / math.prod(shape))).reshape(shape)
    return 1 + u / 5 if name.endswith(("running_var", "weight")) else u / 5


def record(spec, path):
    channels, edge, _ = spec["input"]
    shape = twins.Shape(channels, edge, spec["classes"])
    net = twins.build(spec["name"], spec["width"], shape, spec.get("patch", 4)).double()
    state = {name: value for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    filled = {name: formula(name, state[name].shape, k) for k, name in enumerate(sorted(state, key=str.encode))}
    net.load_state_dict(filled, strict=False)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, channels, edge, edge, generator=generator)
    y = torch.randint(spec["classes"], (4,), generator=generator)
    with torch.no_grad():
        tensors = {"x": x, "y": y, "logits_eval": net.eval()(x.double())}
    logits = net.train()(x.double())
    loss = F.cross_entropy(logits, y)
    loss.backward()
    tensors |= {"logits_train": logits.detach(), "loss": loss.detach()}
    for name, parameter in net.named_parameters():
        tensors[f"grad_norm/{name}"] = parameter.grad.norm()
    for name, value in net.named_buffers():
        if not name.endswith("num_batches_tracked"):
            tensors[f"running/{name}"] = value.norm()
    parameters = sum(parameter.numel() for parameter in net.parameters())
    source = f"tests/pytorch/record_models.py, torch {torch.__version__}"
    metadata = {"spec": json.dumps({"source": source, "model": spec, "parameters": parameters})}
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, metadata)


if __name__ == "__main__":
    for spec in MODELS:
        record(spec, f"{sys.argv[1]}/model_{spec['name'].replace('-', '_')}.safetensors")
