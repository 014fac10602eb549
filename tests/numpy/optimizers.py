"""The twins: each optimizer from its paper's formulas, in NumPy. Settings are the trace's spec."""

import numpy as np

from chacha import Random
from net import layers, matrix, set_matrix, with_ones


def largest_eigenvalue(factor):
    """λ̂ by ten rounds of the power iteration."""
    v = 1 + np.cos(np.arange(len(factor)))
    for _ in range(10):
        u = factor.T @ v
        v = factor @ (u / np.linalg.norm(u))
    return np.linalg.norm(v)


class Sgd:
    """Coupled weight decay, then heavy-ball momentum."""

    def __init__(self, spec):
        self.spec, self.velocity = spec, {}

    def update(self, params, grads):
        for name, grad in grads.items():
            grad = grad + self.spec["weight_decay"] * params[name]
            self.velocity[name] = self.spec["momentum"] * self.velocity.get(name, 0.0) + grad
            params[name] = params[name] - self.spec["lr"] * self.velocity[name]


def rescale(grads, directions, kl_clip, lr):
    """By layer to the gradient's norm, or all layers by the KL clip."""
    if kl_clip is None:
        return {n: v * np.linalg.norm(g) / (np.linalg.norm(v) + 1e-12) for n, (g, v) in directions.items()}
    total = sum(lr**2 * (g * v).sum() for g, v in directions.values())
    nu = min(1.0, np.sqrt(kl_clip / total)) if total > 0 else 1.0
    return {n: nu * v for n, (g, v) in directions.items()}


def precondition(grads, solve, kl_clip, lr):
    directions = {n: (matrix(grads, n), solve(n, matrix(grads, n))) for n in layers(grads)}
    for name, value in rescale(grads, directions, kl_clip, lr).items():
        set_matrix(grads, name, value)


class Skfac(Sgd):
    """Tang et al. 2021 on the current batch, rows pooled over space; with `star` NKFAC's recipe."""

    star = False

    def __init__(self, spec):
        super().__init__(spec)
        self.moments, self.inverses = {}, {}

    def step(self, t, params, grads, rows, deltas):
        spec = self.spec
        if t % spec["factor_every"] == 0:
            for name in layers(grads):
                n = len(rows[name])
                x = with_ones(rows[name].mean(1))  # mean over positions
                d = deltas[name].sum(1) * n  # per-image gradients by a bias
                factors = [x.T @ x / n, d.T @ d / n]
                if self.star:
                    factors = [f / (np.linalg.norm(f) + 1e-12) for f in factors]
                self.moments[name] = factors
        if t % spec["inverse_every"] == 0:
            # Straight inverses: that Woodbury's identity gives the same is what the replay shows.
            self.inverses = {n: [np.linalg.inv(self.damped(f)) for f in fs] for n, fs in self.moments.items()}
        solve = lambda name, g: self.inverses[name][1] @ g @ self.inverses[name][0]
        precondition(grads, solve, spec.get("kl_clip"), spec["lr"])
        self.update(params, grads)

    def damped(self, factor):
        return factor + self.spec["damping"] * np.eye(len(factor))


class SkfacStar(Skfac):
    star = True

    def damped(self, factor):
        """δ = max(1e-4, η λ̂)."""
        return factor + max(1e-4, self.spec["damping"] * largest_eigenvalue(factor)) * np.eye(len(factor))


class Ekfac(Sgd):
    """EKFAC-ra, George et al. 2018, on the statistics of alecwangcq/KFAC-Pytorch."""

    def __init__(self, spec):
        super().__init__(spec)
        self.factors, self.bases, self.scales = {}, {}, {}

    def step(self, t, params, grads, rows, deltas):
        spec = self.spec
        if t % spec["factor_every"] == 0:
            for name in layers(grads):
                n, s = rows[name].shape[:2]
                x = with_ones(rows[name] / s, 1.0 / s).reshape(n * s, -1)
                d = deltas[name].reshape(n * s, -1) * n * s
                new = [x.T @ x / n, d.T @ d / (n * s)]
                old = self.factors.get(name, [np.eye(len(f)) for f in new])
                a = spec["stat_decay"]
                self.factors[name] = [a * o + (1 - a) * f for o, f in zip(old, new)]
        if t % spec["inverse_every"] == 0:
            for name, fs in self.factors.items():
                (a, qa), (g, qg) = (np.linalg.eigh(f) for f in fs)
                a, g = a * (a > 1e-10), g * (g > 1e-10)
                self.bases[name], self.scales[name] = (qa, qg), np.outer(g, a)

        def solve(name, grad):
            qa, qg = self.bases[name]
            turned = qg.T @ grad @ qa
            b, n = spec["eigenvalue_decay"], len(rows[name])
            self.scales[name] = b * self.scales[name] + (1 - b) * n * turned**2
            return qg @ (turned / (self.scales[name] + spec["damping"])) @ qa.T

        precondition(grads, solve, spec["kl_clip"], spec["lr"])
        self.update(params, grads)


