"""The benchmark of the service sees what is lost, wrong and left behind."""

import importlib
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


@pytest.fixture
def service(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("service")


def test_it_sends_files_and_writes_a_page(service, tmp_path, capsys):
    arguments = ["--minutes", "0.05", "--warm-up", "1", "--clients", "3"]
    assert service.main([*arguments, "--results", str(tmp_path)]) == 0
    page = (tmp_path / "results.md").read_text()
    assert capsys.readouterr().out.strip() in page
    assert "| lost | 0 | 0 |" in page
    assert "| answered with 422 |" in page
    assert "python benchmarks/service.py --minutes 0.05" in page
    assert "synthetic" in page


def test_what_is_not_as_asked_is_seen(service):
    right = service.Answer(200, True, 0.1, "")

    def reached(*answers, memory=(100.0, 149.0, 120.0), n_left=0):
        return service.table_of([right, *answers], 1.0, memory, n_left)[1]

    assert reached()
    assert reached(service.Answer(422, True, 0.1, ""))
    assert not reached(service.Answer(None, False, 0.1, "lost"))
    assert not reached(service.Answer(500, False, 0.1, "500"))
    assert not reached(service.Answer(200, False, 0.1, "wrong"))
    assert not reached(memory=(100.0, 151.0, 120.0))
    assert not reached(n_left=1)


def test_an_answer_is_right_only_where_it_is_that_of_the_model(service):
    valid = service.File("PNG", b"x", np.array([0.25, 0.75]))
    damaged = service.File("empty", b"", None)

    def is_right(file, status, body):
        transport = httpx.MockTransport(lambda _: httpx.Response(status, json=body))
        with httpx.Client(transport=transport, base_url="http://x") as client:
            return service.send(client, file).is_right

    answer = {"probabilities": {"a": 0.25, "b": 0.75}}
    assert is_right(valid, 200, answer)
    assert not is_right(valid, 200, {"probabilities": {"a": 0.75, "b": 0.25}})
    assert not is_right(valid, 422, {"error": "damaged"})
    assert is_right(damaged, 422, {"error": "damaged"})
    assert not is_right(damaged, 422, {"error": ""})
    assert not is_right(damaged, 200, answer)
    assert not is_right(damaged, 500, {"detail": "x"})


def test_a_request_without_an_answer_is_lost(service):
    def refuse(request):
        raise httpx.ConnectError("refused", request=request)

    with httpx.Client(transport=httpx.MockTransport(refuse), base_url="http://x") as client:
        answer = service.send(client, service.File("PNG", b"x", np.ones(1)))
    assert answer.status is None
    assert "refused" in answer.details
