"""What the pictures show, against the ledger and the network."""

import sys

import keras
import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image

import keras_growprune as kgp
from keras_growprune.structure import Structure
from keras_growprune.visualization import animate_growth
from keras_growprune.visualization import plot_growth
from keras_growprune.visualization import plot_structure
from keras_growprune.visualization.curves import Line
from keras_growprune.visualization.growth_motion import GrowthMotion
from keras_growprune.visualization.growth_record import GrowthRecord
from keras_growprune.visualization.network_rows import NetworkRows
from keras_growprune.visualization.theme import theme_named
from tests.networks import FULL
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import residual


def trained(network=None, epochs=4, **kwargs):
    model = grow(network or residual(4, blocks=2, inner=3), **kwargs)
    compile_model(model, metrics=["accuracy"])
    fit(model, epochs=epochs, validation_data=examples(model, 8))
    return model


@pytest.fixture(scope="module")
def resnet():
    """Its second branch was out of the network in the second period."""
    model = trained()
    model.ledger.epochs[1]["gates"] = [True, False]
    return model


def artist(figure, gid):
    (found,) = figure.findobj(lambda each: each.get_gid() == gid)
    return found


def texts(figure):
    found = figure.findobj(lambda each: hasattr(each, "get_text"))
    return [each.get_text() for each in found if each.get_text()]


