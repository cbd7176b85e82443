"""The sizes at which one way of computing ends and the next begins; tests lower them.

None of them changes a result beyond the order of its sums. Measured on one core of an AMD EPYC
(Zen 5: 1 MiB of L2, AVX-512) with NumPy's OpenBLAS 0.3.31, whose matrix product reaches
235 GFLOP/s in float32.
"""

# Bytes of patches, and of the products made from them, of one block. The 1 MiB of L2 holds what is
# in use at once: 3/4 MiB is 1 to 10 % slower, more than 5/4 MiB gains depthwise layers only.
BUFFER = 5 << 18

# OpenBLAS multiplies without packing its operands while M·N·K ≤ 100³ (sgemm_small_matrix_permit):
# 16 rows of a band at 234 instead of 205 GFLOP/s.
SMALL_PRODUCT = 100**3

# Columns that the small kernel takes in one step, the better first: products of 64 columns reach
# 246 GFLOP/s, of 32 200, of 56 only 153. At most one column in WASTE may be left empty for it.
WIDTHS = (64, 32)
WASTE = 7

# Rows of a product below which the kernel starves: 26 GFLOP/s for 1 row, 66 for 2, 146 for 4.
FEW_ROWS = 4

# Multiply-adds below which the calls of a blocked algorithm cost more than the arithmetic.
TINY = 40_000

# Output rows shorter than this leave most of a band's product empty; im2col joins them, as long as
# its columns have no more than so many elements.
SHORT_ROW = 24
FEW_ELEMENTS = 1 << 19

# Places of one product of the weight's gradient: enough for BLAS, few enough to multiply without
# packing, and no power of two, at which its transposed copy of `gy` takes 1.5 instead of 0.2 ns an
# element.
PLACES = 448
