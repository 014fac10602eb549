"""The zoo in PyTorch: the same nets with the same names, for `roundtrip.py` and `record_models.py`.

`width` is 64 at the published size, as in an experiment file. Where torchvision and timm are installed, `python twins.py` compares
their nets with these.
"""

import torch
import torch.nn.functional as F
from torch import nn


def conv(cin, cout, kernel, stride=1, groups=1, bias=False):
    return nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=bias)


class Mlp(nn.Module):
    def __init__(self, shape, hidden=(7, 6)):
        super().__init__()
        sizes = [shape.pixels, *hidden, shape.classes]
        for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
            self.add_module(f"fc{i + 1}", nn.Linear(inputs, outputs))

    def forward(self, x):
        *hidden, last = self.children()
        x = x.flatten(1)
        for layer in hidden:
            x = F.relu(layer(x))
        return last(x)


class Autoencoder(nn.Module):
    """Down to a code and back, sigmoids between layers, none behind the code; gives logits."""

    def __init__(self, shape, hidden=(7, 3)):
        super().__init__()
        sizes = [shape.pixels, *hidden, *reversed(hidden[:-1]), shape.pixels]
        self.code = len(hidden)
        for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
            self.add_module(f"fc{i + 1}", nn.Linear(inputs, outputs))

    def forward(self, x):
        x = x.flatten(1)
        layers = list(self.children())
        for i, layer in enumerate(layers, 1):
            x = layer(x)
            if i not in (self.code, len(layers)):
                x = torch.sigmoid(x)
        return x


class Lenet(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(shape.channels, 6, 5), nn.Conv2d(6, 16, 5)
        left = ((shape.edge - 4) // 2 - 4) // 2
        self.fc1, self.fc2 = nn.Linear(16 * left * left, 120), nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, shape.classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Residual(nn.Module):
    def __init__(self, cin, planes, stride, bottleneck, shortcut, groups):
        super().__init__()
        plan = [(cin, planes, 3, stride), (planes, planes, 3, 1)]
        if bottleneck:
            wide = planes if groups is None else 2 * planes
            plan = [(cin, wide, 1, 1), (wide, wide, 3, stride, groups or 1), (wide, 4 * planes, 1, 1)]
        self.depth, self.name, self.cout = len(plan), shortcut, plan[-1][1]
        for i, layer in enumerate(plan):
            self.add_module(f"conv{i + 1}", conv(*layer))
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(layer[1]))
        if stride != 1 or cin != self.cout:
            self.add_module(shortcut, nn.Sequential(conv(cin, self.cout, 1, stride), nn.BatchNorm2d(self.cout)))

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(y))
            y = F.relu(y) if i < self.depth else y
        return F.relu(y + (self.get_submodule(self.name)(x) if hasattr(self, self.name) else x))


class Resnet(nn.Module):
    STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

    def __init__(self, depth, width, shape, imagenet, groups=None):
        super().__init__()
        shortcut, self.classifier = ("downsample", "fc") if imagenet else ("shortcut", "linear")
        self.imagenet = imagenet
        self.conv1 = conv(shape.channels, width, 7, 2) if imagenet else conv(shape.channels, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        cin = width
        for i, blocks in enumerate(self.STAGES[depth]):
            stage = nn.Sequential()
            for j in range(blocks):
                stage.append(Residual(cin, width << i, 2 if i and not j else 1, depth >= 50, shortcut, groups))
                cin = stage[-1].cout
            self.add_module(f"layer{i + 1}", stage)
        self.add_module(self.classifier, nn.Linear(cin, shape.classes))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(x, 3, 2, 1) if self.imagenet else x
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.get_submodule(self.classifier)(x.mean((2, 3)))


class Preact(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(cin), conv(cin, cout, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(cout), conv(cout, cout, 3)
        if stride != 1 or cin != cout:
            self.shortcut = nn.Sequential(conv(cin, cout, 1, stride))

    def forward(self, x):
        h = F.relu(self.bn1(x))
        shortcut = self.shortcut(h) if hasattr(self, "shortcut") else x
        return self.conv2(F.relu(self.bn2(self.conv1(h)))) + shortcut


class PreactResnet(nn.Module):
    def __init__(self, width, shape):
        super().__init__()
        self.conv1, cin = conv(shape.channels, width, 3), width
        for i in range(4):
            blocks = [Preact(cin, width << i, 2 if i else 1), Preact(width << i, width << i, 1)]
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
            cin = width << i
        self.linear = nn.Linear(cin, shape.classes)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(x)))))
        return self.linear(x.mean((2, 3)))


