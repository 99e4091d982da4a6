"""The entries of files that tests change."""

import json
import zipfile
from hashlib import sha256

DOCUMENT, ARRAYS, DIGESTS = "estimator.json", "arrays.safetensors", "SHA256SUMS"


def read_entries(path):
    """Return the entries of a file as a dict of bytes."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_entries(path, entries, right_digests=True):
    """Write (name, bytes) as a file, with the digests that they have."""
    entries = dict(entries)
    if right_digests:
        lines = [f"{sha256(entries[x]).hexdigest()}  {x}\n" for x in (DOCUMENT, ARRAYS)]
        entries[DIGESTS] = "".join(lines).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in entries.items():
            archive.writestr(name, part)


def change_document(path, change):
    """Let a function change the JSON of a file, and give the file the right digests."""
    entries = read_entries(path)
    document = json.loads(entries[DOCUMENT])
    change(document)
    write_entries(path, entries | {DOCUMENT: json.dumps(document).encode()})
