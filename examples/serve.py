"""A service that classifies one image file a request. An example: take it as a start.

    pip install "lungestimators[dicom,serve]"
    python examples/serve.py model.lung --port 8000
    curl --data-binary @radiograph.png http://127.0.0.1:8000/predict
    curl http://127.0.0.1:8000/health

The model is a file of ``lungestimators.save``; LUNGESTIMATORS_MODEL may name it as well. The body of
a request is the file itself: PNG, JPEG, TIFF, DICOM or what else the library reads.

200  label, probabilities, and warnings of the library about the image
413  more than MOST_BYTES
422  no image, a damaged one, or one of more than MOST_PIXELS; the reason is in "error"
503  MOST_REQUESTS are being answered; or, of /health, a file keeps the service busy: start it anew
504  no answer within MOST_SECONDS

There is no authentication and no encryption: put it behind a server that has both. It is not a
medical device: what it answers is for research, not for patients.
"""

import argparse
import asyncio
import os
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Route

from lungestimators import ImageReadError, limit_feature_cache, load

MOST_BYTES = 64 * 2**20
MOST_PIXELS = 36_000_000  # the largest radiographs have 25 million
MOST_SECONDS = 30  # from the first byte of a request to its answer
MOST_REQUESTS = 32  # one is computed, the others arrive or wait


class Service:
    """Answers requests, one image at a time: memory is that of one image, however many wait."""

    def __init__(self, model):
        Image.MAX_IMAGE_PIXELS = MOST_PIXELS
        limit_feature_cache(2**24)  # hardly an image comes twice
        self.estimator = load(model)
        self.classes = [str(name) for name in self.estimator.classes_]
        self.worker = ThreadPoolExecutor(1)
        self.n_requests, self.started = 0, None
        with tempfile.TemporaryDirectory() as folder:  # the first prediction takes seconds
            Image.new("L", (64, 64)).save(path := Path(folder, "black.png"))
            self.worker.submit(self.classify, str(path)).result()

    def classify(self, path):
        """Return the answer about a file, and its status. Runs in the worker's thread."""
        self.started = time.monotonic()
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("ignore")
                warnings.simplefilter("always", UserWarning)
                # A classifier with a threshold may not choose the most probable class.
                label = self.estimator.predict([path])[0]
                probabilities = self.estimator.predict_proba([path])[0].tolist()
        except (ValueError, ImportError) as error:  # an ImportError: DICOM without pydicom
            reason = error.reasons[path] if isinstance(error, ImageReadError) else str(error)
            return {"error": reason.replace(path, "the file")}, 422
        finally:
            self.started = None
        notes = dict.fromkeys(str(each.message).replace(path, "the file") for each in caught)
        answer = {"label": str(label), "warnings": list(notes)}
        return answer | {"probabilities": dict(zip(self.classes, probabilities, strict=True))}, 200

    async def predict(self, request):
        """POST /predict: write the body to a file of a name of our own, and classify it."""
        if self.n_requests >= MOST_REQUESTS:
            answer = {"error": f"{MOST_REQUESTS} requests are being answered"}
            return JSONResponse(answer, 503, {"Retry-After": "1"})
        self.n_requests += 1
        try:
            with tempfile.TemporaryDirectory() as folder:
                async with asyncio.timeout(MOST_SECONDS):
                    return JSONResponse(*await self.answer_body(request, Path(folder, "image")))
        except TimeoutError:
            return JSONResponse({"error": f"no answer within {MOST_SECONDS} seconds"}, 504)
        except ClientDisconnect:
            return JSONResponse({"error": "the client went away"}, 400)
        finally:
            self.n_requests -= 1

    async def answer_body(self, request, path):
        """Return the answer to the body of a request, and its status."""
        n_bytes = 0
        with open(path, "wb") as file:
            async for chunk in request.stream():
                n_bytes += len(chunk)
                if n_bytes <= MOST_BYTES:  # the rest is read too, or clients would miss the answer
                    file.write(chunk)
        if n_bytes > MOST_BYTES:
            return {"error": f"more than {MOST_BYTES} bytes"}, 413
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.worker, self.classify, str(path))

    async def health(self, request):
        """GET /health: the classes; status 503 while a file takes longer than it may."""
        started = self.started
        if started is not None and time.monotonic() - started > MOST_SECONDS:
            return JSONResponse({"status": "busy for too long"}, 503)
        return JSONResponse({"status": "ready", "classes": self.classes})


def create_app(model):
    """Return the application that serves a model file."""
    service = Service(model)
    return Starlette(
        routes=[
            Route("/predict", service.predict, methods=["POST"]),
            Route("/health", service.health),
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    model = os.environ.get("LUNGESTIMATORS_MODEL")
    parser.add_argument("model", nargs="?" if model else None, default=model)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    uvicorn.run(create_app(arguments.model), host=arguments.host, port=arguments.port)
