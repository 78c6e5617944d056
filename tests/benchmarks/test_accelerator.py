"""The benchmark that PyTorch trains: costs, structures, weights."""

import dataclasses
import json
import pickle
import subprocess
import sys

import accelerator
import numpy as np
import pytest
from pytorch_witness import experiments
from pytorch_witness import networks
from pytorch_witness.library import SaliencyRule

BUILDERS = {
    "resnet": lambda: networks.resnet(8, 0.25),
    "vgg16": lambda: networks.vgg16(0.05),
    "wide_resnet": lambda: networks.wide_resnet(16, 1, 0.25),
}


@pytest.fixture(params=list(BUILDERS))
def network(request):
    return BUILDERS[request.param]()


def random_structure(network, seed):
    random = np.random.default_rng(seed)
    units = np.zeros(sum(network.sizes), bool)
    for part in network.slices():
        size = part.stop - part.start
        count = random.integers(1, size + 1)
        units[part.start + random.permutation(size)[:count]] = True
    gates = random.random(len(network.gate_kinds)) < 0.5
    return units, gates


def widths_of(network, units):
    return [np.count_nonzero(units[part]) for part in network.slices()]


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("resnet", {"depth": 20, "width": 0.5}),
        ("vgg16", {"width": 0.25, "skips": False}),
        ("wide_resnet", {"depth": 16, "widening": 2}),
    ],
)
def test_costs_are_those_of_the_librarys_networks(name, arguments):
    pytest.importorskip("keras")
    kgp = pytest.importorskip("keras_growprune")
    model = kgp.GrowPruneModel(
        *getattr(kgp.models, name)(**arguments), kgp.Budget(flops=0.5), seed=0
    )
    arguments.pop("skips", None)
    network = getattr(networks, name)(**arguments)
    assert [group.size for group in model.groups] == network.sizes
    channel_map = model._growth.blueprint.map
    for ours, theirs in (
        (network.flops(), kgp.cost.FlopsCost(channel_map)),
        (network.parameters(), kgp.cost.ParameterCost(channel_map)),
    ):
        assert ours.full == theirs.full
        for seed in range(5):
            units, gates = random_structure(network, seed)
            widths = widths_of(network, units)
            assert ours(widths, gates) == theirs(widths, gates)


@pytest.mark.parametrize(
    "name, millions", [("resnet20", 41), ("resnet56", 126), ("vgg16", 313)]
)
def test_networks_are_those_of_the_papers(name, millions):
    cost = networks.NETWORKS[name]().flops()
    assert round(cost.full / 1e6) == millions


@pytest.mark.slow
def test_trains_in_processes_of_its_own(tmp_path):
    pytest.importorskip("torch")
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "images.npz",
        x_train=random.integers(0, 256, (128, 32, 32, 3)).astype("uint8"),
        y_train=np.arange(128) % 10,
        x_test=random.integers(0, 256, (20, 32, 32, 3)).astype("uint8"),
        y_test=np.arange(20) % 10,
    )
    results = tmp_path / "rows.jsonl"
    command = [
        sys.executable,
        accelerator.__file__,
        "--networks=resnet20",
        "--methods=narrow",
        "--seeds=0",
        "--epochs=1",
        f"--data={tmp_path / 'images.npz'}",
        f"--results={results}",
        "--side_by_side=2",
    ]
    for _ in range(2):  # the second time there is nothing left to train
        subprocess.run(command, check=True, capture_output=True)
    rows = accelerator.read(results)
    assert sorted(row["budget"] for row in rows) == [0.25, 0.5]
    assert rows[0]["versions"]["device"]


def test_finished_jobs_are_not_trained_again():
    jobs = experiments.jobs_of("resnet20", ["full", "grown"], [0, 1])
    assert [(job.method, job.budgets, job.seed) for job in jobs] == [
        ("full", (None,), 0),
        ("full", (None,), 1),
        ("grown", (0.5,), 0),
        ("grown", (0.5,), 1),
        ("grown", (0.25,), 0),
        ("grown", (0.25,), 1),
    ]
    names = "network", "method", "measure", "budget", "seed", "epochs"
    rows = [
        dict(zip(names, key))
        for job in jobs[:3]
        for key in experiments.keys_of(job)
    ]
    left = experiments.jobs_of(
        "resnet20", ["full", "grown"], [0, 1], None, rows
    )
    assert left == jobs[3:]
    # One of the two networks of a job is there: the other one is trained.
    left = experiments.jobs_of("resnet20", ["grown"], [0], None, rows[:-1])
    assert [job.budgets for job in left] == [(0.5,), (0.25,)]
    assert [job.found for job in left] == [rows[-2], None]


