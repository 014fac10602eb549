"""LeNet-5, an MLP and their gradients in NumPy, float64, PyTorch's names and layouts: the ground that the optimizers' twins stand on.

Independent of the program: patches are gathered here (im2col, channel before tap), gradients written out by hand.
"""

import numpy as np


def lenet(classes):
    """Weights of LeNet-5 for 3×16×16 images, by layer."""
    linear = {"fc1": (120, 16), "fc2": (84, 120), "fc3": (classes, 84)}
    return {"conv1": (6, 3, 5, 5), "conv2": (16, 6, 5, 5), **linear}


def mlp(sizes):
    """Weights of `fc1`, `fc2`, … between layers of these sizes."""
    return {f"fc{i + 1}": (sizes[i + 1], sizes[i]) for i in range(len(sizes) - 1)}


def init(rng, shapes):
    """Float32 numbers, so that they are exact in the trace."""
    params = {}
    for name, shape in shapes.items():
        bound = np.sqrt(3.0 / np.prod(shape[1:]))
        params[f"{name}.weight"] = rng.uniform(-bound, bound, shape).astype(np.float32).astype(np.float64)
        params[f"{name}.bias"] = rng.uniform(-0.1, 0.1, shape[0]).astype(np.float32).astype(np.float64)
    return params


def patches(x, k):
    """N×C×H×W → N×S×(C·k·k), channel slowest, S positions in row order."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))
    n, c, h, w = windows.shape[:4]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, h * w, c * k * k)


def conv(x, weight, bias):
    """The output, and the rows N×S×d_in that it was made of."""
    rows = patches(x, weight.shape[2])
    y = rows @ weight.reshape(len(weight), -1).T + bias
    edge = x.shape[2] - weight.shape[2] + 1
    return y.transpose(0, 2, 1).reshape(len(x), len(weight), edge, edge), rows


def conv_input_grad(dy, weight, shape):
    dx = np.zeros(shape)
    k, edge = weight.shape[2], dy.shape[2]
    for i in range(k):
        for j in range(k):
            dx[:, :, i : i + edge, j : j + edge] += np.einsum("nohw,oc->nchw", dy, weight[:, :, i, j])
    return dx


def pool(x):
    """2×2 maximum, and where it was."""
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
    return blocks.max(-1), blocks.argmax(-1)


def pool_grad(dy, where):
    n, c, h, w = dy.shape
    blocks = np.zeros((n, c, h, w, 4))
    np.put_along_axis(blocks, where[..., None], dy[..., None], -1)
    return blocks.reshape(n, c, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, 2 * h, 2 * w)


def layers(params):
    return [name.removesuffix(".weight") for name in params if name.endswith(".weight")]


def backward(params, x, y):
    """The mean loss, gradients by parameter, and for each layer the rows X and D, N×S×d each."""
    n, names = len(x), layers(params)
    convolutions = [name for name in names if params[f"{name}.weight"].ndim == 4]
    linear, last = [name for name in names if name not in convolutions], names[-1]
    rows, grads, deltas = {}, {}, {}
    masks, places, shapes_in = {}, {}, {}
    h = x
    for name in convolutions:
        shapes_in[name] = h.shape
        h, rows[name] = conv(h, params[f"{name}.weight"], params[f"{name}.bias"])
        masks[name] = h > 0
        h, places[name] = pool(np.maximum(h, 0))
    before, h = h.shape, h.reshape(n, -1)
    for name in linear:
        rows[name] = h[:, None, :]
        h = h @ params[f"{name}.weight"].T + params[f"{name}.bias"]
        if name != last:
            masks[name] = h > 0
            h = np.maximum(h, 0)
    shifted = h - h.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    loss = -log_p[np.arange(n), y].mean()
    d = np.exp(log_p)
    d[np.arange(n), y] -= 1
    d /= n
    for name in reversed(linear):
        if name != last:
            d = d * masks[name]
        deltas[name] = d[:, None, :]
        d = d @ params[f"{name}.weight"]
    d = d.reshape(before)
    for name in reversed(convolutions):
        d = pool_grad(d, places[name]) * masks[name]
        deltas[name] = d.reshape(n, d.shape[1], -1).transpose(0, 2, 1)
        d = conv_input_grad(d, params[f"{name}.weight"], shapes_in[name])
    for name in names:
        weight = np.einsum("nso,nsi->oi", deltas[name], rows[name])
        grads[f"{name}.weight"] = weight.reshape(params[f"{name}.weight"].shape)
        grads[f"{name}.bias"] = deltas[name].sum((0, 1))
    return loss, grads, rows, deltas


def matrix(grads, name):
    """[dW | db], d_out × (d_in + 1)."""
    weight, bias = grads[f"{name}.weight"], grads[f"{name}.bias"]
    return np.concatenate([weight.reshape(len(weight), -1), bias[:, None]], 1)


def set_matrix(grads, name, value):
    shape = grads[f"{name}.weight"].shape
    grads[f"{name}.weight"], grads[f"{name}.bias"] = value[:, :-1].reshape(shape), value[:, -1]


def with_ones(rows, one=1.0):
    return np.concatenate([rows, np.full((*rows.shape[:-1], 1), one)], -1)
