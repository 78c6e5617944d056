import re

import keras
import numpy as np
import pytest
import segmentation_data
import segmentation_pictures
import segmentation_training
from absl import app
from absl import flags
from PIL import Image

from keras_growprune import models
from tests.examples import small_images
from tests.examples.running import run_example

VOID = segmentation_data.VOID


@pytest.fixture
def folder(tmp_path):
    return small_images.write(tmp_path)


def test_a_set_is_found_from_any_folder_above_it(folder):
    for above in (folder, folder.parent, folder.parents[1]):
        assert segmentation_data.folder_of(str(above)) == folder


def test_a_folder_without_a_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JPEGImages.*Received"):
        segmentation_data.folder_of(str(tmp_path))


def test_voc_is_where_tfds_has_unpacked_it(folder, monkeypatch):
    import tensorflow_datasets as tfds

    asked = []

    def downloaded(manager, url):
        asked.append(url)
        return folder.parents[1]

    monkeypatch.setattr(
        tfds.download.DownloadManager, "download_and_extract", downloaded
    )
    assert segmentation_data.folder_of("voc") == folder
    assert [url.rsplit("/", 1)[1] for url in asked] == [
        "VOCtrainval_11-May-2012.tar"
    ]


def test_masks_are_indices_of_their_palette(folder):
    split = segmentation_data.load(folder, "train")
    assert len(split) == 6
    assert split.count_classes() == 3
    assert split.largest_size() == (24, 20)
    mask = segmentation_data.read_mask(split.masks[1])
    assert mask.shape == (24, 20)
    assert set(np.unique(mask)) == {0, 2, VOID}
    expected = small_images.PALETTE[:3]
    np.testing.assert_array_equal(split.palette()[:3], expected)
    assert split.palette()[VOID].tolist() == [255, 255, 255]


def test_whole_images_are_evaluated_with_void_around_them(folder):
    split = segmentation_data.load(folder, "val")
    ((images, masks),) = segmentation_data.evaluation_batches(split, 32, 4)
    assert images.shape == (4, 32, 32, 3) and masks.shape == (4, 32, 32)
    for index, mask in enumerate(masks.numpy()):
        expected = segmentation_data.read_mask(split.masks[index])
        np.testing.assert_array_equal(mask[:24, :20], expected)
        assert np.all(mask[24:] == VOID) and np.all(mask[:, 20:] == VOID)
    assert np.all(images.numpy()[:, 24:] == 0)
    assert -1 <= images.numpy().min() < images.numpy().max() <= 1


def test_images_larger_than_the_network_are_refused(folder):
    split = segmentation_data.load(folder, "val")
    with pytest.raises(ValueError, match="size=16.*24 x 20"):
        segmentation_data.evaluation_batches(split, 16, 4)


def test_grey_masks_get_colours_that_differ(folder):
    split = segmentation_data.load(folder, "train")
    for path in split.masks:
        Image.fromarray(segmentation_data.read_mask(path)).save(path)
    palette = segmentation_data.load(folder, "train").palette()
    assert palette[0].tolist() == [0, 0, 0]
    assert palette[VOID].tolist() == [255, 255, 255]
    assert len(np.unique(palette[:21], axis=0)) == 21
    assert split.count_classes() == 3


@pytest.mark.parametrize(
    "change, message",
    [
        ("colours", "mode RGB in .*val_1.png"),
        ("size", r"\(20, 24\) in .*val_1.jpg, \(10, 12\) in"),
        ("no mask", "val_1.png"),
        ("no picture", "val_1.jpg"),
        ("no list", "test, train. Received: 'val'"),
        ("empty", "val.txt is empty"),
    ],
)
def test_a_set_with_a_fault_is_refused_and_the_file_named(
    folder, change, message
):
    mask = folder / "SegmentationClass" / "val_1.png"
    lists = folder / "ImageSets" / "Segmentation"
    if change == "colours":
        Image.open(mask).convert("RGB").save(mask)
    elif change == "size":
        Image.open(mask).resize((10, 12), Image.Resampling.NEAREST).save(mask)
    elif change == "no mask":
        mask.unlink()
    elif change == "no picture":
        (folder / "JPEGImages" / "val_1.jpg").write_bytes(b"no picture")
    elif change == "no list":
        (lists / "val.txt").rename(lists / "test.txt")
    else:
        (lists / "val.txt").write_text("\n")
    with pytest.raises(app.UsageError, match=message):
        run_example("segmentation", f"--data={folder}", "--size=32")


