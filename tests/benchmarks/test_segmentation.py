"""Every method of the benchmark, on a few tiny images."""

import dataclasses

import methods
import numpy as np
import pytest
import segmentation_task
import timing

from tests.benchmarks.devices import multiply_adds_as_time
from tests.examples import small_images


@pytest.fixture
def task(tmp_path, monkeypatch):
    folder = small_images.write(tmp_path, (16, 16), train=40, val=6)
    preset = dataclasses.replace(
        segmentation_task.PRESETS["smoke"],
        image_size=8,
        levels=1,
        examples=30,
        batch_size=10,
    )
    monkeypatch.setitem(segmentation_task.PRESETS, "smoke", preset)
    task = segmentation_task.SegmentationTask("smoke", folder)
    task.profile = multiply_adds_as_time(block=1)
    return task


def test_images_are_averaged_and_masks_keep_their_classes(task):
    for (images, masks), count in (
        (task.train_data, 30),
        (task.validation_data, 10),
        (task.test_data, 6),
    ):
        assert images.shape == (count, 8, 8, 3)
        assert masks.shape == (count, 8, 8)
        assert set(np.unique(masks)) <= {0, 1, 2, 255}
        red = images[..., 0] - images[..., 2]
        assert np.mean(red[masks == 1]) > 0.8 > -0.8 > np.mean(red[masks == 2])


def test_what_moves_in_from_outside_is_void(task):
    originals = [int(np.sum(mask == 255)) for mask in task.train_data[1]]
    batches = list(task.batches(0))
    assert len(batches) == 3
    masks = np.concatenate([masks for _, masks in batches])
    images = np.concatenate([images for images, _ in batches])
    assert masks.dtype == np.uint8
    assert set(np.unique(masks)) <= {0, 1, 2, 255}
    # Zeros move in beside the image, as void beside its mask.
    outside = np.all(images == 0, axis=-1)
    assert outside.any() and np.all(masks[outside] == 255)
    assert np.sum(masks == 255) > sum(originals) / 2


@pytest.mark.parametrize(
    "name",
    [
        "grown",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("slimming", "grown_in_less_time")
        ),
    ],
)
def test_methods_meet_the_budget_and_account_for_their_training(task, name):
    cell = methods.METHODS[name](task, 0)
    if name in methods.IN_TIME:
        time, final = task.profile.milliseconds, cell["phases"][-1][1]
        network = task.plain(task.structure(final))
        assert time(network) <= 0.72 * time(task.plain())
    else:
        assert cell["flops"] <= 0.5
    assert 0 <= cell["miou"] <= 100 and 0 <= cell["validation_miou"] <= 100
    assert 0.2 < cell["training_flops"] < 1
    times = timing.time_cell(task, cell)
    expected = {"step", "training", "tensorflow", "litert", "predicted"}
    assert set(times) == expected
    assert all(0.02 < value < 50 for value in times.values())


def test_mean_iou_is_that_of_all_images_together(task):
    class Answers:
        """Answers the truth, but for one image."""

        def predict_on_batch(self, images):
            masks = task.test_data[1] if len(images) == 6 else None
            if masks is None:
                masks = task.validation_data[1]
            masks = np.where(masks == 255, 0, masks).copy()
            if len(images) == 6:
                masks[0] = 0
            return np.eye(3)[masks]

    found = task.accuracies(Answers())
    assert found["validation_miou"] == pytest.approx(100)
    masks = task.test_data[1]
    known, missed = masks[masks != 255], masks[0][masks[0] == 1]
    ones, zeros = np.sum(known == 1), np.sum(known == 0)
    expected = [
        zeros / (zeros + len(missed)),
        (ones - len(missed)) / ones,
        1.0,
    ]
    assert found["miou"] == pytest.approx(100 * np.mean(expected), rel=1e-5)