class Inverted(nn.Module):
    def __init__(self, cin, cout, expansion, stride):
        super().__init__()
        planes, self.stride = expansion * cin, stride
        self.conv1, self.bn1 = conv(cin, planes, 1), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = conv(planes, planes, 3, stride, planes), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = conv(planes, cout, 1), nn.BatchNorm2d(cout)
        self.shortcut = nn.Sequential()
        if stride == 1 and cin != cout:
            self.shortcut = nn.Sequential(conv(cin, cout, 1), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        y = self.bn3(self.conv3(y))
        return y + self.shortcut(x) if self.stride == 1 else y


class MobilenetV2(nn.Module):
    PLAN = [(1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]

    def __init__(self, width, shape):
        super().__init__()
        cin = 32 * width // 64
        self.conv1, self.bn1, self.layers = conv(shape.channels, cin, 3), nn.BatchNorm2d(cin), nn.Sequential()
        for expansion, channels, blocks, stride in self.PLAN:
            for j in range(blocks):
                cout = channels * width // 64
                self.layers.append(Inverted(cin, cout, expansion, 1 if j else stride))
                cin = cout
        last = 1280 * width // 64
        self.conv2, self.bn2, self.linear = conv(cin, last, 1), nn.BatchNorm2d(last), nn.Linear(last, shape.classes)

    def forward(self, x):
        x = self.layers(F.relu(self.bn1(self.conv1(x))))
        return self.linear(F.relu(self.bn2(self.conv2(x))).mean((2, 3)))


class Vgg(nn.Module):
    PLANS = {
        11: "1 M 2 M 44 M 88 M 88 M",
        13: "11 M 22 M 44 M 88 M 88 M",
        16: "11 M 22 M 444 M 888 M 888 M",
        19: "11 M 22 M 4444 M 8888 M 8888 M",
    }

    def __init__(self, depth, width, shape):
        super().__init__()
        self.features, cin = nn.Sequential(), shape.channels
        for step in self.PLANS[depth].replace(" ", ""):
            if step == "M":
                self.features.append(nn.MaxPool2d(2))
                continue
            cout = int(step) * width
            self.features.extend([conv(cin, cout, 3), nn.BatchNorm2d(cout), nn.ReLU()])
            cin = cout
        self.classifier = nn.Linear(cin, shape.classes)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class Dense(nn.Module):
    def __init__(self, cin, growth):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(cin), conv(cin, 4 * growth, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(4 * growth), conv(4 * growth, growth, 3)

    def forward(self, x):
        return torch.cat([self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x)))))), x], 1)


class Transition(nn.Module):
    def __init__(self, cin):
        super().__init__()
        self.bn, self.conv = nn.BatchNorm2d(cin), conv(cin, cin // 2, 1)

    def forward(self, x):
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)


class Densenet(nn.Module):
    STAGES = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}

    def __init__(self, depth, width, shape):
        super().__init__()
        growth, channels = width // 2, 2 * (width // 2)
        self.conv1 = conv(shape.channels, channels, 3)
        for i, layers in enumerate(self.STAGES[depth]):
            self.add_module(f"dense{i + 1}", nn.Sequential(*(Dense(channels + j * growth, growth) for j in range(layers))))
            channels += layers * growth
            if i < 3:
                self.add_module(f"trans{i + 1}", Transition(channels))
                channels //= 2
        self.bn, self.linear = nn.BatchNorm2d(channels), nn.Linear(channels, shape.classes)

    def forward(self, x):
        x = self.conv1(x)
        for i in range(1, 5):
            x = self.get_submodule(f"dense{i}")(x)
            x = self.get_submodule(f"trans{i}")(x) if i < 4 else x
        return self.linear(F.relu(self.bn(x)).mean((2, 3)))


def branch(*layers):
    """(cin, cout, kernel) each: convolution with bias, batch norm, ReLU."""
    triples = ([conv(*layer, bias=True), nn.BatchNorm2d(layer[1]), nn.ReLU()] for layer in layers)
    return nn.Sequential(*(module for triple in triples for module in triple))


class Inception(nn.Module):
    def __init__(self, cin, n1, r3, n3, r5, n5, pool):
        super().__init__()
        self.b1 = branch((cin, n1, 1))
        self.b2 = branch((cin, r3, 1), (r3, n3, 3))
        self.b3 = branch((cin, r5, 1), (r5, n5, 3), (n5, n5, 3))
        self.b4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), *branch((cin, pool, 1)))

    def forward(self, x):
        return torch.cat([part(x) for part in self.children()], 1)


