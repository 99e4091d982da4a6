"""What the tests of ``model_`` share: layers to look at, and outputs as arrays."""

import keras
import pytest

tensorflow_only = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="a format or a recipe of TensorFlow"
)

# Layers of the backbone to explain a prediction by.
LAYERS = {
    "CNN": ["conv1_relu", "conv2_conv"],
    "MobileNet": ["conv_pw_13_relu", "conv_dw_6"],
    "DenseNet": ["relu", "conv3_block1_concat"],
    "Backbone": ["expanded_conv_3_squeeze_excite_mul", "conv_1"],
}

# What TensorFlow's Resizing would add, ScaleAndTranslate, is no operation of ONNX and LiteRT.
_OPERATIONS = """
    AddV2 BiasAdd ConcatV2 Const Conv2D DepthwiseConv2dNative GatherV2 Identity MatMul MaxPool
    AvgPool Mean Mul Neg NoOp Pack Pad PadV2 Placeholder Prod ReadVariableOp RealDiv Relu Relu6
    Reshape Rsqrt Shape Softmax Squeeze StridedSlice Sub Transpose Maximum Sqrt
"""
KNOWN_OPERATIONS = set(_OPERATIONS.split())


def as_array(tensor):
    return keras.ops.convert_to_numpy(tensor)
