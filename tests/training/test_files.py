"""What is in files: versions of the format, other networks, damage."""

import errno
import json
import pathlib
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import keras_growprune as kgp
from tests.networks import assert_same_bits
from tests.networks import build_optimizer
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import mark_as_lived
from tests.networks import random_structure
from tests.networks import randomize
from tests.networks import with_units

FILES = pathlib.Path(__file__).parent / "files"
SCHEDULE = kgp.GrowthSchedule(0.3, 0.9, 0.3, 0.7)


class Unknown(layers.Layer):
    """A layer whose channels nobody follows."""

    def call(self, inputs):
        return inputs


def stored_network(unknown=()):
    """The network of the stored files.

    Args:
        unknown: Where a version of the library that knows fewer layers would
            lose track of channels: `"before"` or `"behind"` the inner layer.
    """
    inputs = keras.Input((4,), name="inputs")
    x = kgp.layers.GrowableDense(6, name="stem")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    y = Unknown(name="before")(x) if "before" in unknown else x
    y = kgp.layers.GrowableDense(5, activation="relu", name="inner")(y)
    y = Unknown(name="behind")(y) if "behind" in unknown else y
    y = kgp.layers.GrowableDense(6, name="outer")(y)
    x = kgp.layers.GatedAdd(name="sum")([x, y])
    return inputs, layers.Dense(3, name="head")(x)


def grown(network=stored_network, seed=0, **kwargs):
    """A model as in the middle of its growth, with weights and slots."""
    model = grow(network(), schedule=SCHEDULE, seed=seed, **kwargs)
    build_optimizer(model, keras.optimizers.Adam(0.01))
    random = np.random.default_rng(seed)
    randomize(model, random)
    mark_as_lived(model)
    model.restructure(random_structure(model, random))
    return model


def weights_of(path, folder):
    """The `.weights.h5` file that is inside a `.keras` file."""
    with zipfile.ZipFile(path) as file:
        content = file.read("model.weights.h5")
    (folder / "some.weights.h5").write_bytes(content)
    return folder / "some.weights.h5"


def everything(model):
    """All that a refused load must leave as it was."""
    optimizer = model.optimizer.variables if model.compiled else []
    return [
        model.structure.units,
        model.structure.gates,
        *(v.numpy() for v in [*model.variables, *optimizer]),
        model(examples(model)[0]),
    ]


def rewrite(path, change):
    """Changes the entries of growing in a `.weights.h5` file."""
    with h5py.File(path, "r+") as file:
        entries = {key: np.array(file["vars"][key]) for key in file["vars"]}
        for key in entries:
            del file["vars"][key]
        for key, value in change(entries).items():
            file["vars"][key] = value


def table(entries, **changes):
    """The table of contents, changed, as an entry."""
    old = json.loads(bytes(entries["contents"]))
    text = json.dumps({**old, **changes}).encode()
    return np.frombuffer(text, dtype="uint8")


# Versions


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", ["unversioned", "version_1"])
@pytest.mark.parametrize("weights_only", [False, True])
def test_files_of_all_versions_load(name, weights_only, tmp_path):
    path = FILES / f"{name}.keras"
    if weights_only:
        model = kgp.GrowPruneModel(
            *stored_network(), kgp.Budget(flops=0.6), SCHEDULE, seed=0
        )
        compile_model(model, keras.optimizers.Adam(0.01))
        model.optimizer.build(model.optimizer_variables())
        model.load_weights(weights_of(path, tmp_path))
    else:
        model = keras.models.load_model(path)
    expected = json.loads((FILES / "expected.json").read_text())
    assert model.structure.units.tolist() == [
        bool(u) for u in expected["units"]
    ]
    assert model.structure.gates.tolist() == [
        bool(g) for g in expected["gates"]
    ]
    assert int(model.optimizer.iterations.numpy()) == expected["iterations"]
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    np.testing.assert_allclose(model(x), expected["outputs"], atol=1e-5)
    more = fit(model, epochs=10, initial_epoch=4, growth_epochs=10)
    assert more["settled"][-1] == 1 and len(model.ledger.epochs) == 10


def test_entries_have_names_that_another_version_finds(tmp_path):
    grown().save_weights(tmp_path / "some.weights.h5")
    with h5py.File(tmp_path / "some.weights.h5") as file:
        entries = {key: np.array(file["vars"][key]) for key in file["vars"]}
    contents = json.loads(bytes(entries["contents"]))
    assert contents["version"] == 1
    assert contents["groups"] == [["stem", 6], ["inner", 5]]
    assert contents["gates"] == ["sum"]
    assert {"weight.stem.kernel", "drawn.outer.kernel"} <= set(entries)
    assert entries["slot._momentums.norm.gamma"].shape == (6,)


