import re

import keras
import numpy as np
import pytest

import keras_growprune as kgp
from tests.examples.running import run_example


def run(tmp_path, *flags):
    return run_example("image_classification", f"--output={tmp_path}", *flags)


RESNET = ("--model=resnet8", "--measure=flops", "--width=0.25")


def test_main_job_prints_the_table_and_writes_what_it_trained(tmp_path):
    output = run(
        tmp_path, *RESNET, "--epochs=3", "--budget=0.4", "--batch_size=32"
    )
    rows = re.findall(
        r"^(full|uniformly narrow|grown) .*?([\d.]+)%.*?\(([\d.]+)\)",
        output,
        re.MULTILINE,
    )
    assert [row[0] for row in rows] == ["full", "uniformly narrow", "grown"]
    assert float(rows[0][2]) == 1
    assert all(float(row[2]) <= 0.4 for row in rows[1:])
    assert all(float(row[1]) > 20 for row in rows)  # chance is 10
    assert len(re.findall(r"^epoch +\d", output, re.MULTILINE)) == 3
    assert "settled, budget Budget(flops=0.4)" in output
    compact = keras.models.load_model(tmp_path / "compact.keras")
    assert np.isfinite(compact.predict(np.zeros((1, 8, 8, 1)), verbose=0)).all()
    assert (tmp_path / "saved_model" / "saved_model.pb").exists()


@pytest.mark.slow
def test_main_job_grows_a_vgg_of_several_seeds(tmp_path):
    output = run(
        tmp_path,
        "--epochs=2",
        "--examples=300",
        "--width=0.125",
        "--seeds=2",
        "--skips",
    )
    assert output.count("settled, budget Budget(params=0.05)") == 2
    row = re.search(r"^grown .*% \+- [\d.]+ .*\((0.0[345])\) ", output, re.M)
    assert row is not None
    assert "means of 2 seeds" in output


@pytest.mark.slow
def test_main_job_runs_under_the_papers_rule_and_a_parameter_budget(tmp_path):
    output = run(
        tmp_path,
        "--epochs=2",
        "--examples=300",
        "--rule=paper",
        "--model=resnet8",
        "--width=0.25",
        "--budget=0.5",
        "--learning_rate=0.02",
    )
    assert "settled, budget Budget(params=0.5)" in output


@pytest.mark.slow
def test_main_job_runs_under_a_budget_of_time(tmp_path):
    kgp.DeviceProfile(
        {"convolution": (50.0, 10.0, 0.0, 0.01)}, block=8, runtime="litert"
    ).save(tmp_path / "device.json")
    output = run(
        tmp_path,
        *RESNET,
        "--budget=0.5",
        "--epochs=2",
        "--examples=300",
        "--measure=latency",
        f"--profile={tmp_path / 'device.json'}",
        "--augment",
        "--decay=steps",
    )
    assert "settled, budget Budget(latency=0.5, profile=" in output
    assert re.search(r"predicted time: .* of .* ms \(4\d\.\d%\), li", output)


@pytest.mark.slow
@pytest.mark.parametrize(
    "runtime, batch", [("litert", 1), ("tensorflow-train", 64)]
)
def test_main_job_measures_what_it_bounds(runtime, batch, tmp_path):
    output = run(
        tmp_path,
        *RESNET,
        "--epochs=1",
        "--examples=100",
        "--width=0.5",
        "--measure=latency",
        # Two seconds on a loaded machine may say that nothing saves time.
        "--budget=1.0",
        f"--runtime={runtime}",
        "--measuring_seconds=2",
    )
    lines = output[
        output.index(f"milliseconds with {runtime}, batch {batch}") :
    ]
    for name in ("full", "grown"):
        assert re.search(
            rf"^{name} +predicted .*%\)  measured .*%\)", lines, re.MULTILINE
        )
