"""The examples of docstrings run, and their comments say what comes out."""

import importlib.util
import inspect

import keras
import pytest

from tests.documentation import examples
from tests.documentation import preamble
from tests.documentation import public_names

# They convert networks to files, or measure: seconds each.
SLOW = {
    "DeviceProfile",
    "DeviceProfile.check",
    "export.export_model",
    "export.from_tf_keras",
    "export.import_tfmot",
    "export.quantization_aware",
    "export.to_tf_keras",
    "verify",
}
# Words in examples, and the packages that are needed where they stand.
PACKAGES = {
    "GrowthTensorBoard": ["tensorboard", "matplotlib"],
    "animate_growth": ["matplotlib", "PIL"],
    'format="onnx"': ["onnx", "onnxruntime", "tf2onnx"],
    "import_tfmot": ["tensorflow_model_optimization", "tf_keras"],
    "plot_": ["matplotlib"],
    "quantization_aware": ["tensorflow_model_optimization", "tf_keras"],
    "tf_keras": ["tf_keras"],
}
# Of Keras, not in all versions.
KERAS = {
    "keras.distillation": hasattr(keras, "distillation"),
    "ReversibleEmbedding": hasattr(keras.layers, "ReversibleEmbedding"),
}


def _found():
    for public in [
        *public_names.public_names(),
        *public_names.public_members(),
    ]:
        text = getattr(public.value, "__doc__", None)
        blocks = examples.blocks_of(inspect.cleandoc(text)) if text else []
        for number, block in enumerate(blocks):
            slow = [pytest.mark.slow] if public.name in SLOW else []
            name = public.name + (f"-{number + 1}" if number else "")
            yield pytest.param(public.name, block, id=name, marks=slow)


def _skip_what_is_missing(code):
    for word, packages in PACKAGES.items():
        for package in packages if word in code else ():
            if importlib.util.find_spec(package) is None:
                pytest.skip(f"needs {package}")
    for word, is_there in KERAS.items():
        if word in code and not is_there:
            pytest.skip(f"needs {word}, which this Keras does not have")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name,block", list(_found()))
def test_example_runs(name, block, tmp_path, monkeypatch):
    _skip_what_is_missing(block.code)
    monkeypatch.chdir(tmp_path)
    examples.run(block.code, preamble.namespace(), f"example of {name}")


@pytest.mark.parametrize(
    "line,problem",
    [
        ("1 + 1  # 2", None),
        ("1 + 1  # 3", "is 2, and not 3"),
        ("0.1 + 0.2  # 0.3", None),
        ("0.1 + 0.2  # 0.31", "and not 0.31"),
        ("np.float32(1) / 3  # 0.3333", None),
        ("np.arange(3)  # [0, 1, 2]", None),
        ("np.arange(3)  # [0, 1, 3]", "and not [0, 1, 3]"),
        ("tf.constant([1.0, 2.0])  # [1.0, 2.0]", None),
        ("1, 0.5  # 1, 0.5", None),
        ("{'a': 1}  # {'a': 1}", None),
        ("{'a': 1}  # {'b': 1}", "and not {'b': 1}"),
        ("np.bool_(True)  # True", None),
        ("1  # True", "and not True"),
        ("1  # 1.0", "and not 1.0"),
        ("None  # None", None),
        ("'text'  # 'text'", None),
        ("1 + 1  # as one knows", None),
        ("sum(\n    [1, 2]\n)  # 4", "is 3, and not 4"),
        ("x = 1  # 2", None),
        ("# 2\n1 + 0", None),
        ("print(1 + 1)  # 2", None),
        ("print(1 + 1)  # 3", "is 2, and not 3"),
    ],
)
def test_comments_are_checked(line, problem):
    given = preamble.namespace()
    if problem is None:
        examples.run(line, given, "it")
        return
    with pytest.raises(AssertionError) as caught:
        examples.run(line, given, "it")
    assert problem in str(caught.value)


def test_runs_are_short():
    code = (
        "class Model:\n"
        "    def fit(self, epochs, growth_epochs=1): return epochs\n"
        "    def measure(self, seconds=60): return seconds\n"
        "Model().fit(epochs=30, growth_epochs=30)  # 2\n"
        "Model().fit(epochs=1)  # 1\n"
        "Model().measure()  # 1\n"
        "Model().measure(seconds=30)  # 1\n"
        "[epoch for epoch in range(5)]  # [0, 1, 2, 3, 4]\n"
        "seen = []\n"
        "for epoch in range(30):\n"
        "    seen.append(epoch)\n"
        "seen  # [0, 1]\n"
    )
    examples.run(code, preamble.namespace(), "it")


def test_fences_are_found():
    text = (
        "Text\n\n```python\na = 1\n```\n\n"
        '```python title="name.py"\nb = 1\n```\n'
        "```py\nc = 1\n```\n```bash\nd\n```\n```\ne\n```\n"
        "- item:\n\n    ```python\n    if f:\n        g = 1\n    ```\n"
    )
    found = examples.blocks_of(text)
    codes = [block.code for block in found]
    assert codes == ["a = 1\n", "b = 1\n", "if f:\n    g = 1\n"]
    assert [block.line for block in found] == [4, 8, 22]


def test_networks_are_made_where_they_are_mentioned():
    given = preamble.namespace()
    examples.run("def f():\n    return network\n", given, "it")
    assert "network" not in given
    examples.run("f().name\n", given, "it")
    assert "network" in given and "model" not in given