def test_names_differ_where_layers_inside_others_have_the_same(tmp_path):
    inputs = keras.Input((3, 4))
    inner = kgp.layers.GrowableDense(5, name="same")
    x = layers.TimeDistributed(inner, name="outside")(inputs)
    x = kgp.layers.GrowableDense(6, name="same")(x)
    x = kgp.layers.GrowableDense(7, name="outside.same")(x)
    outputs = layers.Dense(3)(layers.GlobalAveragePooling1D()(x))
    model = grow((inputs, outputs))
    model.restructure(kgp.Structure(np.ones(18, bool), []))
    whole = [v.numpy() for v in model.weights]
    model.restructure(with_units(model, [1], [2], [3]))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.structure == model.structure
    again.restructure(kgp.Structure(np.ones(18, bool), []))
    assert_same_bits(whole, again.weights)


def test_units_are_found_by_name_in_another_order(tmp_path):
    path = tmp_path / "some.weights.h5"
    model = grown(lambda: dense((6, 5)))
    saved = model._growth.state.saliency = np.arange(11.0)
    model.save_weights(path)

    def swap(entries):
        contents = json.loads(bytes(entries["contents"]))
        order = [*range(6, 11), *range(6)]
        for key, value in entries.items():
            if key.startswith("state.") and value.shape == (11,):
                entries[key] = value[order]
        entries["contents"] = table(
            entries, groups=contents["groups"][::-1], checksum=None
        )
        return entries

    rewrite(path, swap)
    with pytest.raises(ValueError, match="damaged: its checksum"):
        model.load_weights(path)
    restore_checksum(path)
    structure = model.structure
    model.restructure(kgp.Structure(np.ones(11, bool), structure.gates))
    model.load_weights(path)
    assert model.structure == structure
    np.testing.assert_array_equal(model._growth.state.saliency, saved)


def restore_checksum(path):
    from keras_growprune.training.saving import file_format

    def change(entries):
        checksum = file_format.checksum(entries)
        return {**entries, "contents": table(entries, checksum=checksum)}

    rewrite(path, change)


def without_inner(entries):
    """The entries of a version that knows nothing of the inner layer."""
    weights = json.loads(bytes(entries["contents"]))["weights"]
    weights = [each for each in weights if "inner" not in each[0]]
    entries = {k: v for k, v in entries.items() if "inner" not in k}
    return {**entries, "contents": table(entries, weights=weights)}


@pytest.mark.parametrize("knows_inner", [True, False])
def test_a_group_that_an_older_version_did_not_find_is_at_full_width(
    knows_inner, tmp_path
):
    path = tmp_path / "some.weights.h5"
    unknown = ["behind"] if knows_inner else ["before", "behind"]
    older = grown(lambda: stored_network(unknown))
    older.restructure(kgp.Structure(older.structure.units, [True]))
    assert "inner" not in older.widths
    older.save_weights(path)
    if not knows_inner:
        rewrite(path, without_inner)
        restore_checksum(path)
    newer = grown(seed=1)
    newer.load_weights(path)
    assert newer.widths == {"stem": 6, "inner": 5, **older.widths}
    x, _ = examples(older)
    np.testing.assert_array_equal(newer(x), older(x))
    slots = older.optimizer.variables, newer.optimizer.variables
    assert_same_bits(*slots)
    # All units of the group count as lived: those that leave come back.
    units = newer.structure.units.copy()
    units[-2:] = False
    all_of_it = newer.structure
    newer.restructure(kgp.Structure(units, all_of_it.gates))
    newer.restructure(all_of_it)
    np.testing.assert_array_equal(newer(x), older(x))
    assert fit(newer, epochs=3)["settled"][-1] == 1


def test_a_group_that_a_newer_version_does_not_find_must_be_full(tmp_path):
    path = tmp_path / "some.weights.h5"
    older = grown()
    newer = grown(lambda: stored_network(["behind"]), seed=1)
    units = np.ones(11, bool)
    older.restructure(kgp.Structure(units, [True]))
    older.save_weights(path)
    newer.load_weights(path)
    x, _ = examples(older)
    np.testing.assert_array_equal(newer(x), older(x))
    units[-1] = False
    older.restructure(kgp.Structure(units, [True]))
    older.save_weights(path)
    with pytest.raises(ValueError, match="a part of `inner`"):
        newer.load_weights(path)


