"""Layers by Keras' names, one family a file."""
from ..layer import Layer
from ..symbolic import Input
from ..weights import InputSpec
from .activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from .attention import Attention, MultiHeadAttention
from .conv import (Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose, Convolution1D, Convolution2D, Convolution3D,
                   DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D)
from .core import ActivityRegularization, Dense, Identity, InputLayer, Lambda, Operation, Rescaling, TorchModuleWrapper
from .embedding import Embedding, Masking
from .merging import (Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract, add, average, concatenate, dot, maximum, minimum,
                      multiply, subtract)
from .normalization import BatchNormalization, LayerNormalization, Normalization
from .pooling import (AveragePooling1D, AveragePooling2D, AveragePooling3D, AvgPool1D, AvgPool2D, AvgPool3D, GlobalAveragePooling1D,
                      GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalAvgPool1D, GlobalAvgPool2D, GlobalMaxPool1D, GlobalMaxPool2D,
                      GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D, MaxPool1D, MaxPool2D, MaxPool3D, MaxPooling1D, MaxPooling2D,
                      MaxPooling3D)
from .recurrent import GRU, LSTM, SimpleRNN
from .regularization import Dropout, GaussianDropout, GaussianNoise, SpatialDropout1D, SpatialDropout2D, SpatialDropout3D
from .reshaping import (Cropping1D, Cropping2D, Cropping3D, Flatten, Permute, RepeatVector, Reshape, UpSampling1D, UpSampling2D, UpSampling3D,
                        ZeroPadding1D, ZeroPadding2D, ZeroPadding3D)
from .wrappers import Bidirectional, TimeDistributed, Wrapper


def __getattr__(name):
    import difflib
    known = sorted(n for n in globals() if n[:1].isupper())
    close = difflib.get_close_matches(name, known, 1)
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise AttributeError(f"keras.layers has no {name!r}" + (f"; did you mean {close[0]!r}?" if close else ".")
                         + f" There are: {', '.join(known)}")