# From here on with PyTorch.


@pytest.fixture
def images():
    torch = pytest.importorskip("torch")
    from pytorch_witness import data

    torch.set_num_threads(1)
    random = np.random.default_rng(0)

    def draw(count):
        shape = (count, 32, 32, 3)
        images = random.integers(0, 256, shape).astype("uint8")
        return images, random.integers(0, 10, count)

    return data.Images((draw(64), draw(24)), "cpu", torch.float32)


def make_training(network, images, seed=0):
    from pytorch_witness.training import Training

    return Training(network, images, seed, batch_size=16)


def step(training, count=2):
    training.start_phase(0.05, 4)
    training.start_epoch()
    for _ in training.run(count):
        pass


def outputs(training, images):
    """Logits with the statistics of this batch, as in training."""
    import torch

    compact = training.compact
    saved = compact.means.clone(), compact.variances.clone()
    ((x, _),) = images.test_batches()
    with torch.no_grad():
        result = training.logits(x, training=True).numpy()
    compact.means.copy_(saved[0])
    compact.variances.copy_(saved[1])
    return result


def plant(network, images, keep_gates=True):
    """A trained network that lacks some units, maybe some branches."""
    training = make_training(network, images)
    units, gates = random_structure(network, 1)
    training.set_structure(units, gates | keep_gates)
    step(training)
    return training, units, gates | keep_gates


def test_newcomers_do_not_change_the_function(network, images):
    training, _, gates = plant(network, images)
    before = outputs(training, images)
    everything = np.ones(sum(network.sizes), bool)
    training.set_structure(everything, gates)
    after = outputs(training, images)
    np.testing.assert_allclose(after, before, atol=1e-5)
    assert np.abs(before).max() > 0.1
    # They learn: nothing stays at zero.
    step(training)
    kernel = training.store.values["kernel", len(network.convolutions) - 1]
    training.write_back()
    assert (kernel.abs().sum((0, 1, 2)) > 0).all()


def test_a_new_branch_starts_as_nothing(images):
    for name in ("resnet", "wide_resnet"):
        network = BUILDERS[name]()
        training, units, gates = plant(network, images, keep_gates=False)
        gates = np.zeros_like(gates)
        training.set_structure(units, gates)
        step(training)
        before = outputs(training, images)
        training.write_back()
        for gate in range(len(gates)):
            training.store.silence(gate)
        training.set_structure(units, ~gates)
        np.testing.assert_allclose(outputs(training, images), before, atol=1e-5)


def test_what_fills_up_blocks_stays_zero(network, images):
    training, units, _ = plant(network, images)
    step(training, 3)
    compact = training.compact
    *_, gammas, betas, _ = compact.theta.split(compact.parts)
    fills = compact.norm_units == len(units)
    assert fills.any()
    assert (gammas[fills] == 0).all() and (betas[fills] == 0).all()
    kernels = compact.theta.split(compact.parts)[0]
    for index, shape, kernel in zip(
        compact.convolutions,
        compact.kernel_shapes,
        kernels.split(compact.kernel_sizes),
    ):
        each = network.convolutions[index]
        width = widths_of(network, units)[each.outputs]
        assert (kernel.view(shape)[width:] == 0).all()
        assert (kernel.view(shape)[:width] != 0).any()


def test_same_structure_again_changes_no_bit(network, images):
    training, units, gates = plant(network, images)
    theta = training.compact.theta.detach().clone()
    momentum = training.compact.momentum.clone()
    assert momentum.abs().max() > 0
    training.set_structure(units, gates)
    assert (training.compact.theta == theta).all()
    assert (training.compact.momentum == momentum).all()


def test_units_that_come_back_have_their_weights(network, images):
    training, units, gates = plant(network, images)
    before = outputs(training, images)
    fewer = units & network.units([1] * len(network.sizes))
    for part in network.slices():
        if not fewer[part].any():
            fewer[part.start + np.flatnonzero(units[part])[0]] = True
    training.set_structure(fewer, gates)
    training.set_structure(units, gates)
    np.testing.assert_array_equal(outputs(training, images), before)


