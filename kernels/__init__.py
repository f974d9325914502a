"""CUDA C++ kernels that run everywhere: on a GPU through CuPy, and without one in a simulator, on NumPy arrays.

The typed functions (`softmax(x)`, `matmul(a, b)`, ...) launch the kernels of the .cu files beside this one; `launch` and `Kernel`
run anybody's.  NumPy arrays go to the simulator, CuPy arrays to the GPU.  Nothing here is imported by minitorch unasked.
"""
from .adam import adam_step
from .attention import attention, attention_backward, attention_forward
from .batch_norm import batch_norm, batch_norm_backward
from .conv import conv2d, conv2d_bias_gradient, conv2d_input_gradient, conv2d_weight_gradient
from .cross_entropy import cross_entropy, cross_entropy_loss
from .elementwise import bias_activation, bias_activation_backward, dropout
from .embedding import embedding, embedding_backward
from .kernel import KERNELS, Kernel, launch, launches
from .matmul import ladder, matmul, matmul_backward
from .normalization import layer_norm, layer_norm_backward, rms_norm, rms_norm_backward
from .pool import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward
from .recurrent import gru_cell, gru_cell_backward, lstm_cell, lstm_cell_backward
from .settings import simulated, using
from .simulator import SimulatorError, profile
from .softmax import log_softmax, log_softmax_backward, softmax, softmax_backward
from .tensor_map import TensorMap
