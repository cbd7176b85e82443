"""The sizes at which one way of computing ends and the next begins; tests lower them.

None of them changes a result beyond the order of its sums. Measured on one core of an AMD EPYC
(Zen 5: 1 MiB of L2, AVX-512) with NumPy's OpenBLAS 0.3.31, whose matrix product reaches
235 GFLOP/s in float32.
"""

# Bytes of patches, and of the products made from them, that lie in the L2 cache together.
BUFFER = 1 << 20

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

# Places of one product of the weight's gradient. The gradient of the output is transposed for it,
# which takes 0.2 ns an element for rows of 448 floats, but 1.5 ns for rows of 1024.
PLACES = 512