class Googlenet(nn.Module):
    PLAN = {
        "a3": (192, 64, 96, 128, 16, 32, 32),
        "b3": (256, 128, 128, 192, 32, 96, 64),
        "a4": (480, 192, 96, 208, 16, 48, 64),
        "b4": (512, 160, 112, 224, 24, 64, 64),
        "c4": (512, 128, 128, 256, 24, 64, 64),
        "d4": (512, 112, 144, 288, 32, 64, 64),
        "e4": (528, 256, 160, 320, 32, 128, 128),
        "a5": (832, 256, 160, 320, 32, 128, 128),
        "b5": (832, 384, 192, 384, 48, 128, 128),
    }

    def __init__(self, width, shape):
        super().__init__()
        self.pre_layers = branch((shape.channels, 192 * width // 64, 3))
        for name, plan in self.PLAN.items():
            self.add_module(name, Inception(*(channels * width // 64 for channels in plan)))
        self.linear = nn.Linear(1024 * width // 64, shape.classes)

    def forward(self, x):
        x = self.pre_layers(x)
        for name in self.PLAN:
            x = F.max_pool2d(x, 3, 2, 1) if name in ("a4", "a5") else x
            x = self.get_submodule(name)(x)
        return self.linear(x.mean((2, 3)))


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1) @ v
        return self.proj(mixed.transpose(1, 2).flatten(2))


class VitMlp(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class VitBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim, 1e-6), Attention(dim, heads)
        self.norm2, self.mlp = nn.LayerNorm(dim, 1e-6), VitMlp(dim)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, channels, dim, patch):
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, patch, patch)

    def forward(self, x):
        return self.proj(x).flatten(2).mT


class Vit(nn.Module):
    """The head sees a class token; with `pool="mean"` there is none, and it sees the mean of the patches."""

    def __init__(self, heads, width, patch, shape, pool="token"):
        super().__init__()
        dim, tokens = heads * width, (shape.edge // patch) ** 2
        self.has_class = pool == "token"
        if self.has_class:
            self.cls_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.pos_embed = nn.Parameter(torch.randn(1, self.has_class + tokens, dim) * 0.02)
        self.patch_embed = PatchEmbed(shape.channels, dim, patch)
        self.blocks = nn.Sequential(*(VitBlock(dim, heads) for _ in range(12)))
        self.add_module("norm" if self.has_class else "fc_norm", nn.LayerNorm(dim, 1e-6))
        self.head = nn.Linear(dim, shape.classes)

    def forward(self, x):
        x = self.patch_embed(x)
        if not self.has_class:
            return self.head(self.fc_norm(self.blocks(x + self.pos_embed).mean(1)))
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class GptBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.c_attn, self.attn.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp.c_fc, self.mlp.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.heads = heads

    def forward(self, x):
        n, t, c = x.shape
        qkv = self.attn.c_attn(self.ln_1(x)).view(n, t, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn.c_proj(mixed.transpose(1, 2).reshape(n, t, c))
        return x + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(x))))


class Gpt(nn.Module):
    """Tokens N×T to logits N×T×V, parameters named as in GPT-2; the head is not tied and has no bias."""

    def __init__(self, width, vocabulary=65, context=64, layers=4, heads=4):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.h = nn.ModuleList(GptBlock(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class Shape:
    def __init__(self, channels=3, edge=32, classes=10):
        self.channels, self.edge, self.classes = channels, edge, classes
        self.pixels = channels * edge * edge


def build(name, width=64, shape=Shape(), patch=4):
    """The net that an experiment file calls `name`."""
    digits = int("".join(filter(str.isdigit, name)) or 0)
    if name == "mlp":
        return Mlp(shape)
    if name == "autoencoder":
        return Autoencoder(shape)
    if name == "lenet":
        return Lenet(shape)
    if name == "preact-resnet18":
        return PreactResnet(width, shape)
    if name == "mobilenet-v2":
        return MobilenetV2(width, shape)
    if name.startswith("resnet"):
        return Resnet(digits, width, shape, name.endswith("imagenet"))
    if name.startswith("resnext"):
        return Resnet(digits, width, shape, name.endswith("imagenet"), width // 2)
    if name.startswith("vgg"):
        return Vgg(digits, width, shape)
    if name.startswith("densenet"):
        return Densenet(digits, width, shape)
    if name == "googlenet":
        return Googlenet(width, shape)
    if name.startswith("vit"):
        name, _, pool = name.partition(" ")
        return Vit({"vit-tiny": 3, "vit-small": 6}[name], width, patch, shape, pool or "token")
    if name == "gpt":
        return Gpt(width)
    raise KeyError(name)


def compare_with_libraries():
    """torchvision's and timm's nets take our twins' parameters and give the same logits."""
    import timm
    import torchvision

    shape = Shape(3, 224, 1000)
    pairs = {name: getattr(torchvision.models, name)() for name in ("resnet18", "resnet50")}
    pairs = {f"{name}-imagenet": net for name, net in pairs.items()}
    pairs["resnext50-imagenet"] = torchvision.models.resnext50_32x4d()
    pairs["vit-tiny"] = timm.create_model("vit_tiny_patch16_224")
    pairs["vit-small"] = timm.create_model("vit_small_patch16_224")
    pairs["vit-tiny mean"] = timm.create_model("vit_tiny_patch16_224", class_token=False, global_pool="avg")
    x = torch.randn(2, 3, 224, 224)
    for name, theirs in pairs.items():
        ours = build(name, 64, shape, 16).eval()
        theirs.load_state_dict(ours.state_dict())
        with torch.no_grad():
            error = (theirs.eval()(x) - ours(x)).norm() / ours(x).norm()
        assert error < 1e-5, (name, error)
        print(f"{name}: {error:.1e}")


if __name__ == "__main__":
    compare_with_libraries()
