"""Checkpoints between `nkfac-bench` and PyTorch, every model both ways.

Ours to theirs: a run saves its weights, the twin takes them by `load_state_dict` and gives the logits that `evaluate` exported.
Theirs to ours: a freshly made twin is saved, and `evaluate` gives the twin's logits.
As a control, a twin with one number changed must not pass.

python tests/pytorch/roundtrip.py target/release/nkfac-bench [MODEL …]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import twins

WIDTHS = {"googlenet": 8, "mobilenet-v2": 8}
KEYS = {"mlp": ", hidden = [7, 6]", "lenet": "", "autoencoder": ", hidden = [7, 3]"}
DATA = {
    "autoencoder": 'kind = "synthetic", train_limit = 32, target = "input"',
    "gpt": 'kind = "shakespeare", train_limit = 32',
}
MODELS = [
    "mlp", "lenet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "vgg11", "vgg13", "vgg16", "vgg19",
    "densenet121", "densenet169", "densenet201", "googlenet", "preact-resnet18", "mobilenet-v2", "resnext50",
    "resnet18-imagenet", "resnet34-imagenet", "resnet50-imagenet", "resnet101-imagenet", "resnet152-imagenet", "vit-tiny", "vit-small",
    "vit-tiny mean", "gpt", "autoencoder",
]  # fmt: skip
# Relative, in float32, where summation orders differ.
TOLERANCE = 1e-5

EXPERIMENT = """
name = "roundtrip"
[base]
epochs = 1
batch = 16
data = {{ {data} }}
model = {{ kind = "{name}"{keys} }}
schedule = {{ kind = "constant", lr = 0.01 }}
optimizer = {{ preset = "sgd" }}
"""


def call(binary, folder, *arguments):
    subprocess.run([binary, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def distance(net, exported):
    with torch.no_grad():
        logits = net.eval()(exported.get("images", exported.get("tokens")))
    return ((logits - exported["logits"]).norm() / logits.norm()).item()


def evaluate(binary, folder, weights):
    call(binary, folder, "evaluate", "e.toml", "--weights", weights, "--export", "out.safetensors")
    return load_file(folder / "out.safetensors")


def check(binary, name, folder):
    width = WIDTHS.get(name, 4)
    keys = KEYS.get(name, f", width = {width}")
    kind, _, pool = name.partition(" ")
    keys += f', pool = "{pool}"' if pool else ""
    data = DATA.get(name, 'kind = "synthetic", train_limit = 32')
    (folder / "e.toml").write_text(EXPERIMENT.format(name=kind, keys=keys, data=data))
    call(binary, folder, "run", "e.toml", "--save-weights")
    (ours,) = (folder / "results/roundtrip").glob("*.safetensors")

    net = twins.build(name, width)
    net.load_state_dict(load_file(ours))
    there = distance(net, evaluate(binary, folder, ours))

    torch.manual_seed(1)
    net = twins.build(name, width)
    with torch.no_grad():  # Running statistics and scales that are not ones and zeros.
        for tensor in [*net.parameters(), *net.buffers()]:
            if tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
    save_file({key: value.contiguous() for key, value in net.state_dict().items()}, folder / "theirs.safetensors")
    exported = evaluate(binary, folder, "theirs.safetensors")
    back = distance(net, exported)

    with torch.no_grad():
        list(net.parameters())[-1][0] += 1.0
    control = distance(net, exported)
    assert there < TOLERANCE and back < TOLERANCE < control, (name, there, back, control)
    print(f"{name:<18} ours to theirs {there:.1e}, theirs to ours {back:.1e}, control {control:.1e}", flush=True)


if __name__ == "__main__":
    for name in sys.argv[2:] or MODELS:
        with tempfile.TemporaryDirectory() as folder:
            check(Path(sys.argv[1]).resolve(), name, Path(folder))