def row_names(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_the_map_shows_each_width_as_a_fraction_of_the_full_one():
    model = trained(conv_chain((4, 6)), epochs=5)
    mesh = artist(plot_growth(model), "widths")
    units = np.array([record["units"] for record in model.ledger.epochs])
    np.testing.assert_allclose(mesh.get_array(), (units / [4, 6]).T)
    assert mesh.get_clim() == (0, 1)


def test_rows_are_in_the_order_of_the_network(resnet):
    stem, first, second = (group.name for group in resnet.groups)
    adds = resnet.coupling_report().gates
    rows = row_names(plot_growth(resnet))
    assert rows == [f"{stem} +2", first, adds[0], second, adds[1]]


def test_widths_now_and_full_stand_at_the_end_of_each_row():
    model = trained(conv_chain((4, 6)))
    shown = texts(plot_growth(model))
    for width, full in zip(model.widths.values(), (4, 6)):
        assert f"{width} / {full}" in shown


def test_what_is_in_a_branch_that_is_out_is_hatched_and_has_no_width(resnet):
    figure = plot_growth(resnet)
    widths = np.ma.getmaskarray(artist(figure, "widths").get_array())
    inner, gate = 3, 4  # rows
    expected = np.zeros_like(widths)
    expected[inner, 1] = True
    expected[[2, gate]] = True  # gated layers have no width at all
    np.testing.assert_array_equal(widths, expected)
    for name in (resnet.groups[2].name, resnet.coupling_report().gates[1]):
        hatched = artist(figure, f"out {name}")
        assert hatched.get_hatch()
        (path,) = hatched.get_paths()
        x = path.vertices[:, 0]
        assert (x.min(), x.max()) == (1, 2)  # the second of four epochs
    assert not artist(figure, f"out {resnet.groups[0].name}").get_paths()


def test_the_cost_is_drawn_beside_schedule_and_budget():
    model = trained(conv_chain((4, 6)), epochs=3)
    lines = {
        line.get_label(): line
        for axes in plot_growth(model).axes
        for line in axes.get_lines()
    }
    records = model.ledger.epochs
    for name, key in (("cost", "cost"), ("schedule", "target")):
        values = np.repeat([record[key] for record in records], 2)
        np.testing.assert_allclose(lines[name].get_ydata(), values)
    assert set(lines["budget"].get_ydata()) == {
        model._growth.blueprint.budget_fraction
    }


def test_periods_last_for_their_share_of_an_epoch():
    schedule = kgp.GrowthSchedule(restructure_every=0.5)
    model = trained(conv_chain((4, 6)), epochs=4, schedule=schedule)
    figure = plot_growth(model)
    edges = artist(figure, "widths").get_coordinates()[0, :, 0]
    np.testing.assert_allclose(edges, [0, 0.5, 1, 1.5, 2, 3, 4])
    settled = artist(figure.axes[0], "settled").get_xdata()
    np.testing.assert_allclose(settled, 2)


def test_metrics_of_both_sets_are_drawn_at_the_ends_of_epochs():
    model = trained(conv_chain((4, 6)), epochs=3)
    axes = {each.get_title("left"): each for each in plot_growth(model).axes}
    metrics = [r["metrics"] for r in model.ledger.epochs if r["metrics"]]
    for name in ("accuracy", "loss"):
        lines = {line.get_label(): line for line in axes[name].get_lines()}
        for kind, key in (("training", name), ("validation", f"val_{name}")):
            np.testing.assert_allclose(lines[kind].get_xdata(), [1, 2, 3])
            values = [each[key] for each in metrics]
            np.testing.assert_allclose(lines[kind].get_ydata(), values)


def test_the_share_of_training_flops_is_told():
    model = trained(conv_chain((4, 6)), epochs=2)
    share = model.ledger.relative_training_flops()
    assert any(
        text.startswith(f"training so far: {share:.1%} of")
        for text in texts(plot_growth(model))
    )


def test_a_ledger_of_an_older_version_is_drawn():
    model = trained(conv_chain((4, 6)), epochs=2)
    for record in model.ledger.epochs:
        for key in ("target", "price", "settled", "metrics"):
            del record[key]
    figure = plot_growth(model)
    assert artist(figure, "widths").get_array().shape == (
        2,
        len(model.ledger.epochs),
    )
    assert "schedule" not in texts(figure)


def test_a_history_and_an_outer_model_stand_for_the_network_in_them(resnet):
    history = keras.callbacks.History()
    history.set_model(resnet)
    inputs = keras.Input(resnet.input_shape[1:])
    outer = keras.Model(inputs, keras.layers.ReLU()(resnet(inputs)))
    for given in (history, outer):
        assert row_names(plot_growth(given)) == row_names(plot_growth(resnet))


def test_bars_are_as_long_as_widths():
    model = grow(conv_chain((4, 6)), schedule=FULL)
    units = np.zeros(10, dtype=bool)
    units[[0, 1, 2, 4]] = True
    model.restructure(Structure(units, []))
    figure = plot_structure(model)
    first, second = model.widths
    unit = artist(figure, f"full {second}").get_width() / 6
    for name, now, full in ((first, 3, 4), (second, 1, 6)):
        for kind, width in (("now", now), ("full", full)):
            bar = artist(figure, f"{kind} {name}")
            assert bar.get_width() == pytest.approx(unit * width)
        assert artist(figure, f"width {name}").get_text() == f"{now} / {full}"
    head = model.layers[-1].name
    assert artist(figure, f"now {head}").get_width() == pytest.approx(3 * unit)
    assert artist(figure, f"width {head}").get_text() == "3"


def test_ticks_are_at_the_ends_of_the_seed():
    model = grow(conv_chain((4, 6)))
    figure = plot_structure(model)
    (ticks,) = figure.findobj(
        lambda each: each.get_label() == "seed" and hasattr(each, "get_xydata")
    )[:1]
    places = np.sort(ticks.get_xdata())
    for name in model.widths:  # it is the seed
        bar = artist(figure, f"now {name}")
        for end in (bar.get_x(), bar.get_x() + bar.get_width()):
            assert np.min(np.abs(places - end)) < 1e-9


def test_a_branch_that_is_out_is_marked(resnet):
    present = resnet.structure
    structure = Structure(np.ones_like(present.units), [True, False])
    figure = plot_structure(resnet, structure=structure)
    stays, leaves = resnet.coupling_report().gates
    assert artist(figure, f"gate {stays}").get_text() == stays
    assert artist(figure, f"gate {leaves}").get_text() == f"{leaves} out"
    colors = [
        to_rgba(artist(figure, f"branch {name}").get_color())
        for name in (stays, leaves)
    ]
    assert colors[0] != colors[1]
    inner = resnet.groups[2].name
    assert artist(figure, f"width {inner}").get_text() == "out / 3"
    assert artist(figure, f"now {inner}").get_width() == 0
    assert resnet.structure == present


def test_bars_are_roots_of_widths_that_are_very_different():
    model = grow(conv_chain((4, 100)), schedule=FULL)
    figure = plot_structure(model)
    small, large = (artist(figure, f"full {name}") for name in model.widths)
    assert large.get_width() == pytest.approx(5 * small.get_width())
    assert "bar length: square root of the width" in texts(figure)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_picture_is_written_as_its_ending_says(resnet, tmp_path, ending):
    begins = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    for index, plot in enumerate((plot_growth, plot_structure)):
        path = tmp_path / f"{index}.{ending}"
        figure = plot(resnet, path, theme="dark")
        assert isinstance(figure, Figure)
        assert path.read_bytes().startswith(begins)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_an_animation_lasts_as_long_as_asked(resnet, tmp_path, ending):
    path = tmp_path / f"growth.{ending}"
    assert animate_growth(resnet, path, seconds=1) == path
    with Image.open(path) as image:
        assert image.format == ending.upper()
        durations = []
        for index in range(image.n_frames):
            image.seek(index)
            image.load()
            durations.append(image.info["duration"])
    assert sum(durations) == pytest.approx(1000 + 2000, abs=10)
    assert durations[-1] >= 2000


def test_an_animation_ends_as_the_picture_of_the_network(tmp_path):
    model = trained(conv_chain((4, 6)), epochs=2)
    path = tmp_path / "growth.gif"
    animate_growth(model, path, seconds=0.5)
    with Image.open(path) as image:
        first = np.asarray(image.convert("RGB"))
        image.seek(image.n_frames - 1)
        last = np.asarray(image.convert("RGB"))
    white, blue = (255, 255, 255), (0, 0x72, 0xB2)
    assert tuple(first[2, 2]) == tuple(last[2, 2]) == white
    half = first.shape[1] // 2

    def blue_area(pixels):
        return np.sum(np.all(pixels[:, :half] == blue, axis=-1))

    seed, end = (
        sum(widths)
        for widths in (
            model.ledger.epochs[0]["units"],
            model.ledger.epochs[-1]["units"],
        )
    )
    grown = blue_area(last) / blue_area(first)
    assert grown == pytest.approx(end / seed, rel=0.15)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_colours_of_a_gif_are_those_of_the_picture(resnet, tmp_path, theme):
    shown = []
    for ending in ("gif", "webp"):  # the latter loses nothing
        path = tmp_path / f"growth.{ending}"
        animate_growth(resnet, path, theme, seconds=0.5)
        with Image.open(path) as image:
            image.seek(3)
            shown.append(np.asarray(image.convert("RGB")).astype(int))
    differences = np.abs(shown[0] - shown[1]).max(axis=-1)
    assert differences.max() <= 32 and np.mean(differences > 8) < 1e-3
    given = theme_named(theme).colors()
    exact = np.isin(pack(shown[1]), pack(given))
    np.testing.assert_array_equal(shown[0][exact], shown[1][exact])


def pack(colors):
    return np.asarray(colors, dtype=int) @ [65536, 256, 1]


def test_a_moving_label_tells_where_its_line_ends():
    line = Line("cost", [0, 1, 1, 2], [0.25, 0.25, 0.5, 0.5], "black", ".3f")
    slope = Line("loss", [1, 2], [1.0, 2.0], "black", ".2f")
    assert [line.label(at) for at in (0.5, 1.5)] == ["cost 0.250", "cost 0.500"]
    assert slope.until(1.25)[1][-1] == 1.25
    assert [slope.label(at) for at in (0.5, 1.25)] == ["loss", "loss 1.25"]
    assert slope.label() == "loss 2.00"


def test_a_run_that_begins_with_another_structure_is_not_called_seed():
    model = grow(conv_chain((4, 6)))
    compile_model(model)
    fit(model, epochs=1, growth_epochs=4)
    assert word_at_the_start(model) == "seed"
    model = grow(conv_chain((4, 6)))
    model.restructure(Structure(np.ones(10), []))
    compile_model(model)
    fit(model, epochs=1, growth_epochs=4)
    assert word_at_the_start(model) == "start"


def word_at_the_start(model):
    motion = GrowthMotion(NetworkRows(model), GrowthRecord(model))
    return motion.at(0.0)[-1]


def test_a_colour_is_one_width_in_both_themes(resnet):
    light, dark = (
        artist(plot_growth(resnet, theme=theme), "widths").get_cmap()(0.25)
        for theme in ("light", "dark")
    )
    assert light == dark


def test_gates_are_drawn_if_one_was_out(resnet):
    gates = set(resnet.coupling_report().gates)
    figure = plot_growth(resnet)
    assert gates <= set(row_names(figure))
    (text,) = (each for each in texts(figure) if each.startswith("row: "))
    assert "+n" in text and "thin line" in text and "hatched: out" in text
    model = trained(epochs=1)
    model.ledger.epochs[0]["gates"] = [True, True]
    figure = plot_growth(model)
    assert not set(row_names(figure)) & set(model.coupling_report().gates)
    (text,) = (each for each in texts(figure) if each.startswith("row: "))
    assert "thin line" not in text and "hatched" not in text


def test_settings_of_the_user_stay_and_change_nothing(resnet):
    before = dict(matplotlib.rcParams)
    plain = plot_structure(resnet)
    assert dict(matplotlib.rcParams) == before
    assert before["font.size"] == matplotlib.rcParamsDefault["font.size"]
    style = {"font.family": "monospace", "figure.facecolor": "red"}
    with matplotlib.rc_context(style):
        styled = plot_structure(resnet)
    assert styled.get_facecolor() == plain.get_facecolor() == to_rgba("white")
    assert tuple(styled.get_size_inches()) == tuple(plain.get_size_inches())


def test_a_notebook_shows_the_figure_once(resnet):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure = plot_structure(resnet)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert not pyplot.get_fignums()  # those are shown by themselves


def test_what_was_not_trained_has_no_growth(tmp_path):
    model = grow(conv_chain((4, 6)))
    path = tmp_path / "growth.gif"
    for draw in (plot_growth, lambda model: animate_growth(model, path)):
        with pytest.raises(ValueError, match="no epoch of training"):
            draw(model)
    assert not path.exists()


def test_a_model_without_growth_is_refused():
    inputs = keras.Input((3,))
    plain = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    for given in (plain, "model", None):
        with pytest.raises(ValueError, match="one `GrowPruneModel`"):
            plot_growth(given)


def test_a_compact_network_is_told_to_know_nothing_of_growth(resnet):
    with pytest.raises(ValueError, match="compact network no longer knows"):
        plot_growth(resnet.compact())


def test_a_history_in_place_of_a_path_is_refused(resnet):
    for draw in (plot_growth, plot_structure, animate_growth):
        with pytest.raises(ValueError, match="type History. Pass either the"):
            draw(resnet, keras.callbacks.History())


def test_costs_have_three_digits(resnet):
    cost = resnet.ledger.epochs[-1]["cost"]
    assert f"cost {cost:.3f}" in texts(plot_growth(resnet))


def test_two_growing_networks_are_too_many():
    parts = [grow(conv_chain((4, 6)), name=name) for name in ("one", "other")]
    inputs = keras.Input((6, 6, 2))
    both = keras.layers.Add()([part(inputs) for part in parts])
    with pytest.raises(ValueError, match=r"2 of them: \['one', 'other'\]"):
        plot_structure(keras.Model(inputs, both))


def test_unknown_themes_and_endings_are_refused(resnet, tmp_path):
    for draw in (plot_growth, plot_structure, animate_growth):
        with pytest.raises(ValueError, match="must be 'light' or 'dark'"):
            draw(resnet, theme="blue")
        with pytest.raises(ValueError, match="must end in one of"):
            draw(resnet, tmp_path / "growth.txt")
    with pytest.raises(ValueError, match=r"one of \.gif, \.webp:"):
        animate_growth(resnet, tmp_path / "growth.png")
    for seconds in (0, -1, True, "8", float("nan")):
        with pytest.raises(ValueError, match="positive number"):
            animate_growth(resnet, tmp_path / "growth.gif", seconds=seconds)
    assert not list(tmp_path.iterdir())


def test_a_structure_of_another_network_is_refused(resnet):
    other = grow(conv_chain((4, 6))).structure
    for structure in (other, "now"):
        with pytest.raises(ValueError, match="Argument `structure` must"):
            plot_structure(resnet, structure=structure)


def test_without_matplotlib_the_extra_is_named(resnet, monkeypatch):
    name = "keras_growprune.visualization.shown_figure"
    monkeypatch.delitem(sys.modules, name, raising=False)
    package = sys.modules["keras_growprune.visualization"]
    monkeypatch.delattr(package, "shown_figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"install matplotlib .*\[viz\]"):
        plot_structure(resnet)
