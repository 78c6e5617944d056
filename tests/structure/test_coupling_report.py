import keras
import pytest
from keras import layers
from keras import ops

import keras_growprune as kgp


class Unknown(layers.Layer):
    """A dense layer that nobody told the library of."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 4))

    def call(self, inputs):
        return ops.matmul(inputs, self.kernel)


@pytest.fixture
def report():
    inputs = keras.Input((5, 4))
    x = layers.Dense(6, name="stem")(inputs)
    y = layers.Dense(8, name="inner")(layers.LayerNormalization(name="ln")(x))
    x = layers.Add(name="sum")([x, layers.Dense(6, name="outer")(y)])
    x = layers.MultiHeadAttention(2, 3, name="heads")(x, x)
    x = layers.Dense(5, name="lost")(x)
    x = Unknown(name="strange")(x)
    x = layers.Dense(8, name="kept")(x)
    x = layers.Conv1D(6, 1, groups=2, name="parts")(x)
    outputs = layers.Dense(3, name="logits")(x)
    model = keras.Model(inputs, outputs)
    return kgp.growable(
        model, kgp.Budget(params=0.9), freeze=["kept"], seed=0
    ).coupling_report()


def test_groups_tell_who_writes_who_follows_and_why(report):
    found = {group.name: group for group in report.groups}
    assert found.keys() == {"stem", "inner", "parts"}
    stem = found["stem"]
    assert (stem.size, stem.channels) == (6, 1)
    assert stem.writers == ["stem", "outer"]
    assert stem.followers == ["ln", "heads"]
    assert stem.why == ["`sum` joins them"]
    assert (found["parts"].size, found["parts"].channels) == (3, 2)
    assert found["parts"].why == ["`parts` works in 2 parts"]
    assert found["inner"].why == []
    assert report.gates == ["sum"]


def test_lists_that_are_cut_say_how_many_more_and_where_they_are(report):
    text = str(report)
    assert "ln and 1 more" in text and "`report.groups` has all" in text
    inputs = keras.Input((4,))
    x = layers.Dense(5)(inputs)
    model = keras.Model(inputs, layers.Dense(3)(x))
    short = str(kgp.growable(model, kgp.Budget(params=0.9)).coupling_report())
    assert "more" not in short and "report.groups" not in short


def test_everything_that_cannot_change_has_a_reason(report):
    assert report.frozen == {
        "heads": "its heads stay; it is as wide as its queries",
        "lost": "unknown layer `strange` of type Unknown: teach it with "
        "`register_axes`",
        "strange": "unknown type Unknown: teach it with `register_axes`",
        "kept": "it is a plain `Dense`, or was to stay as it is",
        "logits": "feeds an output of the model",
    }


def test_the_share_counts_weights_of_layers_that_can_change(report):
    growing = 4 * 6 + 6 * 8 + 8 * 6 + 4 * (6 * 2 * 3)
    parts = 6 * 8 // 2
    others = 6 * 5 + 4 * 8 + 6 * 3
    expected = (growing + parts) / (growing + parts + others)
    assert report.growable_share == pytest.approx(expected)


def test_the_table_names_all_of_it(report):
    text = str(report)
    for part in (
        "group  units",
        "3 x 2 channels",
        "May leave with their branch: sum",
        "logits: feeds an output of the model",
        "of the weights of convolutions and dense layers",
    ):
        assert part in text
    assert repr(report) == text


def test_the_report_is_the_same_while_layers_are_out_of_the_network():
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    y = keras.layers.Reshape((36, 4))(keras.layers.Conv2D(4, 1)(x))
    y = keras.layers.Reshape((6, 6, 4))(keras.layers.Dense(4)(y))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()([x, y]))
    network = keras.Model(inputs, keras.layers.Dense(2)(x))
    model = kgp.growable(network, kgp.Budget(params=0.9), seed=0)
    before = str(model.coupling_report())
    model.restructure(kgp.Structure(model.structure.units, [False]))
    assert str(model.coupling_report()) == before