def test_a_newer_format_is_refused(tmp_path):
    path, model = tmp_path / "some.weights.h5", grown()
    model.save_weights(path)
    change = lambda e: {**e, "contents": table(e, version=2)}  # noqa: E731
    rewrite(path, change)
    before = everything(model)
    with pytest.raises(ValueError, match="format 1 or older.*format 2.*pip"):
        model.load_weights(path)
    assert_same_bits(before, everything(model))
    config = {**model.get_config(), "file_format": 2, "unheard": "of"}
    with pytest.raises(ValueError, match="format 2.*pip install"):
        kgp.GrowPruneModel.from_config(config)


# Other files


@pytest.mark.parametrize(
    "network,told",
    [
        (lambda: conv_chain((4, 5)), "9 units.*Received: 8 units"),
        (lambda: conv_chain((5, 4)), "Expected.*Received"),
        (lambda: conv_chain((4, 4), norm=False), "weights"),
    ],
)
def test_a_file_of_another_network_changes_nothing(network, told, tmp_path):
    path = tmp_path / "some.weights.h5"
    grown(lambda: conv_chain((4, 4))).save_weights(path)
    model = grown(network)
    before = everything(model)
    with pytest.raises(ValueError, match=told) as refused:
        model.load_weights(path)
    assert "another network" in str(refused.value)
    assert "objects could not be loaded" not in str(refused.value)
    assert_same_bits(before, everything(model))


def test_a_file_of_a_plain_network_is_refused(tmp_path):
    model = grown()
    model.compact().save_weights(tmp_path / "plain.weights.h5")
    before = everything(model)
    with pytest.raises(ValueError, match="plain network.*growable"):
        model.load_weights(tmp_path / "plain.weights.h5")
    assert_same_bits(before, everything(model))


