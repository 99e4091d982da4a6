"""A service that classifies one image file a request. An example: take it as a start.

    pip install "lungestimators[serve]"
    python examples/serve.py model.lung
    curl --data-binary @radiograph.png http://127.0.0.1:8000/predict
    curl http://127.0.0.1:8000/health

The model is a file of ``lungestimators.save``; the environment variable LUNGESTIMATORS_MODEL may
name it as well. The body of a request is the image file itself: PNG, JPEG, TIFF, DICOM, ...

200  label, probabilities, and what the library warns of in this image
413  the file has more than MOST_BYTES
422  the file is no image, is damaged, or has more than MOST_PIXELS: "error" says why
503  MOST_REQUESTS are at work; of /health: one file takes too long, start the service anew
504  there was no answer within MOST_SECONDS

No name that a client sends is ever used for a file, and no file is kept. There is no authentication
and no encryption: put a server in front that has both. It is not a medical device, and its answers
are not for patients.
"""

import argparse
import asyncio
import os
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import uvicorn
from PIL import Image
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Route

from lungestimators import ImageReadError, limit_feature_cache, load, make_chest_xrays

MOST_BYTES = 64 * 2**20
MOST_PIXELS = 36_000_000  # large radiographs have 25 million
MOST_SECONDS = 30  # from the head of a request to its answer
MOST_REQUESTS = 32  # one is computed, the others arrive or wait
THRESHOLDS = FixedThresholdClassifier, TunedThresholdClassifierCV


class Service:
    """Answers requests by an estimator. One image at a time is in memory, the others on disk."""

    def __init__(self, estimator):
        self.estimator = estimator
        if not hasattr(estimator, "predict_proba"):
            raise ValueError(f"a {type(estimator).__name__} has no probabilities to serve")
        last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        self.has_threshold = isinstance(last, THRESHOLDS)
        self.classes = [str(name) for name in estimator.classes_]
        self.worker = ThreadPoolExecutor(1)
        self.n_requests, self.started = 0, None
        with tempfile.TemporaryDirectory() as folder:  # the first prediction takes longer
            X, _ = make_chest_xrays(1, image_size=256, random_state=0)
            Image.fromarray(X[0]).save(path := f"{folder}/chest.png")
            answer, status = self.worker.submit(self.classify, path).result()
        if status != 200:
            raise ValueError(f"it cannot classify a synthetic radiograph: {answer['error']}")

    def classify(self, path):
        """Return the answer about a file, and its status; runs in the worker's thread."""
        self.started = time.monotonic()
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("ignore")
                warnings.simplefilter("always", UserWarning)
                probabilities = self.estimator.predict_proba([path])[0].tolist()
                label = self.classes[int(np.argmax(probabilities))]
                if self.has_threshold:
                    label = str(self.estimator.predict([path])[0])
        except (ValueError, ImportError) as error:  # the latter for DICOM without pydicom
            reason = error.reasons[path] if isinstance(error, ImageReadError) else str(error)
            return {"error": reason.replace(path, "the file")}, 422
        finally:
            self.started = None
        notes = dict.fromkeys(str(each.message).replace(path, "the file") for each in caught)
        by_class = dict(zip(self.classes, probabilities, strict=True))
        return {"label": label, "probabilities": by_class, "warnings": list(notes)}, 200

    async def answer(self, request, path):
        """Write the body of a request to a file; return the answer, its status and headers."""
        refused, n_bytes = self.n_requests > MOST_REQUESTS, 0
        with open(path, "wb") as file:
            async for chunk in request.stream():  # to its end: else a client may miss the answer
                n_bytes += len(chunk)
                if n_bytes <= MOST_BYTES and not refused:
                    file.write(chunk)
        if refused:
            return {"error": "too many requests are at work"}, 503, {"Retry-After": "1"}
        if n_bytes > MOST_BYTES:
            return {"error": f"the file has more than {MOST_BYTES} bytes"}, 413
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.worker, self.classify, str(path))

    async def predict(self, request):
        """POST /predict: the image file is the body."""
        self.n_requests += 1
        try:
            with tempfile.TemporaryDirectory() as folder:
                async with asyncio.timeout(MOST_SECONDS):
                    return JSONResponse(*await self.answer(request, Path(folder, "image")))
        except TimeoutError:
            return JSONResponse({"error": f"no answer within {MOST_SECONDS} seconds"}, 504)
        except ClientDisconnect:
            return JSONResponse({"error": "the file did not arrive"}, 400)
        finally:
            self.n_requests -= 1

    async def health(self, request):
        """GET /health: whether the service answers, and which classes it knows."""
        started = self.started  # by the worker, which nothing but the end of the process stops
        if started is not None and time.monotonic() - started > MOST_SECONDS:
            return JSONResponse({"status": "one file takes too long"}, 503)
        return JSONResponse({"status": "ready", "classes": self.classes})


def create_app(model):
    """Return the application that serves a model file."""
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    limit_feature_cache(2**24)  # hardly an image comes twice
    service = Service(load(model, runtime="onnxruntime"))
    predict = Route("/predict", service.predict, methods=["POST"])
    return Starlette(routes=[predict, Route("/health", service.health)])


if __name__ == "__main__":
    model = os.environ.get("LUNGESTIMATORS_MODEL")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?" if model else None, default=model)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    uvicorn.run(create_app(arguments.model), host=arguments.host, port=arguments.port)