class Shampoo(Sgd):
    """Gupta et al. 2018, roots by eigenvalues: that the coupled iteration gives the same is what the replay shows."""

    def __init__(self, spec):
        super().__init__(spec)
        self.moments, self.roots = {}, {}

    def step(self, t, params, grads, rows, deltas):
        spec, a = self.spec, self.spec["stat_decay"]
        fresh = 1 - a if a < 1 else 1.0
        if t % spec["factor_every"] == 0:
            for name in layers(grads):
                g = matrix(grads, name)
                old = self.moments.get(name, [0.0, 0.0])
                self.moments[name] = [a * o + fresh * m for o, m in zip(old, [g.T @ g, g @ g.T])]
        if t % spec["root_every"] == 0:
            self.roots = {n: [self.root(f) for f in fs] for n, fs in self.moments.items()}
        solve = lambda name, g: self.roots[name][1] @ g @ self.roots[name][0]
        precondition(grads, solve, None, spec["lr"])
        self.update(params, grads)

    def root(self, factor):
        values, q = np.linalg.eigh(factor)
        damping = max(1e-12, self.spec["damping"] * largest_eigenvalue(factor))
        return q @ np.diag((values + damping) ** -0.25) @ q.T


class ShampooHalf(Sgd):
    """Any inverse root, by eigenvalues, grafted on the norm of Adam's step."""

    def __init__(self, spec):
        super().__init__(spec)
        self.moments, self.roots, self.adam = {}, {}, {}

    def step(self, t, params, grads, rows, deltas):
        spec, a = self.spec, self.spec["stat_decay"]
        for name in layers(grads):
            g = matrix(grads, name)
            if t % spec["factor_every"] == 0:
                old = self.moments.get(name, [0.0, 0.0])
                self.moments[name] = [a * o + (1 - a) * m for o, m in zip(old, [g.T @ g, g @ g.T])]
            if t % spec["root_every"] == 0:
                self.roots[name] = [self.root(f) for f in self.moments[name]]
            (b1, b2), (m, v) = spec["graft_betas"], self.adam.get(name, (0.0, 0.0))
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
            self.adam[name] = m, v
            adam = m / (1 - b1 ** (t + 1)) / (np.sqrt(v / (1 - b2 ** (t + 1))) + spec["graft_eps"])
            direction = self.roots[name][1] @ g @ self.roots[name][0]
            set_matrix(grads, name, direction * np.linalg.norm(adam) / (np.linalg.norm(direction) + 1e-12))
        self.update(params, grads)

    def root(self, factor):
        values, q = np.linalg.eigh(factor)
        damping = max(1e-12, self.spec["damping"] * largest_eigenvalue(factor))
        return q @ np.diag((values + damping) ** (-1.0 / self.spec["root"])) @ q.T


class Foof(Sgd):
    """Benzing 2022: the input factor alone, in NKFAC's recipe with an exact inverse."""

    def __init__(self, spec):
        super().__init__(spec)
        self.factors, self.inverses = {}, {}

    def step(self, t, params, grads, rows, deltas):
        spec, a = self.spec, self.spec["stat_decay"]
        for name in layers(grads):
            if t % spec["factor_every"] == 0:
                x = with_ones(rows[name]).reshape(-1, rows[name].shape[-1] + 1)
                new = x.T @ x / len(x)
                new = new / (np.linalg.norm(new) + 1e-12)
                self.factors[name] = a * self.factors.get(name, 0.0) + (1 - a) * new
            if t % spec["inverse_every"] == 0:
                factor = self.factors[name]
                damping = max(1e-4, spec["damping"] * largest_eigenvalue(factor))
                self.inverses[name] = np.linalg.inv(factor + damping * np.eye(len(factor)))
        precondition(grads, lambda name, g: g @ self.inverses[name], None, spec["lr"])
        self.update(params, grads)


