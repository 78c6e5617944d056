import csv
import json

import pytest
import tensorflow as tf
from absl import app

import keras_growprune as kgp
from tests.examples.running import run_example


def run(*flags):
    return run_example("device_timings", *flags)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phone") / "timings"
    run(f"--write={folder}", "--count=6", "--batch_size=2")
    return folder


def test_the_files_run_and_the_table_names_them(folder):
    names = sorted(path.name for path in folder.glob("*.tflite"))
    assert names == [f"{index:02}.tflite" for index in range(6)]
    table = (folder / "times.csv").read_text().splitlines()
    assert table == ["file,milliseconds", *(f"{name}," for name in names)]
    interpreter = tf.lite.Interpreter(str(folder / names[3]))
    interpreter.allocate_tensors()
    (details,) = interpreter.get_input_details()
    assert list(details["shape"]) == [2, 32, 32, 3]


def test_a_profile_is_fitted_to_the_times_that_were_filled_in(folder, tmp_path):
    phone = kgp.DeviceProfile(
        {"convolution": (3.0, 20.0, 0.0, 0.01)}, block=4, constant=0.5
    )
    networks = json.loads((folder / "networks.json").read_text())["networks"]
    filled = tmp_path / "filled"
    filled.mkdir()
    (filled / "networks.json").write_bytes(
        (folder / "networks.json").read_bytes()
    )
    with open(filled / "times.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "milliseconds"])
        for name, layers in networks.items():
            milliseconds = phone.constant + sum(
                phone.layer_milliseconds(kgp.devices.LayerWork.from_dict(layer))
                for layer in layers
            )
            writer.writerow([name, milliseconds])
    target = tmp_path / "phone.json"
    run(f"--fit={filled}", f"--profile={target}")
    profile = kgp.DeviceProfile.load(target)
    assert (profile.runtime, profile.batch_size) == ("litert", 2)
    model = kgp.GrowPruneModel(
        *kgp.models.resnet(depth=20), kgp.Budget(flops=0.5)
    )
    full = model.untrained()
    assert profile.milliseconds(full) == pytest.approx(
        phone.milliseconds(full), rel=0.05
    )


def test_times_are_never_overwritten(folder):
    with pytest.raises(app.UsageError, match="is there already"):
        run(f"--write={folder}")


@pytest.mark.parametrize(
    "table, message",
    [
        ("", "must have the columns"),
        ("file;milliseconds\n00.tflite;1.5\n", "with a comma"),
        ("file,milliseconds\n00.tflite,\n", "times of 0 networks"),
        ("file,milliseconds\n00.tflite,1.5 ms\n", "line 2.*'1.5 ms'"),
        ('file,milliseconds\n00.tflite,"1,5"\n', "line 2.*'1,5'"),
        ("file,milliseconds\n00.tflite,1\nx.tflite,2\n", "line 3.*'x.tflite'"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(
    table, message, folder, tmp_path
):
    (tmp_path / "networks.json").write_bytes(
        (folder / "networks.json").read_bytes()
    )
    (tmp_path / "times.csv").write_text(table)
    with pytest.raises(app.UsageError, match=message):
        run(f"--fit={tmp_path}")


def test_a_spreadsheet_may_mark_the_table_as_unicode(folder, tmp_path):
    (tmp_path / "networks.json").write_bytes(
        (folder / "networks.json").read_bytes()
    )
    rows = "".join(f"{i:02}.tflite,{i + 1}\n" for i in range(6))
    (tmp_path / "times.csv").write_text(
        "file,milliseconds\n" + rows, encoding="utf-8-sig"
    )
    target = tmp_path / "phone.json"
    run(f"--fit={tmp_path}", f"--profile={target}")
    assert target.exists()
