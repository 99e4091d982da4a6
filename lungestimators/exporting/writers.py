"""Write a network in each format, with its description where the format keeps such a text.

Each writer gets a new folder of its own, which is removed afterwards.
"""

import contextlib
import importlib
import logging
import os
import re
import sys

from .description import KEY, PIXELS

# Of a folder that TensorFlow's tools leave alone.
_FILE_IN_SAVED_MODEL = os.path.join("assets.extra", f"{KEY}.json")


def write_saved_model(network, description, path):
    """Write TensorFlow's SavedModel, a folder.

    Parameters
    ----------
    network : keras.Model
    description : str
    path : str
    """
    network.export(path, format="tf_saved_model", verbose=False)
    file = os.path.join(path, _FILE_IN_SAVED_MODEL)
    os.makedirs(os.path.dirname(file))
    with open(file, "w", encoding="utf-8") as opened:
        opened.write(description)


def write_onnx(network, description, path):
    """Write a file of ONNX; its ``metadata_props`` hold the description.

    Keras' exporter calls tf2onnx, too, and first sets ``numpy.object`` and two functions of
    tf2onnx, for good, which the versions of tf2onnx that are needed here do without.

    Raises
    ------
    ValueError
        ONNX lacks an operation of the network.
    """
    import onnx
    import tensorflow as tf

    with _level_of_messages_kept():
        from tf2onnx.convert import from_function
    function = tf.function(lambda pixels: network(pixels, training=False), autograph=False)
    spec = tf.TensorSpec(network.input_shape, tf.float32, name=PIXELS)
    with _errors_alone("tf2onnx"):  # it warns of optimisations that it leaves out
        model, _ = from_function(function, [spec])
    # tf2onnx leaves operations that it does not know as they are.
    unknown = {
        node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type, node.domain)
    }
    if unknown:
        raise ValueError(_message_lacking("ONNX", unknown))
    model.graph.name = KEY
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n_images"
    onnx.helper.set_model_props(model, {KEY: description})
    onnx.checker.check_model(model)
    onnx.save(model, path)


@contextlib.contextmanager
def _level_of_messages_kept():
    """Put the level of TensorFlow's messages back, which libraries set when they are imported."""
    name = "TF_CPP_MIN_LOG_LEVEL"
    before = os.environ.get(name)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


@contextlib.contextmanager
def _errors_alone(name):
    """Let a logger pass errors alone in the block."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def write_litert(network, description, path):
    """Write a file of LiteRT; its vector ``metadata`` leads to a buffer with the description.

    Raises
    ------
    ValueError
        LiteRT lacks an operation of the network.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    try:
        network.export(path, format="litert", verbose=False)
    except Exception as error:  # of a class that TensorFlow does not make public
        if found := re.search(r"^Custom ops: (.*)$", str(error), re.MULTILINE):
            raise ValueError(_message_lacking("LiteRT", found[1].split(", "))) from error
        raise
    with open(path, "rb") as file:
        model = schema.ModelT.InitFromPackedBuf(file.read())
    # Keras lets the converter take operations of TensorFlow, which the runtime alone has not.
    unknown = {code.customCode.decode() for code in model.operatorCodes if code.customCode}
    if unknown:
        raise ValueError(_message_lacking("LiteRT", unknown))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(description.encode())
    entry.name, entry.buffer = KEY, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    with open(path, "wb") as file:
        file.write(builder.Output())


def write_openvino(network, description, path):
    """Write the two files of OpenVINO; its ``rt_info`` holds the description.

    Keras' exporter calls ``openvino.convert_model``, which reports its use to Google Analytics
    without asking. OpenVINO also reads Keras' SavedModel, and reports nothing.
    """
    openvino = _import_openvino()
    folder = f"{path}.saved_model"
    network.export(folder, format="tf_saved_model", verbose=False)
    model = openvino.Core().read_model(folder)
    model.set_friendly_name(KEY)
    model.set_rt_info(description, [KEY])
    openvino.serialize(model, path)


def _import_openvino():
    """Import OpenVINO; if this is its first import, as where ``openvino_telemetry`` is missing.

    Otherwise that package tells Google Analytics of the import, without asking.
    """
    telemetry = "openvino_telemetry"
    if "openvino" in sys.modules or telemetry in sys.modules:
        return importlib.import_module("openvino")
    sys.modules[telemetry] = None  # Python's way to let an import fail
    try:
        return importlib.import_module("openvino")
    finally:
        del sys.modules[telemetry]


WRITERS = {
    "onnx": write_onnx,
    "litert": write_litert,
    "openvino": write_openvino,
    "saved_model": write_saved_model,
}


def _message_lacking(runtime, operations):
    """Return the message of the error for a network that a runtime cannot run."""
    return (
        f"{runtime} lacks operations of the network: {', '.join(sorted(operations))}. Export to "
        "another format, or build the backbone of other layers"
    )
