"""The sizes at which one way of computing ends and the next begins; tests lower them.

None of them changes a result beyond the order of its sums. Measured in float32 with NumPy's
OpenBLAS 0.3.31 on one core of an AMD EPYC (Zen 5: 1 MiB of L2, AVX-512), whose matrix product
reaches 235 GFLOP/s, of an Intel Xeon (2 MiB of L2, AVX-512), with 154 GFLOP/s, or of an AMD EPYC
without AVX-512 (Zen 3: 512 KiB of L2), with 89 GFLOP/s.
"""

import sys
from typing import Any

import numpy as np

# Bytes of one block: what is read, its patches, and the products made from them. A second-level
# cache of 1 or 2 MiB holds what is in use at once; twice as many are 10 to 30 % slower (Intel).
BUFFER = 6 << 18

_CONFIG: Any = np.show_config(mode="dicts")
_FOUND = _CONFIG.get("SIMD Extensions", {}).get("found", [])  # neither, where there is none

# Whether it is an Intel Xeon such as the one measured, where two limits are other ones.
IS_INTEL = "AVX512_SPR" in _FOUND

# Whether BLAS multiplies small matrices as they lie: OpenBLAS does so on processors with AVX-512
# (sgemm_small_matrix_permit), and copies its operands into panels of its own on all others.
IS_DIRECT = any(name.startswith(("AVX512", "X86_V4")) for name in _FOUND)

# M·N·K up to which it does: 16 rows of a band at 234 instead of 205 GFLOP/s. A product that is
# copied is not cut, which would copy its right operand again.
SMALL_PRODUCT = 100**3 if IS_DIRECT else sys.maxsize

# Bytes of the right operand of one product, which is read again for every few rows of the left one:
# what a first-level cache of 48 KiB holds beside the rest. Of 64 columns, 144 rows are 36 KiB:
# 150 GFLOP/s; 192 rows 129, 288 rows 123 (Intel). On Zen 5 pieces take 8 to 14 % longer.
PANEL = 40 << 10 if IS_INTEL else sys.maxsize

# Columns that the small kernel takes in one step, the better first: products of 64 columns reach
# 246 GFLOP/s, of 32 200, of 56 only 153. One empty column for each WASTE others is worth it: with
# 64, 55 columns take 0 to 29 % less time, but 52 columns up to 18 % more (Zen 5).
WIDTHS: tuple[int, ...] = (64, 32) if IS_DIRECT else ()
WASTE = 5

# Rows of a product's left operand that are enough for BLAS. Where so many times a whole row is a
# small product, and no multiple of 64 long, whole rows take 31 % less time than tiles, which are
# copied into their place (geometric mean of 260 random layers, Zen 5).
ENOUGH_ROWS = 32

# Columns of a product for which no such width is given: 256 take 2 to 7 % less time than 64, and
# 1,024 up to 18 % more than 256 (Zen 3).
WIDEST = 256

# Filters of a group below which a product starves: 26 GFLOP/s for 1 row, 66 for 2, 146 for 4. They
# become TOGETHER rows each: 2 take 11 to 61 % longer, 8 between 4 % less and 13 % longer (Zen 3).
FEW_FILTERS = 4
TOGETHER = 4

# Outputs of a segment: 16 and 32 take about the same time, 8 and 64 1.4 times as long. Segments are
# the faster way where one sample's columns have at least MANY_BYTES, and V·O, the elements that a
# segment meets times the filters, is at most FEW_ZEROS times the taps of a row, or FEWER_ZEROS in a
# group of several channels. By this rule 700 random layers with kernels of one row take 0.80 of
# im2col's time (geometric mean, Zen 5).
SEGMENT = 16
FEW_ZEROS = 8
FEWER_ZEROS = 5
MANY_BYTES = 1 << 19

# Multiply-adds below which the calls of a blocked algorithm, or of col2im, cost more than the
# arithmetic.
TINY = 1 << 18

# Times the multiply-adds of an input's gradient that its phases may take, with their zeros.
ZEROS = 2

# Elements of the columns that im2col forms at once.
FEW_ELEMENTS = 1 << 19

# Columns of so few elements are gathered with a table of their places, made once: 648 elements in
# 0.5 instead of 1.2 µs, 3,600 in 1.7 instead of 2.2, but 14,112 in 6.3 instead of 4.6 (Zen 5).
TABLE = 1 << 11

# Elements of a result with a bias for which it is worth 0.7 µs to make NumPy's buffer small. NumPy
# copies a bias into it where planes are smaller: 128 planes of 56 x 56 take 19 instead of 56 µs.
LARGE = 1 << 13

# Bytes of copies that a band saves in each of its blocks, up to which im2col is the faster way: a
# block costs calls, of 10 µs at least. To begin a row costs as much as to copy RUN elements of it.
FEW_SAVED = 1 << 20
RUN = 20

# Bytes of one sample's columns up to which im2col is the faster way to a weight's gradient.
FEW_BYTES = 1 << 20

# Output rows shorter than this leave most of a band's product empty. That costs more than im2col's
# copies for so many filters, each of which is multiplied with all of them: 0.68 (141 layers more).
SHORT_ROW = 24
WORTH_COPIES = 48

# Filters from which on im2col is the faster way to a weight's gradient, and, with few places for
# each channel, col2im to an input's; this one also wherever a channel has so many filters.
# What the rules choose takes 3 % longer than the faster way: over 1,800 random layers for the
# output, 500 for the input's gradient and 1,258 for the weight's (geometric means, Zen 5).
WORTH_COLUMNS = 128
PLACES_OF_A_CHANNEL = 8
FILTERS_OF_A_CHANNEL = 8

# Places of one product of the weight's gradient: enough for BLAS, few enough to multiply without
# packing (Intel), and no power of two, at which its transposed copy of `gy` takes 1.5 instead of
# 0.2 ns an element. Others may have more, as long as a block holds all channels: 2,000 take up to
# 24 % less time than 448 (Zen 3), between 17 % less and 17 % more (Zen 5).
PLACES = 448
MOST_PLACES = PLACES if IS_INTEL else 2000
