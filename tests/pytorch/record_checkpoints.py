"""Small checkpoints in the forms in which `torch.save` leaves them, of a net of 6, 2 and 3 neurons.

The n-th number of all weights is n / 8, which every floating-point type holds.

python tests/pytorch/record_checkpoints.py
"""

from pathlib import Path

import torch

FOLDER = Path(__file__).parent / "checkpoints"
NUMBERS = torch.arange(26, dtype=torch.float64) / 8


def build():
    net = torch.nn.Sequential()
    net.add_module("fc1", torch.nn.Linear(6, 2))
    net.add_module("fc2", torch.nn.Linear(2, 3))
    return net


def fill(net):
    start = 0
    with torch.no_grad():
        for param in net.parameters():
            param.copy_(NUMBERS[start : start + param.numel()].view(param.shape))
            start += param.numel()


def main():
    net = build()
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 6)).sum().backward()
    optimizer.step()
    fill(net)
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in net.state_dict().items()}
    wrapped["module._orig_mod.fc1.total_ops"] = torch.zeros(1, dtype=torch.float64)
    checkpoint = {
        "epoch": 3,
        "arch": "mlp",
        "best_acc1": torch.tensor(76.1),
        "state_dict": wrapped,
        "optimizer": optimizer.state_dict(),
    }
    torch.save(checkpoint, FOLDER / "checkpoint.pth")

    # Views of shared numbers, transposed or with gaps, in every type of floating-point numbers.
    columns = torch.stack([NUMBERS[:6], NUMBERS[6:12]], 1).flatten()
    shared = torch.cat([torch.zeros(3, dtype=torch.float64), columns, NUMBERS[20:23].repeat_interleave(2)])
    views = {
        "fc1.weight": shared[3:15].view(6, 2).t(),
        "fc1.bias": torch.nn.Parameter(NUMBERS[12:14].half()),
        "fc2.weight": NUMBERS[14:20].view(3, 2).bfloat16(),
        "fc2.bias": shared[15::2],
        "fc2.total_params": torch.zeros(1, dtype=torch.int32),
    }
    torch.save(views, FOLDER / "views.pt")

    torch.save(net, FOLDER / "whole.pt")
    torch.save(net.state_dict(), FOLDER / "old.pth", _use_new_zipfile_serialization=False)
    torch.save({"a": net.state_dict(), "b": build().state_dict()}, FOLDER / "two.pth")


if __name__ == "__main__":
    main()