class Muon:
    """Jordan et al. 2024: weights of rank two and more by Muon, the rest by Adam; decoupled decay for all."""

    def __init__(self, spec):
        self.spec, self.velocity, self.adam = spec, {}, {}

    def step(self, t, params, grads, rows, deltas):
        spec = self.spec
        for name, grad in grads.items():
            if grad.ndim > 1:
                update = self.orthogonal(name, grad.reshape(len(grad), -1)).reshape(grad.shape)
            else:
                (b1, b2), (m, v) = spec["betas"], self.adam.get(name, (0.0, 0.0))
                m, v = b1 * m + (1 - b1) * grad, b2 * v + (1 - b2) * grad**2
                self.adam[name] = m, v
                denominator = np.sqrt(v / (1 - b2 ** (t + 1))) + spec["eps"]
                update = spec["adam_ratio"] * m / (1 - b1 ** (t + 1)) / denominator
            params[name] = params[name] - spec["lr"] * (update + spec["weight_decay"] * params[name])

    def orthogonal(self, name, grad):
        mu = self.spec["momentum"]
        self.velocity[name] = mu * self.velocity.get(name, 0.0) + (1 - mu) * grad
        x = (1 - mu) * grad + mu * self.velocity[name] if self.spec["nesterov"] else self.velocity[name]
        x = x / (np.linalg.norm(x) + 1e-7)
        a, b, c = 3.4445, -4.7750, 2.0315
        for _ in range(self.spec["rounds"]):
            # The polynomial is odd, so that it may act from either side.
            gram = x.T @ x
            x = a * x + x @ (b * gram + c * gram @ gram)
        return x * np.sqrt(max(1.0, grad.shape[0] / grad.shape[1]))


class PsgdKron:
    """PSGD with Kronecker factors as in kron_torch, on matrices and vectors; random numbers are the program's own."""

    def __init__(self, spec):
        self.spec, self.momentum, self.factors = spec, {}, {}

    def step(self, t, params, grads, rows, deltas):
        spec = self.spec
        draws = Random(spec["seed"], f"psgd/{t}")
        chance = min(1.0, max(0.03, np.exp(-spec["probability_decay"] * (t - spec["certain_steps"]))))
        moves = draws.uniform() < chance
        balances = moves and draws.uniform() < 0.01
        for name, grad in grads.items():
            mu = spec["momentum"]
            self.momentum[name] = mu * self.momentum.get(name, 0.0) + (1 - mu) * grad
            g = self.momentum[name] / (1 - mu ** (t + 1))
            if name not in self.factors:
                start = 2.0 ** (1 / grad.ndim)
                dense = lambda n: grad.ndim > 1 and 1 < n <= spec["largest"]
                self.factors[name] = [start * (np.eye(n) if dense(n) else np.ones(n)) for n in grad.shape]
            qs = self.factors[name]
            if balances and grad.ndim > 1:
                sizes = [np.abs(q).max() for q in qs]
                mean = np.prod(sizes) ** (1 / len(sizes))
                qs[:] = [q * mean / size for q, size in zip(qs, sizes)]
            if moves:
                self.move(qs, g, self.probe(t, name, grad.shape))
            full = [np.diag(q) if q.ndim == 1 else q for q in qs]
            whitened = full[0].T @ full[0] @ g
            if grad.ndim > 1:
                whitened = whitened @ full[1].T @ full[1]
            whitened = whitened * min(1.0, 1.1 / (np.sqrt((whitened**2).mean()) + 1e-12))
            params[name] = params[name] - spec["lr"] * (whitened + spec["weight_decay"] * params[name])

    def probe(self, t, name, shape):
        """Normal numbers, drawn in the order of the program's layout, d_in by d_out."""
        draws = Random(self.spec["seed"], f"psgd/{t}/{name}")
        return np.array([draws.normal() for _ in range(np.prod(shape))]).reshape(shape[::-1]).T

    def move(self, qs, g, v):
        full = [np.diag(q) if q.ndim == 1 else q for q in qs]
        a, b = full[0] @ g, np.linalg.inv(full[0]).T @ v
        if g.ndim > 1:
            a, b = a @ full[1].T, b @ np.linalg.inv(full[1])
        for axis, q in enumerate(qs):
            turned = [x.reshape(len(x), -1) if axis == 0 else x.T for x in (a, b)]
            m, n = (x @ x.T for x in turned)
            if q.ndim == 1:
                m, n = np.diag(m), np.diag(n)
                change, bound = (m - n) * q, np.abs(m + n).max()
            else:
                change, bound = np.triu(m - n) @ q, self.bound(m + n)
            qs[axis] = q - self.spec["precondition_lr"] / bound * change

    @staticmethod
    def bound(matrix):
        """A lower bound of the spectral norm."""
        x = matrix @ matrix[np.argmax((matrix**2).sum(1))]
        return np.linalg.norm(matrix @ x) / np.linalg.norm(x)