def test_measures_the_derivative_by_a_factor_on_a_unit(network, images):
    """Against that by explicit factors on units and branches."""
    from pytorch_witness.training import SoftGates

    class Factors(SoftGates):
        def presence(self):
            return self.logits

    training, units, gates = plant(network, images)
    training.measures = True
    training.soft = Factors(np.ones(len(units) + len(gates)), "cpu")
    training.reset_sums()
    step(training, 1)
    (total, squares), (gate_total, gate_squares) = training.sums()
    expected = training.soft.momentum.numpy()  # the gradient of one step
    total = np.append(total, gate_total)
    np.testing.assert_allclose(total, expected, rtol=1e-3, atol=1e-6)
    squares = np.append(squares, gate_squares)
    np.testing.assert_allclose(squares, expected**2, rtol=1e-3, atol=1e-8)
    assert (total[: len(units)][~units] == 0).all()
    assert (total[: len(units)][units] != 0).mean() > 0.5
    assert (gate_total != 0).all()
    # A unit whose scale and offset are zero is the one that measures zero.
    training.soft = None
    training.write_back()
    unit = np.flatnonzero(units)[0]
    factors = np.where(np.arange(len(units)) == unit, 0.0, 1.0)
    training.store.fold(factors, np.ones(len(gates)), gates)
    training.reload()
    training.reset_sums()
    step(training, 1)
    (total, _), _ = training.sums()
    assert total[unit] == 0
    assert (total[units] != 0).sum() > 1


def job_of(method, measure, budgets):
    return experiments.Job("tiny", method, measure, budgets, 4, 0)


@pytest.fixture
def run(network, images, request, monkeypatch):
    from pytorch_witness import methods

    build = BUILDERS[request.node.callspec.params["network"]]
    monkeypatch.setitem(networks.NETWORKS, "tiny", build)
    monkeypatch.setattr(methods, "BATCH_SIZE", 16)

    def rows_of(job):
        rows = methods.METHODS[job.method](job, images)
        return [row for row in rows if row is not None]

    return rows_of


@pytest.mark.parametrize(
    "method", ["grown", "pruned", "paper", "l1_pruning", "slimming", "narrow"]
)
@pytest.mark.parametrize("measure", ["flops", "params"])
def test_lands_under_the_budget(network, run, method, measure):
    (row,) = [
        row
        for row in run(job_of(method, measure, (0.5,)))
        if row["method"] == method
    ]
    assert row[measure] <= 0.5 + 1e-4  # rounded
    assert row["trained_epochs"] == len(row["losses"]) == 4
    cost = network.flops()
    widths, gates = row["widths"], np.array(row["gates"], bool)
    assert row["flops"] == pytest.approx(
        cost(widths, gates) / cost.full, abs=1e-4
    )
    if method in ("grown", "pruned"):  # nothing further would fit
        bound = getattr(
            network, {"flops": "flops", "params": "parameters"}[measure]
        )()
        for group, size in enumerate(network.sizes):
            wider = np.array(widths)
            wider[group] += 1
            if wider[group] <= size:
                assert bound(wider, gates) >= 0.5 * bound.full


def test_training_flops_are_those_of_the_schedule(run, network):
    (long,) = run(job_of("grown_long", "flops", (0.5,)))
    assert long["trained_epochs"] == round(4 / 0.5425)
    # As many as the full network's four epochs, as far as widths are coarse.
    assert long["training_flops"] == pytest.approx(1.0, abs=0.25)


def test_from_scratch_trains_the_structure_that_was_found(run):
    grown, scratch, *_ = run(job_of("grown", "flops", (0.5,)))
    assert scratch["method"] == "grown_from_scratch"
    assert scratch["widths"] == grown["widths"]
    assert scratch["gates"] == grown["gates"]
    assert scratch["training_flops"] == pytest.approx(grown["flops"], abs=1e-3)
    assert scratch["losses"] != grown["losses"]
    job = dataclasses.replace(job_of("grown", "flops", (0.5,)), found=grown)
    again, *_ = run(job)  # only what is missing
    assert again["method"] == "grown_from_scratch"
    assert again["losses"] == scratch["losses"]


