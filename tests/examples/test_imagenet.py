import re

import imagenet_data
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.examples.running import run_example

SMALL = ("--size=32", "--width=0.125", "--epochs=3", "--steps_per_epoch=2")


def jpeg(height=60, width=80):
    """A file whose left half is red, and the right one blue."""
    image = np.zeros((height, width, 3), "uint8")
    image[:, : width // 2, 0] = image[:, width // 2 :, 2] = 255
    return tf.io.encode_jpeg(image, quality=95, chroma_downsampling=False)


@pytest.fixture(scope="module")
def mocked():
    return imagenet_data.PhotographSet("imagenet2012")


def test_where_data_are_missing_it_is_said_loudly(capsys):
    data = imagenet_data.PhotographSet("imagenet2012")
    assert data.is_mock
    assert data.classes == 1000
    printed = capsys.readouterr().out
    assert "HAS NO IMAGENET2012" in printed
    assert "RANDOM" in printed and "ACCURACIES MEAN NOTHING" in printed


def test_batches_are_images_and_one_hot_labels(mocked):
    for data in (
        mocked.training_batches(32, 4, seed=0),
        mocked.evaluation_batches(32, 4),
    ):
        images, labels = next(iter(data))
        assert images.shape == (4, 32, 32, 3) and labels.shape == (4, 1000)
        assert -1 <= np.min(images) < np.max(images) <= 1
        np.testing.assert_array_equal(np.sum(labels, axis=-1), 1)


def test_evaluation_sees_the_middle_of_each_image_once(mocked):
    counts = [len(x) for x, _ in mocked.evaluation_batches(32, 100)]
    assert sum(counts) == mocked.count(training=False)
    image = imagenet_data.middle(jpeg(), 32).numpy()
    red = image[..., 0] - image[..., 2]
    # 52 of 60 pixels: as much of red as of blue, in their places.
    assert np.all(red[:, :14] > 1.5) and np.all(red[:, 18:] < -1.5)


def test_training_sees_another_part_each_time():
    tf.random.set_seed(0)
    parts = [imagenet_data.cut_out(jpeg(), 16).numpy() for _ in range(40)]
    shares = [np.mean(x[..., 0] > x[..., 2]) for x in parts]
    assert len({round(float(x), 3) for x in shares}) > 4
    # Mirrored in about half of the cases: red is on the right then.
    mixed = [x for x, share in zip(parts, shares) if 0.2 < share < 0.8]
    on_the_left = [x[0, 0, 0] > x[0, -1, 0] for x in mixed]
    assert 0 < sum(on_the_left) < len(mixed)


@pytest.mark.parametrize(
    "model", [pytest.param("resnet50", marks=pytest.mark.slow), "mobilenet"]
)
def test_example_grows_a_network_and_says_so(tmp_path, model):
    output = run_example(
        "imagenet",
        f"--model={model}",
        f"--output={tmp_path / 'out'}",
        "--batch_size=4",
        "--width_multiple=1",
        *SMALL,
    )
    assert "RANDOM" in output
    assert re.search(r"^grown: top-1 .*, top-5 ", output, re.MULTILINE)
    assert "settled, budget Budget(flops=0.5)" in output
    # What is of real photographs stays.
    assert [each.name for each in tmp_path.iterdir()] == ["out_mock"]
    folder = tmp_path / "out_mock"
    small = keras.models.load_model(folder / "compact.keras")
    assert small.output_shape == (None, 1000)
    assert (folder / "saved_model").exists()


@pytest.mark.slow
def test_example_trains_all_networks_on_replicas_in_16_bits(tmp_path):
    flags = (
        "--model=mobilenet",
        "--networks=full,narrow,grown",
        f"--output={tmp_path / 'out'}",
        f"--backup={tmp_path / 'backup'}",
        "--batch_size=4",
        "--precision=mixed_bfloat16",
        "--strategy=mirrored",
        "--width_multiple=1",
        *SMALL,
    )
    try:
        output = run_example("imagenet", *flags)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    rows = re.findall(r"^(.*): top-1", output, re.MULTILINE)
    assert rows == ["full", "uniformly narrow", "grown"]
    assert [each.name for each in tmp_path.iterdir()] == ["out_mock"]


@pytest.mark.parametrize("model", ["resnet50", "mobilenet"])
def test_a_network_that_is_not_the_published_one_is_refused(
    model, monkeypatch, tmp_path
):
    import keras_growprune as kgp

    monkeypatch.setattr(kgp, "count_flops", lambda _: 3_858_000_000)
    with pytest.raises(RuntimeError, match="as published. It has 3,858"):
        run_example("imagenet", f"--model={model}", f"--output={tmp_path}")