def batches(folder, seed, **kwargs):
    split = segmentation_data.load(folder, "train")
    data = segmentation_data.training_batches(split, 32, 3, seed, **kwargs)
    return [[part.numpy() for part in batch] for batch in data]


def test_masks_follow_their_images_through_scaling_and_mirroring(folder):
    for images, masks in batches(folder, 0):
        assert images.shape == (3, 32, 32, 3) and masks.shape == (3, 32, 32)
        red = images[..., 0] - images[..., 2]
        # Where scaling has mixed no colours: in the squares and out of them.
        assert np.mean(red[masks == 1] > 0.6) > 0.9
        assert np.mean(red[masks == 2] < -0.6) > 0.9
        assert np.mean(np.abs(red[masks == 0]) < 0.6) > 0.95


def test_a_seed_gives_the_same_batches_and_another_one_others(folder):
    first, again, other = (batches(folder, seed) for seed in (0, 0, 1))
    for (x, y), (x2, y2) in zip(first, again, strict=True):
        np.testing.assert_array_equal(x, x2)
        np.testing.assert_array_equal(y, y2)
    assert not np.array_equal(first[0][0], other[0][0])


def test_without_scaling_an_image_that_fits_is_there_as_a_whole(folder):
    split = segmentation_data.load(folder, "train")
    counts = sorted(
        np.sum(segmentation_data.read_mask(path) == VOID)
        for path in split.masks
    )
    outside = 32 * 32 - 24 * 20
    found = sorted(
        np.sum(mask == VOID) - outside
        for _, masks in batches(folder, 0, scales=(1.0, 1.0))
        for mask in masks
    )
    assert found == counts


def test_mean_iou_leaves_void_out():
    metric = segmentation_training.MeanIoU(3)
    masks = np.array([[[0, 0, 1, VOID]]])
    logits = np.eye(3)[np.array([[[0, 1, 1, 2]]])]
    metric.update_state(masks, logits)
    # Of class 0 one of two, of class 1 one of two; class 2 is nowhere.
    assert float(metric.result()) == pytest.approx(0.5)
    again = segmentation_training.MeanIoU.from_config(metric.get_config())
    assert again.classes == 3


def test_the_learning_rate_falls_to_nothing_by_a_polynomial():
    model = keras.Model(*models.unet((8, 8, 3), 3, filters=2, levels=1))
    segmentation_training.compile_model(model, steps=10, learning_rate=0.2)
    rate = model.optimizer._learning_rate
    assert float(rate(0)) == pytest.approx(0.2)
    assert float(rate(5)) == pytest.approx(0.2 * 0.5**0.9)
    assert float(rate(10)) == 0


def test_void_pixels_add_nothing_to_the_loss():
    model = keras.Model(*models.unet((8, 8, 3), 3, filters=2, levels=1))
    segmentation_training.compile_model(model, steps=10)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    masks = np.zeros((2, 8, 8), int)
    masks[1] = VOID
    both = model.evaluate(images, masks, verbose=0)[0]
    known = model.evaluate(images[:1], masks[:1], verbose=0)[0]
    assert both == pytest.approx(known, rel=1e-4)


def test_a_picture_has_images_masks_and_predictions(tmp_path):
    class Always2:
        def predict(self, images, **_):
            return np.eye(3)[np.full(images.shape[:3], 2)]

    masks = np.zeros((2, 6, 5), int)
    masks[0, 0, 0] = VOID
    palette = np.zeros((256, 3), "uint8")
    palette[2], palette[VOID] = (9, 8, 7), (255, 255, 255)
    path = tmp_path / "x.png"
    segmentation_pictures.draw(
        Always2(), np.zeros((2, 6, 5, 3)), masks, palette, path
    )
    picture = np.array(Image.open(path))
    assert picture.shape == (2 * (6 + 8), 3 * (5 + 8), 3)
    predicted = picture[4:10, 2 * 13 + 4 : 2 * 13 + 9]
    assert predicted[1, 1].tolist() == [9, 8, 7]
    assert predicted[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    "names",
    [
        ["grown"],
        pytest.param(
            ["full", "uniformly narrow", "grown"], marks=pytest.mark.slow
        ),
    ],
)
def test_example_grows_a_u_net_beside_the_others(tmp_path, names):
    data = small_images.write(tmp_path / "data", (16, 16), train=8)
    output = run_example(
        "segmentation",
        f"--data={data}",
        f"--output={tmp_path / 'out'}",
        f"--networks={','.join(name.split()[-1] for name in names)}",
        "--size=16",
        "--filters=4",
        "--width_multiple=1",
        "--epochs=3",
        "--batch_size=4",
        f"--backup={tmp_path / 'backup'}",
    )
    rows = re.findall(
        r"^(full|uniformly narrow|grown) +[\d.]+% +[\d,]+ \(([\d.]+)\)",
        output,
        re.MULTILINE,
    )
    assert [row[0] for row in rows] == names
    assert all(float(row[1]) <= 0.5 for row in rows if row[0] != "full")
    small = keras.models.load_model(tmp_path / "out" / "compact.keras")
    assert small.output_shape == (None, 16, 16, 3)
    for name in ("predictions.png", "growth.png", "saved_model"):
        assert (tmp_path / "out" / name).exists(), name


