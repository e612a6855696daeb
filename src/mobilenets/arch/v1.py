"""MobileNetV1 (1704.04861, Table 1), at width 1.

The table prints stride 2 on the last depthwise convolution; its output stays 7×7, and all code uses 1.
The text says ReLU, all code uses ReLU6.
"""

from mobilenets.arch.rows import Conv, Separable

STEM = Conv(3, 32, "relu6", 2)

#             kernel  out  act     stride
BLOCKS = (
    Separable(3,   64, "relu6", 1),
    Separable(3,  128, "relu6", 2),
    Separable(3,  128, "relu6", 1),  # C2, stride 4
    Separable(3,  256, "relu6", 2),
    Separable(3,  256, "relu6", 1),  # C3, stride 8
    Separable(3,  512, "relu6", 2),
    Separable(3,  512, "relu6", 1),
    Separable(3,  512, "relu6", 1),
    Separable(3,  512, "relu6", 1),
    Separable(3,  512, "relu6", 1),
    Separable(3,  512, "relu6", 1),  # C4, stride 16
    Separable(3, 1024, "relu6", 2),
    Separable(3, 1024, "relu6", 1),  # C5, stride 32
)  # fmt: skip
