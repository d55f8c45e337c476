"""Image classifiers that learn a class from a few photos, without training and without TensorFlow.

  import imprinting

  model = imprinting.load()                    # knows the 1,000 classes of ImageNet
  model.imprint("my mug", ["1.jpg", "2.jpg"])  # and now one more
  model.classify("photo.jpg")                  # [("my mug", 0.94), ("coffee mug", 0.02), …]
  model.save("mine.tflite")

See `Model` for everything else, and `imprinting.pycoral_api` for code that was written for pycoral.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imprinting.model import Answer, Model, load

__version__ = "0.1.0"
__all__ = ["Answer", "Model", "load"]


def __getattr__(name: str) -> Any:
    # `import imprinting` must be quick, since each command does it.
    if name in __all__:
        from imprinting import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