@pytest.mark.slow
def test_example_prunes_a_deeplab_on_a_trained_body(tmp_path):
    data = small_images.write(tmp_path / "data", (33, 33))
    body = keras.Model(
        *models.bottleneck_resnet((32, 32, 3), 5, width=0.0625, growable=False)
    )
    body.save(tmp_path / "body.keras")
    output = run_example(
        "segmentation",
        f"--data={data}",
        f"--output={tmp_path / 'out'}",
        "--model=deeplab_v3",
        f"--backbone={tmp_path / 'body.keras'}",
        "--width=0.0625",
        "--width_multiple=1",
        "--size=33",
        "--epochs=3",
        "--batch_size=2",
    )
    (share,) = re.findall(r"^grown +[\d.]+% +[\d,]+ \(([\d.]+)\)", output, re.M)
    assert float(share) <= 0.5


def small_example(tmp_path, *flags):
    """Flags of a run that takes no time, with backups."""
    data = small_images.write(tmp_path / "data", (16, 16), train=8)
    return (
        f"--data={data}",
        f"--output={tmp_path / 'out'}",
        f"--backup={tmp_path / 'backup'}",
        "--size=16",
        "--filters=4",
        "--width_multiple=1",
        "--epochs=3",
        "--batch_size=4",
        *flags,
    )


@pytest.mark.slow
def test_what_breaks_off_after_training_loses_nothing(tmp_path, monkeypatch):
    flags = small_example(tmp_path)

    def full(*args, **kwargs):
        raise OSError("No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError):
        patched.setattr(keras.Model, "save", full)
        run_example("segmentation", *flags)
    assert len(list((tmp_path / "backup").iterdir())) == 2
    with monkeypatch.context() as patched, pytest.raises(OSError):
        patched.setattr(keras.Model, "evaluate", full)
        output = run_example("segmentation", *flags)
        assert "Epoch" not in output  # it goes on after the last one
    assert (tmp_path / "out" / "compact.keras").exists()
    assert not (tmp_path / "backup").exists()


@pytest.mark.slow
def test_images_that_are_trained_on_and_evaluated_are_told(tmp_path):
    flags = small_example(tmp_path, "--train=both")
    lists = next(tmp_path.rglob("ImageSets")) / "Segmentation"
    names = [(lists / f"{each}.txt").read_text() for each in ("train", "val")]
    (lists / "both.txt").write_text("".join(names))
    output = run_example("segmentation", *flags)
    assert "WARNING: 4 of the 4 images that are evaluated" in output


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--backbone=x.keras"], "--model=deeplab_v3. Received: --model=unet"),
        (["--backbone=x.keras", "--model=deeplab_v3"], "no such file"),
        (
            [
                "--backbone=x.keras",
                "--model=deeplab_v3",
                "--networks=narrow,grown",
            ],
            "no uniformly narrow network",
        ),
        (["more"], "flags alone"),
        (["--size=20", "--batch_size=2"], "largest one: 24"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(folder, flags, message):
    with pytest.raises(app.UsageError, match=message):
        run_example("segmentation", f"--data={folder}", *flags)


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--networks=wide", "some of full, narrow and grown"),
        ("--batch_size=99", "more than the"),
    ],
)
def test_flags_that_cannot_be_are_refused(folder, flag, message):
    errors = app.UsageError, flags.IllegalFlagValueError
    with pytest.raises(errors, match=message):
        run_example("segmentation", f"--data={folder}", "--size=32", flag)
