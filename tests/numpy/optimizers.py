"""The twins: each optimizer from its paper's formulas, in NumPy. Settings are the trace's spec."""

import numpy as np

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