def test_the_papers_rule_folds_its_factors(network, images):
    """The function is the same before and after, with all its units."""
    from pytorch_witness.growing import Growing
    from pytorch_witness.library import GrowthSchedule
    from pytorch_witness.library import PaperRule

    training = make_training(network, images)
    growing = Growing(
        training,
        PaperRule(),
        GrowthSchedule(1.0, 1.0, 0.0, 0.5),
        network.flops(),
        network.flops().full,
        4,
        seed=0,
    )
    growing.begin_period()
    step(training)
    before = outputs(training, images)
    hard, training.soft = training.soft, None
    assert np.abs(outputs(training, images) - before).max() > 1e-3
    training.soft = hard
    growing._fold()
    training.soft = None
    np.testing.assert_allclose(outputs(training, images), before, atol=1e-4)


def test_landing_on_the_same_structure_keeps_what_was_learned(network, images):
    from pytorch_witness.growing import Growing
    from pytorch_witness.library import GrowthSchedule

    training = make_training(network, images)
    growing = Growing(
        training,
        SaliencyRule(),
        GrowthSchedule(1.0, 1.0, 0.0, 0.5),
        network.flops(),
        network.flops().full,
        2,
        seed=0,
    )
    growing.begin_period()
    step(training)
    growing.end_period(2)
    theta = training.compact.theta.detach().clone()
    units = growing.state.units.copy()
    growing.begin_period()
    assert growing.state.settled and not training.measures
    assert (growing.state.units == units).all()
    assert (training.compact.theta == theta).all()


def test_reads_the_usual_files(tmp_path):
    pytest.importorskip("torch")
    from pytorch_witness import data

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (12, 32, 32, 3)).astype("uint8")
    labels = np.arange(12) % 10
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    for i, name in enumerate(names):
        part = slice(2 * i, 2 * i + 2)
        flat = images[part].transpose(0, 3, 1, 2).reshape(2, -1)
        content = {b"data": flat, b"labels": labels[part].tolist()}
        (folder / name).write_bytes(pickle.dumps(content))
    np.savez(
        tmp_path / "images.npz",
        x_train=images[:10],
        y_train=labels[:10, np.newaxis],
        x_test=images[10:],
        y_test=labels[10:, np.newaxis],
    )
    for source in (tmp_path, folder, tmp_path / "images.npz"):
        train, test = data.load(source)
        np.testing.assert_array_equal(train[0], images[:10])
        np.testing.assert_array_equal(train[1], labels[:10])
        np.testing.assert_array_equal(test[0], images[10:])
        np.testing.assert_array_equal(test[1], labels[10:])
        assert len(data.load(source, 3)[0][1]) == 3


def test_augmented_images_are_shifted_ones(images):
    import torch

    buffer = images.buffer()
    images.augment(buffer, torch.Generator().manual_seed(0))
    assert (buffer[..., 3:] == 0).all()
    for index in range(3):
        bordered = images._bordered[index]
        candidates = [
            part
            for top in range(9)
            for left in range(9)
            for window in [bordered[top : top + 32, left : left + 32]]
            for part in (window, window.flip(1))
        ]
        assert any(
            (buffer[index, ..., :3] == each).all() for each in candidates
        )


def test_rules_come_without_keras():
    """Whichever of Keras and PyTorch there is, it is the library's rule."""
    assert SaliencyRule.__module__ == "keras_growprune.growth.saliency_rule"


def test_table_compares_with_the_narrow_network_seed_by_seed():
    from pytorch_witness import report

    def row(method, seed, accuracy, budget=0.5):
        costs = dict(flops=0.5, params=0.4, training_flops=0.45)
        return dict(
            network="resnet20",
            method=method,
            measure="flops",
            budget=budget,
            seed=seed,
            trained_epochs=30,
            accuracy=accuracy,
            loss=0.1,
            **costs,
        )

    rows = [
        row("grown", 1, 91.0),
        row("narrow", 0, 89.0),
        row("grown", 0, 90.0),
        row("narrow", 1, 90.5),
        row("full", 0, 92.0, None),
    ]
    _, _, full, narrow, grown, *published = report.table(rows).splitlines()
    assert full.startswith("| ResNet-20 | full |  | 92.00 | 92.00 |  |")
    assert " | 0.5 FLOPs | 89.00 90.50 | 89.75 ± 1.06 |  |" in narrow
    assert " 90.00 91.00 | 90.50 ± 0.71 | +0.75 ± 3.18 |" in grown
    assert all("published" in line for line in published)


def test_rows_are_json(run):
    (row,) = run(job_of("full", "flops", (None,)))
    assert json.loads(json.dumps(row)) == row
    job = job_of("full", "flops", (None,))
    assert [experiments.key_of(row)] == experiments.keys_of(job)
    assert dataclasses.replace(job, seed=1) != job