class Weighted(layers.Layer):
    """A layer with weights that growing knows nothing of."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.scale = self.add_weight(shape=(size,), name="scale")

    def call(self, inputs):
        return inputs * self.scale[0]


def test_what_fails_in_the_middle_changes_nothing(tmp_path):
    path = tmp_path / "some.weights.h5"

    def network(size):
        inputs = keras.Input((5,))
        x = kgp.layers.GrowableDense(6, name="growing")(inputs)
        x = layers.Dense(3, name="head")(x)
        return inputs, Weighted(size, name="weighted")(x)

    grown(lambda: network(4)).save_weights(path)
    model = grown(lambda: network(3), seed=1)
    before = everything(model)
    with pytest.raises(ValueError, match="(?s)objects could not.*weighted"):
        model.load_weights(path)
    assert_same_bits(before, everything(model))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_changes_nothing(part, tmp_path):
    path = tmp_path / "some.weights.h5"
    grown().save_weights(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    model = grown(seed=1)
    before = everything(model)
    with pytest.raises((OSError, ValueError, KeyError)):
        model.load_weights(path)
    assert_same_bits(before, everything(model))


def test_a_flipped_bit_in_what_growing_remembers_is_seen(tmp_path):
    path, model = tmp_path / "some.weights.h5", grown()
    model.save_weights(path)
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        places = [
            file["vars"][key].id.get_offset() for key in sorted(file["vars"])
        ]
    before = everything(model)
    for place in places[::7]:
        flipped = bytearray(content)
        flipped[place] ^= 4
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="damaged|newer"):
            model.load_weights(path)
        assert_same_bits(before, everything(model))


def test_of_a_model_file_no_code_runs(tmp_path):
    path = tmp_path / "model.keras"
    model = grown()
    model.save(path)
    assert keras.saving.load_model(path).structure == model.structure
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    config = json.loads(parts["config.json"])
    for harmful in (
        {"module": "os", "class_name": "system", "config": {}},
        {"module": "subprocess", "class_name": "Popen", "config": {}},
        {
            "class_name": "__lambda__",
            "config": {"code": "4w==", "defaults": None},
        },
    ):
        evil = json.loads(json.dumps(config))
        evil["config"]["rule"] = {**harmful, "registered_name": None}
        parts["config.json"] = json.dumps(evil).encode()
        with zipfile.ZipFile(tmp_path / "evil.keras", "w") as file:
            for name, content in parts.items():
                file.writestr(name, content)
        with pytest.raises((TypeError, ValueError)):
            keras.saving.load_model(tmp_path / "evil.keras")


def test_a_lambda_layer_needs_the_users_consent(tmp_path):
    inputs = keras.Input((5,))
    x = kgp.layers.GrowableDense(6)(inputs)
    x = layers.Lambda(lambda x: x * 2)(layers.Dense(4)(x))
    model = grow((inputs, layers.Dense(3)(x)))
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="safe_mode|unsafe"):
        keras.saving.load_model(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=False)
    assert again.structure == model.structure


def test_what_is_saved_is_no_pickle(tmp_path):
    path = tmp_path / "some.weights.h5"
    grown().save_weights(path)
    kinds = set()
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                kinds.add(item.dtype.kind)
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    assert kinds <= set("biuf")


# Legacy files


@pytest.mark.parametrize("name", ["m.h5", "m.hdf5"])
def test_a_legacy_file_is_refused_before_it_is_written(name, tmp_path):
    model, path = grown(), tmp_path / name
    with pytest.raises(ValueError, match=r"\.keras.*weights\.h5.*compact\(\)"):
        model.save(path)
    checkpoint = keras.callbacks.ModelCheckpoint(str(path.with_suffix(".h5")))
    for callback in (checkpoint, kgp.callbacks.OnceSettled(checkpoint)):
        with pytest.raises(ValueError, match="legacy HDF5"):
            fit(model, callbacks=[callback])
    assert not list(tmp_path.iterdir()) and not model.ledger.epochs
    with pytest.raises(ValueError, match="legacy HDF5"):
        keras.saving.save_model(model, path)


# Writing


def test_a_file_is_replaced_as_a_whole(tmp_path):
    real, path = tmp_path / "real", tmp_path / "link.keras"
    real.mkdir()
    old = real / "model.keras"
    old.write_bytes(b"old")
    old.chmod(0o640)
    path.symlink_to(old)
    model = grown()
    model.save(path)
    assert path.is_symlink() and old.stat().st_mode & 0o777 == 0o640
    assert keras.models.load_model(path).structure == model.structure
    assert [p.name for p in real.iterdir()] == ["model.keras"]


@pytest.mark.parametrize("method", ["save", "save_weights"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_full_disk_leaves_the_old_file(method, share, tmp_path):
    resource = pytest.importorskip("resource")
    name = "m.keras" if method == "save" else "m.weights.h5"
    path, model = tmp_path / name, grown()
    getattr(model, method)(path)
    old = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    most = int(share * len(old))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        with pytest.raises(OSError, match="untouched") as error:
            getattr(model, method)(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.errno == errno.EFBIG and str(path) in str(error.value)
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]
    getattr(model, method)(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("method", ["save", "save_weights"])
def test_a_write_that_fails_at_the_end_leaves_the_old_file(
    method, tmp_path, monkeypatch
):
    name = "m.keras" if method == "save" else "m.weights.h5"
    path, model = tmp_path / name, grown()
    path.write_bytes(b"old")

    def refuse(*args):
        raise PermissionError(errno.EACCES, "read-only")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(PermissionError, match="read-only.*untouched"):
        getattr(model, method)(path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_told(tmp_path):
    model = grown()
    for method, name in (("save", "m.keras"), ("save_weights", "m.weights.h5")):
        with pytest.raises(FileNotFoundError, match="no_folder"):
            getattr(model, method)(tmp_path / "no_folder" / name)


def test_a_user_may_be_asked_before_a_file_is_replaced(tmp_path, monkeypatch):
    model = grown()
    for method, name in (("save", "m.keras"), ("save_weights", "m.weights.h5")):
        path = tmp_path / name
        path.write_bytes(b"old")
        monkeypatch.setattr("builtins.input", lambda text: "n")
        getattr(model, method)(path, overwrite=False)
        assert path.read_bytes() == b"old"
        monkeypatch.setattr("builtins.input", lambda text: "y")
        getattr(model, method)(path, overwrite=False)
        assert path.read_bytes() != b"old"


def test_folders_and_several_files_are_written_too(tmp_path):
    model = grown()
    model.save(tmp_path / "folder", zipped=False)
    shutil.copytree(tmp_path / "folder", tmp_path / "copy")
    again = keras.saving.load_model(tmp_path / "copy")
    assert_same_bits(model.weights, again.weights)
    with pytest.raises(ValueError, match="weights.h5"):
        model.save_weights(tmp_path / "m.h5")
