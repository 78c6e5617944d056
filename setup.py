"""Packaging of keras_growprune."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"',
    (ROOT / "keras_growprune" / "version.py").read_text(encoding="utf-8"),
).group(1)

EXAMPLES = [
    "scikit-learn",
    "tensorflow-datasets",
    # tensorflow-datasets 4.9.10 imports it without declaring it.
    "importlib_resources",
    # Masks of segmentation are pictures with a palette.
    "pillow",
    # Intervals in the reports of the benchmarks.
    "scipy",
]

# Pictures, animations, TensorBoard's pages.
VIZ = ["matplotlib", "pillow", "tensorboard"]

# LiteRT's own interpreter, which TensorFlow stops carrying.
LITERT = ["ai-edge-litert"]
# Before 1.17 tf2onnx does not go with NumPy 2.
ONNX = ["tf2onnx>=1.17", "onnx", "onnxruntime"]

REPOSITORY = "https://github.com/keras-growprune/keras_growprune"


def long_description():
    """The README, with links that lead to the repository from anywhere."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.compile(r"(!\[[^\]]*)\]\((?!https?:)([^)]+)\)")
    text = pictures.sub(rf"\1]({REPOSITORY}/raw/main/\2)", text)
    pages = re.compile(r"\]\((?!https?:|#)([^)]+)\)")
    return pages.sub(rf"]({REPOSITORY}/blob/main/\1)", text)


setuptools.setup(
    name="keras_growprune",
    version=VERSION,
    description="Grow and prune Keras networks while they train",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    url=REPOSITORY,
    project_urls={"Changelog": f"{REPOSITORY}/blob/main/CHANGELOG.md"},
    packages=setuptools.find_packages(include=["keras_growprune*"]),
    python_requires=">=3.10",
    install_requires=[
        # Before 2.18 it does not go with the floor of Keras.
        "tensorflow>=2.18",
        # Before 3.8 a variable cannot change its shape in place.
        "keras>=3.8",
        "numpy",
        "absl-py",
        # Tables in the terminal; Keras needs it for its own.
        "rich",
    ],
    extras_require={
        # The site: `mkdocs serve`. The sources are read, not imported.
        "docs": [
            # Before 1.6 it does not know pages that are made by a hook.
            "mkdocs>=1.6",
            "mkdocs-material",
            "mkdocstrings[python]",
            # Formats the signatures.
            "ruff",
        ],
        "examples": EXAMPLES,
        "litert": LITERT,
        "onnx": ONNX,
        "test": [
            *EXAMPLES,
            *LITERT,
            *ONNX,
            *VIZ,
            "hypothesis",
            # Notebooks are executed.
            "ipykernel",
            "nbclient",
            "pytest",
            "pytest-xdist",
            "ruff",
        ],
        # Quantization-aware training, clustering, pruning of single weights.
        "tfmot": [
            "tensorflow-model-optimization",
            "tf_keras",
            # It imports distutils, which Python 3.12 leaves to setuptools.
            "setuptools; python_version >= '3.12'",
        ],
        "viz": VIZ,
    },
    classifiers=[
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    keywords="keras tensorflow pruning growing sparsification compression",
)
