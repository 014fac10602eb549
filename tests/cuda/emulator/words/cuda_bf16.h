#pragma once

struct __nv_bfloat16 {
  uint16_t bits;
  __nv_bfloat16() = default;
  // To the nearest, of two the even one.
  __nv_bfloat16(float x) {
    uint32_t whole = same_bits<uint32_t>(x);
    bits = x != x ? 0x7fff : uint16_t((whole + 0x7fff + ((whole >> 16) & 1)) >> 16);
  }
  operator float() const { return same_bits<float>(uint32_t(bits) << 16); }
};
inline float __bfloat162float(__nv_bfloat16 x) { return x; }
inline __nv_bfloat16 __float2bfloat16(float x) { return x; }
