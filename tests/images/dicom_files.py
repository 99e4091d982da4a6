"""Small DICOM files for tests."""

import io

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder
from pydicom.tag import Tag
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from lungestimators.images import file_checks, reading

PIXELS = np.linspace(0, 4095, 40 * 56).astype(np.uint16).reshape(40, 56)
FULL = PIXELS / 4095
BYTES = (PIXELS // 16).astype(np.uint8)


def radiograph(pixels=PIXELS, bits_stored=12, photometric="MONOCHROME2", **elements):
    """A data set of one grey frame, or of as many as ``pixels`` has."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["1"])
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.Modality = "CR"
    dataset.PhotometricInterpretation = photometric
    dataset.SamplesPerPixel = 1
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored, dataset.HighBit = bits_stored, bits_stored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


def save(path, dataset, syntax=ExplicitVRLittleEndian):
    """Write the file and return its path as a str."""
    if syntax in (RLELossless, JPEG2000Lossless, JPEGLSLossless):
        dataset.compress(syntax)
    elif syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, enforce_file_format=True)
    return str(path)


def read(path, channels=1):
    """Check and read a file as a classifier does."""
    file_checks.check_files([str(path)])
    return reading.read_image(str(path), channels)[..., 0]


def encode(pixels, syntax, depth, colour="MONOCHROME2"):
    """The stream of one frame, whose samples have ``depth`` bits."""
    if syntax == JPEGBaseline8Bit:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=100, subsampling=0)
        return buffer.getvalue()
    return get_encoder(syntax).encode(
        pixels.tobytes(),
        validate=False,
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        samples_per_pixel=1 if pixels.ndim == 2 else 3,
        number_of_frames=1,
        bits_allocated=8 * pixels.itemsize,
        bits_stored=depth,
        pixel_representation=int(pixels.dtype.kind == "i"),
        photometric_interpretation=colour,
        planar_configuration=0,
    )


def write(path, dataset, syntax, stream):
    """Write a file of one encoded frame and return its path."""
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, enforce_file_format=True)
    return str(path)


def coloured(pixels, colour="RGB", bits_stored=None, planar=0, **elements):
    """A data set of one frame of three samples."""
    dataset = radiograph(pixels[..., 0], bits_stored or 8 * pixels.itemsize, colour, **elements)
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, planar
    dataset.PixelData = (np.moveaxis(pixels, -1, 0) if planar else pixels).tobytes()
    return dataset


def table(entries, first=0, bits=16, vr="US", name="VOILUTSequence"):
    """The elements of a data set that hold a look-up table."""
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries) % 2**16, first, bits])
    item.add_new("LUTData", "OW", np.asarray(entries).astype("<u2").tobytes())
    return {name: [item]}


def raw(dataset, name, text):
    """Add an element of text as it is, which pydicom might refuse."""
    value = text.encode() + b" " * (len(text) % 2)
    dataset[Tag(name)] = RawDataElement(Tag(name), "DS", len(value), value, 0, False, True)
    return dataset


def linear(pixels, center, width):
    """PS3.3 C.11.2.1.2.1."""
    return np.clip((pixels - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def groups(**elements):
    """Functional groups: a window under its sequence, slope and intercept under theirs."""
    item, window, values = Dataset(), Dataset(), Dataset()
    for name, value in elements.items():
        setattr(values if name.startswith("Rescale") else window, name, value)
    item.FrameVOILUTSequence, item.PixelValueTransformationSequence = [window], [values]
    return [item]
