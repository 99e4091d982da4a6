"""Each runtime, on the CPU, as its own documentation says to run it."""

import json
from pathlib import Path

FORMATS = {"onnx": "lungs.onnx", "litert": "lungs.tflite", "openvino": "lungs.xml"}
FORMATS["saved_model"] = "lungs"


def run_onnx(path, pixels):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"pixels": pixels})[0]


def run_litert(path, pixels):
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path)).get_signature_runner()(pixels=pixels)["probabilities"]


def run_openvino(path, pixels):
    import openvino

    # Newer processors compute in bfloat16 otherwise.
    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(path), "CPU", precision)
    return compiled({"pixels": pixels})["probabilities"]


def run_saved_model(path, pixels):
    import tensorflow as tf

    network = tf.saved_model.load(str(path))  # a name: TensorFlow forgets weights with the object
    return network.serve(pixels)["probabilities"].numpy()


def run_signature_of_saved_model(path, pixels):
    """The way of TensorFlow Serving."""
    import tensorflow as tf

    network = tf.saved_model.load(str(path))
    return network.signatures["serving_default"](pixels=tf.constant(pixels))[
        "probabilities"
    ].numpy()


RUN = {
    "onnx": run_onnx,
    "litert": run_litert,
    "openvino": run_openvino,
    "saved_model": run_saved_model,
}


def description_in_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.get_modelmeta().custom_metadata_map["lungestimators"]


def description_in_litert(path):
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(Path(path).read_bytes())
    entries = [model.Metadata(number) for number in range(model.MetadataLength())]
    (buffer,) = (each.Buffer() for each in entries if each.Name() == b"lungestimators")
    return model.Buffers(buffer).DataAsNumpy().tobytes()


def description_in_openvino(path):
    import openvino

    return openvino.Core().read_model(str(path)).get_rt_info("lungestimators").astype(str)


def description_in_saved_model(path):
    return Path(path, "assets.extra", "lungestimators.json").read_text()


def read_description(format, path):
    """Return the description in an export, read by the means of the runtime."""
    read = {
        "onnx": description_in_onnx,
        "litert": description_in_litert,
        "openvino": description_in_openvino,
        "saved_model": description_in_saved_model,
    }
    return json.loads(read[format](path))