class KlShampoo:
    """Lin et al. 2025 as in KL-Methods, with inverses of factors in full; tensors of one axis by Adam, decay after all steps but the first."""

    def __init__(self, spec):
        self.spec, self.momentum, self.adam, self.axes = spec, {}, {}, {}

    def step(self, t, params, grads, rows, deltas):
        spec = self.spec
        for name, g in grads.items():
            if g.ndim == 1:
                update = self.by_adam(t, name, g)
            elif t == 0:
                self.axes[name] = [self.start(g, k) for k in range(g.ndim)]
                update = 0.0 * g
            else:
                b = spec["betas"][0]
                self.momentum[name] = b * self.momentum.get(name, 0.0) + (1 - b) * g
                update = self.direction(self.momentum[name], self.axes[name])
                self.gather(g, self.axes[name])
                if t % spec["precondition_every"] == 0:
                    for axis in self.axes[name]:
                        if axis["s"] is not None:
                            axis["q"] = np.linalg.qr(axis["s"] @ axis["q"])[0]
            decay = spec["weight_decay"] if t > 0 else 0.0
            params[name] = (params[name] - spec["lr"] * update) * (1 - spec["lr"] * decay)

    def by_adam(self, t, name, g):
        (b1, b2), (m, v) = self.spec["betas"], self.adam.get(name, (0.0, 0.0))
        self.adam[name] = m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        return m / (1 - b1 ** (t + 1)) / (np.sqrt(v / (1 - b2 ** (t + 1))) + self.spec["eps"])

    def start(self, g, k):
        n, d = g.shape[k], np.full(g.shape[k], self.spec["start"])
        if n > self.spec["largest"]:
            return {"d": d, "q": np.eye(n), "s": None}
        unfolded = np.moveaxis(g, k, 0).reshape(n, -1)
        s = (1 - self.spec["betas"][1]) * unfolded @ unfolded.T * n / g.size
        # Of a singular factor the first basis would be any of many.
        slope = 1e-3 * np.trace(s) / n * np.diag(np.arange(n)) / n
        return {"d": d, "q": np.linalg.eigh(s + slope)[1][:, ::-1], "s": s}

    def direction(self, m, axes):
        for k, axis in enumerate(axes):
            m = along(axis["q"].T, m, k)
        root = 1.0
        for axis in axes:
            root = np.multiply.outer(root, np.sqrt(axis["d"]))
        m = m / (root + self.spec["eps"])
        for k, axis in enumerate(axes):
            m = along(axis["q"], m, k)
        return m

    def gather(self, g, axes):
        """Moments of the gradient between the inverses of all other factors."""
        b = self.spec["betas"][1]
        inverses = [axis["q"] @ np.diag(1 / axis["d"]) @ axis["q"].T for axis in axes]
        for k, axis in enumerate(axes):
            n, whitened = g.shape[k], g
            for j, inverse in enumerate(inverses):
                if j != k:
                    whitened = along(inverse, whitened, j)
            unfold = lambda x: np.moveaxis(x, k, 0).reshape(n, -1)
            moments = unfold(whitened) @ unfold(g).T * n / g.size
            if axis["s"] is not None:
                axis["s"] = b * axis["s"] + (1 - b) * moments
            axis["d"] = b * axis["d"] + (1 - b) * np.diag(axis["q"].T @ moments @ axis["q"])
            axis["d"] = np.maximum(axis["d"], 1 / max(10, min(n, 4000)) ** 2)


def along(matrix, tensor, axis):
    return np.moveaxis(np.tensordot(matrix, tensor, (1, axis)), 0, axis)
