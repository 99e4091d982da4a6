"""Read the values of DICOM elements as files store them: numbers, 16-bit words, tables."""

import re

import numpy as np

# Some programs write the decimal comma of their user's language.
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")

# Value representations (VRs) whose bytes are text; None stands for files that store no VRs.
_TEXT = (None, "DS", "IS", "LO", "SH", "ST", "UN")


def element_numbers(dataset, name):
    """Return the numbers of a DICOM element of text: floats, and None for an empty value.

    The list is empty where the element is absent or empty.
    """
    if name not in dataset:
        return []
    # pydicom's own conversion raises over a decimal comma.
    element = dataset.get_item(name)
    if not (element.is_raw and element.VR in _TEXT):
        value = dataset[name].value
        values = [] if value is None else np.atleast_1d(value).tolist()
        return [_number_of_element_text(str(value), name) for value in values]
    text = (element.value or b"").decode("latin-1").strip(" \0")
    return [_number_of_element_text(value, name) for value in text.split("\\")] if text else []


def element_number(dataset, name):
    """Return the first number of a DICOM element of text; None where it is absent or empty."""
    return next(iter(element_numbers(dataset, name)), None)


def element_number_of_frames(dataset):
    """Return the number of frames, 1 where the data set does not say it."""
    return max(1, int(element_number(dataset, "NumberOfFrames") or 1))


def element_high_bit(dataset):
    """Return HighBit; where it is absent or empty, BitsStored - 1."""
    value = dataset.get("HighBit")
    return dataset.BitsStored - 1 if value in (None, "") else value


def datasets_that_may_hold_element(dataset, name):
    """Yield the data sets that may hold an element: the first frame's, all frames', the file's.

    Where several of them have the element, the first one counts.
    """
    for frames in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for groups in (dataset.get(frames) or ())[:1]:
            yield from (groups.get(name) or ())[:1]
    yield dataset


def _number_of_element_text(text, name):
    """Return the number that a text says, and None for an empty text; raise for other texts."""
    text = text.strip(" \0")
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"its {name} is {text!r}, which is not a number")
    value = float(text.replace(",", "."))
    if not np.isfinite(value):
        raise ValueError(f"its {name} is {text!r}, which is too large a number")
    return value


def element_words(dataset, name, little_endian):
    """Return the 16-bit words of a DICOM element (VR US, SS or OW) as unsigned numbers."""
    if name not in dataset:
        return np.empty(0, np.uint16)
    value = dataset.get_item(name).value
    if isinstance(value, bytes):
        value += bytes(len(value) % 2)
        return np.frombuffer(value, "<u2" if little_endian else ">u2")
    return np.atleast_1d(np.asarray([] if value is None else value, np.int64)) & 0xFFFF


def signed_element_word(word):
    """Return the signed number that a 16-bit word is in two's complement."""
    return int(word) - 2**16 if word >= 2**15 else int(word)


def element_lookup_table(descriptor, data, name):
    """Return the entries of a look-up table, the value of the first entry, and the bits.

    Parameters
    ----------
    descriptor, data : ndarray
        Words. Entries of at most 8 bits are stored one or two in a word.
    name : str
        Name of the table in messages.

    Returns
    -------
    entries : ndarray
    first : int
        A word.
    bits : int
        The bits that the largest entry needs, which may be fewer or more than the descriptor says;
        at least 8 where the descriptor says 8 or more.
    """
    if len(descriptor) != 3:
        raise ValueError(f"{name} has a descriptor of {len(descriptor)} numbers in place of 3")
    n_entries, first, bits = int(descriptor[0]) or 2**16, int(descriptor[1]), int(descriptor[2])
    if not 1 <= bits <= 16:
        raise ValueError(f"{name} claims entries of {bits} bits: 1 to 16 are possible")
    entries = data
    if len(entries) < n_entries and bits <= 8:  # the first of two is the lower half of a word
        entries = data.astype("<u2").view(np.uint8)
    if len(entries) < n_entries:
        raise ValueError(f"{name} claims {n_entries} entries and has {len(entries)}")
    entries = entries[:n_entries]
    needed = int(entries.max()).bit_length()
    return entries, first, max(needed, min(bits, 8))


def expand_element_segments(descriptor, segments, name):
    """Return the entries, a word each, of a table stored in segments (PS3.3 C.7.9.2)."""
    n_entries = int(descriptor[0]) or 2**16
    if descriptor[-1] == 8:
        segments = segments.astype("<u2").view(np.uint8)
    values = np.empty(0, np.uint16)
    place = 0
    while place + 1 < len(segments):
        kind, length = int(segments[place]), int(segments[place + 1])
        place += 2
        if kind == 0:  # values as they are
            piece = segments[place : place + length]
            place += length
        elif kind == 1 and len(values):  # a line from the last value to the one given
            ends = segments[place : place + 1]
            piece = ends[:0]
            if len(ends):
                line = np.linspace(float(values[-1]), float(ends[0]), length + 1)[1:]
                piece = np.rint(line).astype(np.uint16)
            place += 1
        else:
            raise ValueError(f"{name} has a segment of type {kind}, which is not supported")
        if len(piece) != length or len(values) + length > 2**16:
            raise ValueError(f"the segments of {name} are damaged")
        values = np.concatenate([values, piece])
    if len(values) < n_entries:
        raise ValueError(f"{name} claims {n_entries} entries and has {len(values)}")
    return values.astype(np.uint16)
