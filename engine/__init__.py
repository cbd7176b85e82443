"""Convolutions as torch.nn computes them, in NumPy alone.

What torch 2.13 accepts is accepted, with the same result, and what it rejects is rejected, with
an exception of its type or a subclass. It is otherwise on purpose, and nowhere else, here:

| torch | here | why |
|---|---|---|
| drops bias and result channels of a convolution of zero input channels | the bias, or zeros | \
the sum over no channel is 0 |
| has no kernel for uint16 to uint64, most integers if dilated or transposed, integers in fold \
and unfold, integers and complex numbers in torch.nn.grad | computes | no more than a gap |
| torch.nn.grad takes neither unbatched calls nor 'same' and 'valid' | takes them | torch's \
autograd does |
| torch.nn.grad accepts a grad_output of another batch size | rejects | torch reads foreign memory |
| dilation · (k - 1) overflows 64 bits | rejects | torch's shape is then arbitrary |
| computes with padding that would make an array of more than 2^47 elements | rejects | the \
padded input is an array here; one that only exceeds the memory is a MemoryError |
| conv_transpose1d and 2d cast a bias of another dtype | rejects | nothing else is cast |
| an empty batch skips the checks of output_padding, dilation and dtypes, and has IndexErrors | \
checks as ever | what is valid does not depend on the batch |
| b'same' is a string in the functions, and four integers in the constructors | rejects | neither \
is meant |
| a constructor accepts kernel sizes of 0, strides and dilations below 1, negative padding, \
tuples of a wrong length, a string as padding of ConvTranspose, too large an output_padding | \
rejects at once | no call could succeed, or a crop by negative padding is not padding |
| a constructor accepts bool as integer, and dict, range, generator, array or tensor as sizes | \
rejects | the functions reject them |
| a constructor keeps stride=(2,) as given | keeps (2, 2) | same calls, one form of attribute |
| unfold and fold, with huge padding or dilation, wrap around | rejects | as for convolutions |
| float16 gradients, transposed convolutions and fold add in float16 | in float32, rounded once \
| more accurate |
| load_state_dict takes only tensors, and copies what it can before it raises | anything that \
numpy.asarray takes; all or nothing | a failed load leaves the layer as it was |
| a lazy layer loads a weight of any shape, and its in_channels stay 0 | only a shape that it can \
have, whose in_channels it takes | no call could succeed; the attribute would be wrong |
| state_dict shares its memory with the layer | copies | results share no memory |
| devices other than the CPU | reject | there are none |
| bfloat16 and complex32 | do not exist | NumPy has no such dtypes |
"""

from . import grad
from .algorithms.threads import get_num_threads, set_num_threads
from .errors import ArgumentError, ArgumentTypeError
from .folding import fold, unfold
from .functional import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from .layers import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    DepthwiseConv2d,
)
from .lazy import (
    LazyConv1d,
    LazyConv2d,
    LazyConv3d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
    LazyConvTranspose3d,
)
from .original import Conv2D, DepthwiseConv2D

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "Conv1d",
    "Conv2D",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "DepthwiseConv2D",
    "DepthwiseConv2d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "fold",
    "get_num_threads",
    "grad",
    "set_num_threads",
    "unfold",
]
