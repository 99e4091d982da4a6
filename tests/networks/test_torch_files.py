"""Files of PyTorch are read whole, without PyTorch and without running what stands in them."""

import pickle
import sys
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from lungestimators.networks.torch_files import read_torch_file

torch = pytest.importorskip("torch", reason="PyTorch, which writes the files, is not installed")
# What needs PyTorch is imported behind that line.
import safetensors.torch  # noqa: E402

from . import torch_networks  # noqa: E402


@pytest.fixture(scope="module")
def densenet():
    return torch_networks.with_random_values(torch_networks.DenseNet((1, 1, 1, 1)))


def assert_same_tensors(found, state):
    assert list(found) == list(state)
    for name, value in state.items():
        np.testing.assert_array_equal(found[name], value.float().numpy())


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("kind", ["state", "network", "checkpoint"])
def test_both_formats_are_read_without_pytorch(densenet, tmp_path, monkeypatch, kind, is_zip):
    state, path = densenet.state_dict(), tmp_path / "file.pt"
    saved = {"state": state, "network": densenet, "checkpoint": {"model": densenet}}
    torch.save(saved[kind], path, _use_new_zipfile_serialization=is_zip)
    assert zipfile.is_zipfile(path) == is_zip
    with monkeypatch.context() as without_torch:
        for name in [name for name in sys.modules if name.split(".")[0] == "torch"]:
            without_torch.setitem(sys.modules, name, None)
        without_torch.setitem(sys.modules, torch_networks.__name__, None)
        found = read_torch_file(path)
    assert sorted(found) == sorted(state)
    assert_same_tensors({name: found[name] for name in state}, state)


@pytest.mark.parametrize("is_zip", [True, False])
def test_views_and_types_of_numbers_are_read(tmp_path, is_zip):
    whole = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    state = {
        "whole": whole,
        "row": whole[2],
        "transposed": whole.t(),
        "every other": whole[1:, ::2],
        "number": torch.tensor(3.0),
        "empty": torch.zeros(0, 3),
        "repeated": torch.ones(1).expand(1, 1),
        **{str(t): whole.to(t) for t in (torch.float16, torch.bfloat16, torch.float64)},
        **{str(t): whole.to(t) for t in (torch.int64, torch.uint8, torch.bool)},
        "parameter": torch.nn.Parameter(whole[:2]),
    }
    torch.save(state, tmp_path / "file.pt", _use_new_zipfile_serialization=is_zip)
    assert_same_tensors(
        read_torch_file(tmp_path / "file.pt"),
        OrderedDict((name, value.detach()) for name, value in state.items()),
    )


class PicklerOfOldViews(pickle.Pickler):
    """Writes a storage of a GPU as PyTorch did when storages could be views of others."""

    def persistent_id(self, value):
        if isinstance(value, torch.TypedStorage):
            return ("storage", torch.cuda.FloatStorage, "whole", "cuda:0", 4, ("view", 2, 4))
        return None


# Files of old versions of PyTorch hold such storages; to write one, the new version must be asked.
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_a_storage_that_is_a_view_of_another_is_read(tmp_path):
    values = np.arange(6, dtype=np.float32)
    with (tmp_path / "old.pt").open("wb") as file:
        for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(part, file, protocol=2)
        PicklerOfOldViews(file, protocol=2).dump({"weight": torch.zeros(4)})
        pickle.dump(["whole"], file, protocol=2)
        file.write(len(values).to_bytes(8, "little") + values.tobytes())
    np.testing.assert_array_equal(read_torch_file(tmp_path / "old.pt")["weight"], values[2:])


def test_safetensors_of_half_precision_are_read(tmp_path):
    state = {str(t): torch.randn(3, 4).to(t) for t in (torch.float16, torch.bfloat16)}
    safetensors.torch.save_file(state, tmp_path / "half.safetensors")
    found = read_torch_file(tmp_path / "half.safetensors")
    assert_same_tensors({name: found[name] for name in state}, state)


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("is_zip", [True, False])
def test_code_in_a_file_does_not_run(densenet, tmp_path, is_zip):
    touched, path = tmp_path / "touched", tmp_path / "evil.pt"
    saved = {"before": Payload(str(touched)), "state_dict": densenet.state_dict()}
    torch.save(saved, path, _use_new_zipfile_serialization=is_zip)
    assert_same_tensors(
        {n: v.astype(np.float32) for n, v in read_torch_file(path).items()}, densenet.state_dict()
    )
    assert not touched.exists()
    torch.load(path, weights_only=False)["before"].close()
    assert touched.exists()  # it would have run


@pytest.mark.parametrize("name", ["evil.pt", "evil.pth"])
def test_a_bare_pickle_is_refused_and_does_not_run(tmp_path, name):
    touched = tmp_path / "touched"
    (tmp_path / name).write_bytes(pickle.dumps(Payload(str(touched))))
    with pytest.raises(ValueError, match=r"is a pickle that torch\.save did not write"):
        read_torch_file(tmp_path / name)
    assert not touched.exists()
    pickle.loads((tmp_path / name).read_bytes()).close()
    assert touched.exists()


class LargerThanItsMemory:
    """A tensor that reads beyond its values."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        storage = torch.arange(6.0).storage()
        return torch._utils._rebuild_tensor_v2, (storage, *self.arguments, False, OrderedDict())


# Files of old versions of PyTorch hold such storages; to write one, the new version must be asked.
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize(
    "arguments",
    [(0, (7,), (1,)), (2, (5,), (1,)), (0, (2,), (6,)), (3, (2,), (-1,)), (0, (9,), (0,))],
)
def test_a_tensor_reads_no_memory_but_its_own(tmp_path, arguments):
    torch.save({"tensor": LargerThanItsMemory(*arguments)}, tmp_path / "file.pt")
    with pytest.raises(ValueError, match=r"a tensor (is larger|has a negative)"):
        read_torch_file(tmp_path / "file.pt")


# Users have TorchScript programs, which PyTorch still writes but advises against.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_files_of_other_kinds_say_what_to_do(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "script.pt")
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("readme.txt", "no weights")
    with zipfile.ZipFile(tmp_path / "compressed.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    torch.save({"epoch": 3}, tmp_path / "nothing.pt")
    torch.save({"weight": torch.zeros(2, dtype=torch.complex64)}, tmp_path / "complex.pt")
    for name, message in (
        ("script.pt", r"TorchScript program: .* save its state_dict\(\)"),
        ("zip.pt", "zip file that torch.save did not write"),
        ("compressed.pt", "is compressed"),
        ("nothing.pt", "holds no weights"),
        ("complex.pt", "save them as float32"),
    ):
        with pytest.raises(ValueError, match=message):
            read_torch_file(tmp_path / name)
