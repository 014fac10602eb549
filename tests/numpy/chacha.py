"""The program's random numbers: ChaCha8 under the SHA-256 of seed and purpose, normal numbers by Box and Muller."""

import hashlib
import math
import struct


def _quarter(s, a, b, c, d):
    for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        mixed = s[z] ^ s[x]
        s[z] = ((mixed << bits) | (mixed >> (32 - bits))) & 0xFFFFFFFF


class Random:
    def __init__(self, seed, purpose):
        self.key = struct.unpack("<8I", hashlib.sha256(struct.pack("<Q", seed) + purpose.encode()).digest())
        self.count, self.words = 0, []

    def _block(self):
        start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *self.key]
        start += [self.count & 0xFFFFFFFF, self.count >> 32, 0, 0]
        s = list(start)
        for _ in range(4):
            for i in range(4):
                _quarter(s, i, 4 + i, 8 + i, 12 + i)
            for i in range(4):
                _quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
        self.count += 1
        return [(a + b) & 0xFFFFFFFF for a, b in zip(s, start)]

    def uniform(self):
        if not self.words:
            self.words = self._block()
        low, high = self.words.pop(0), self.words.pop(0)
        return ((high << 32 | low) >> 11) / (1 << 53)

    def normal(self):
        radius = math.sqrt(-2.0 * math.log(1.0 - self.uniform()))
        return radius * math.cos(math.tau * self.uniform())
