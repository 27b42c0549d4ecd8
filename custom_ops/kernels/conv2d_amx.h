// Convolutions' innermost loops with AMX: tiles of 16 pixels × 32 channels times 32 channels × 16 outputs, in bfloat16
// with float32 sums. Included where the compiler knows AMX.
#ifndef TF_STYLEGAN_KERNELS_CONV2D_AMX_H_
#define TF_STYLEGAN_KERNELS_CONV2D_AMX_H_

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

namespace {

enum { kTileRows = 16, kTileBytes = 1024, kTileDepth = 32 };

// Registers 0 to 3: sums (of 0: A0 · B0, 1: A0 · B1, 2: A1 · B0, 3: A1 · B1); 4, 5: A; 6, 7: B.
struct TileShape {
  uint8_t palette, start, reserved[14];
  uint16_t bytes[16];
  uint8_t rows[16];
};

// rows0, rows1: rows of A0 and A1.
inline void shape_tiles(int64_t rows0, int64_t rows1) {
  TileShape shape;
  memset(&shape, 0, sizeof shape);
  shape.palette = 1;
  for (int i = 0; i < 8; ++i) shape.bytes[i] = 64, shape.rows[i] = kTileRows;
  shape.rows[0] = shape.rows[1] = shape.rows[4] = (uint8_t)rows0;
  if (rows1) shape.rows[2] = shape.rows[3] = shape.rows[5] = (uint8_t)rows1;
  __asm__ volatile("" ::"m"(shape));  // GCC 12 does not see that the next line reads it
  _tile_loadconfig(&shape);
}

// What one call multiplies: the rows of A start at a[0] and a[1] and are a_row bytes apart; for each of `taps`, whose A
// lies offsets[t] bytes further, B's tiles follow each other: [depth / kTileDepth, parts, 2, kTileBytes].
struct AmxCall {
  const char *a0, *a1;
  int64_t a_row, plane;  // in bytes; plane: from one part of A to the next
  const int64_t* offsets;
  int64_t taps, blocks;  // blocks of kTileDepth channels
  const char* b;
  float *to0, *to1;
  int64_t to_row;  // in bytes
  bool add;
};

// Both numbers are sums of one part or three, the first the largest; products of parts below the last that is kept are left out.
template <int parts, bool two_a, bool two_b>
void amx_kernel(const AmxCall& c) {
#define LOAD_A(part)                                                   \
  _tile_loadd(4, a0 + (part) * c.plane, c.a_row);                      \
  if (two_a) _tile_loadd(5, a1 + (part) * c.plane, c.a_row)
#define LOAD_B(part)                                                   \
  _tile_loadd(6, b + (part) * 2 * kTileBytes, 64);                     \
  if (two_b) _tile_loadd(7, b + (part) * 2 * kTileBytes + kTileBytes, 64)
#define MULTIPLY()                                                     \
  _tile_dpbf16ps(0, 4, 6);                                             \
  if (two_b) _tile_dpbf16ps(1, 4, 7);                                  \
  if (two_a) _tile_dpbf16ps(2, 5, 6);                                  \
  if (two_a && two_b) _tile_dpbf16ps(3, 5, 7)
  if (c.add) {
    _tile_loadd(0, c.to0, c.to_row);
    if (two_b) _tile_loadd(1, c.to0 + 16, c.to_row);
    if (two_a) _tile_loadd(2, c.to1, c.to_row);
    if (two_a && two_b) _tile_loadd(3, c.to1 + 16, c.to_row);
  } else {
    _tile_zero(0);
    if (two_b) _tile_zero(1);
    if (two_a) _tile_zero(2);
    if (two_a && two_b) _tile_zero(3);
  }
  const char* b = c.b;
  for (int64_t t = 0; t < c.taps; ++t) {
    const char *a0 = c.a0 + c.offsets[t], *a1 = c.a1 + c.offsets[t];
    for (int64_t k = 0; k < c.blocks; ++k, a0 += 64, a1 += 64, b += parts * 2 * kTileBytes) {
      if (parts == 1) {
        LOAD_B(0);
        LOAD_A(0);
        MULTIPLY();
      } else {
        LOAD_A(0);
        LOAD_B(2);
        MULTIPLY();
        LOAD_B(1);
        MULTIPLY();
        LOAD_B(0);
        MULTIPLY();
        LOAD_A(2);
        MULTIPLY();
        LOAD_A(1);
        MULTIPLY();
        LOAD_B(1);
        MULTIPLY();
      }
    }
  }
  _tile_stored(0, c.to0, c.to_row);
  if (two_b) _tile_stored(1, c.to0 + 16, c.to_row);
  if (two_a) _tile_stored(2, c.to1, c.to_row);
  if (two_a && two_b) _tile_stored(3, c.to1 + 16, c.to_row);
#undef LOAD_A
#undef LOAD_B
#undef MULTIPLY
}

template <int parts>
void amx_multiply(const AmxCall& c, bool two_a, bool two_b) {
  if (two_a) {
    two_b ? amx_kernel<parts, true, true>(c) : amx_kernel<parts, true, false>(c);
  } else {
    two_b ? amx_kernel<parts, false, true>(c) : amx_kernel<parts, false, false>(c);
  }
}

}  // namespace

#endif  // TF_STYLEGAN_KERNELS_CONV2D_AMX_H_
