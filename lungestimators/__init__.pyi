from .audit import audit_images as audit_images
from .classifiers import BackboneClassifier as BackboneClassifier
from .classifiers import CNNClassifier as CNNClassifier
from .classifiers import DenseNetClassifier as DenseNetClassifier
from .classifiers import MobileNetClassifier as MobileNetClassifier
from .comparison import compare_models as compare_models
from .comparison import compare_predictions as compare_predictions
from .datasets import fetch_lung_disease as fetch_lung_disease
from .datasets import fetch_pneumoniamnist as fetch_pneumoniamnist
from .datasets import load_image_folder as load_image_folder
from .datasets import load_image_table as load_image_table
from .datasets import load_images as load_images
from .datasets import make_chest_xrays as make_chest_xrays
from .features import BackboneFeatures as BackboneFeatures
from .features import clear_feature_cache as clear_feature_cache
from .features import feature_cache_info as feature_cache_info
from .features import limit_feature_cache as limit_feature_cache
from .images import ImageReadError as ImageReadError
from .plotting import ClassDistributionDisplay as ClassDistributionDisplay
from .plotting import SampleImagesDisplay as SampleImagesDisplay
from .plotting import TrainingCurvesDisplay as TrainingCurvesDisplay
from .preprocessing import CLAHE as CLAHE
from .preprocessing import BorderCrop as BorderCrop
from .preprocessing import ImageReader as ImageReader
from .search import OptunaSearch as OptunaSearch
from .search import search_space as search_space

__version__: str
