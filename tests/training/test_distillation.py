import warnings

import keras
import numpy as np
import pytest

import keras_growprune as kgp

layers = keras.layers
CROSSENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network(outputs=3, activation=None, seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((5,))
    x = layers.Dense(8, activation="relu")(inputs)
    return keras.Model(inputs, layers.Dense(outputs, activation)(x))


def of_wider_inputs():
    inputs = keras.Input((6,))
    return keras.Model(inputs, layers.Dense(3)(inputs))


def data(count=48):
    random = np.random.default_rng(0)
    x = random.normal(size=(count, 5)).astype("float32")
    return x, random.integers(3, size=count)


def growing(teacher, distillation=True, budget=0.6, **arguments):
    return kgp.growable(
        teacher,
        kgp.Budget(params=budget),
        start="weights",
        seed=0,
        distillation=distillation,
        **arguments,
    )


def distance_of(loss, answers, outputs, sample_weight=None, **arguments):
    """The loss with weight 1: the distance from the teacher alone."""
    teacher = network(np.shape(answers)[-1])
    model = growing(teacher, kgp.Distillation(teacher, 1.0, **arguments))
    model.compile("sgd", loss)
    return float(
        model.distillation.mix(
            keras.ops.zeros(()),
            keras.ops.zeros(()),
            model,
            keras.ops.array(answers, "float32"),
            keras.ops.array(outputs, "float32"),
            sample_weight,
        )
    )


def divergence(p, q):
    return np.sum(p * np.log(p / q), axis=-1)


def softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=-1, keepdims=True)


def test_classifiers_are_compared_as_hinton_does():
    answers = np.array([[2.0, 0, -1], [0, 1, 0]])
    outputs = np.array([[1.0, 1, 0], [0, 3, 1]])
    expected = 9 * divergence(softmax(answers / 3), softmax(outputs / 3))
    given = distance_of(CROSSENTROPY, answers, outputs, temperature=3.0)
    assert given == pytest.approx(np.mean(expected), rel=1e-5)
    weights = np.array([1.0, 0.0])
    given = distance_of(
        CROSSENTROPY, answers, outputs, weights, temperature=3.0
    )
    assert given == pytest.approx(expected[0] / 2, rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        "categorical_crossentropy",
        keras.losses.CategoricalCrossentropy(),
        keras.losses.categorical_crossentropy,
    ],
    ids=["sparse name", "name", "object", "function"],
)
def test_probabilities_are_compared_as_their_logits_are(loss):
    answers = softmax(np.array([[2.0, 0, -1], [0, 1, 0]]))
    outputs = softmax(np.array([[1.0, 1, 0], [0, 3, 1]]))
    root = [
        np.sqrt(p) / np.sqrt(p).sum(-1, keepdims=True)
        for p in (answers, outputs)
    ]
    assert distance_of(loss, answers, outputs, temperature=2.0) == (
        pytest.approx(4 * np.mean(divergence(*root)), rel=1e-5)
    )
    assert distance_of(loss, answers, answers) == pytest.approx(0, abs=1e-6)


def test_a_sum_over_the_batch_is_compared_by_a_sum():
    answers, outputs = (
        np.array([[2.0, 0], [0, 1]]),
        np.array([[1.0, 1], [0, 3]]),
    )
    mean = distance_of(CROSSENTROPY, answers, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(True, reduction="sum")
    assert distance_of(loss, answers, outputs) == pytest.approx(2 * mean)


def test_penalties_on_weights_stay_whole():
    inputs = keras.Input((5,))
    x = layers.Dense(4, kernel_regularizer=keras.regularizers.L2(1.0))(inputs)
    teacher = keras.Model(inputs, layers.Dense(3)(x))
    shares = []
    for distillation in (None, kgp.Distillation(teacher, 0.9)):
        model = growing(teacher, distillation, budget=1.0)
        model.compile(keras.optimizers.SGD(0.01), "mse")
        x = np.zeros((8, 5), "float32")  # no kernel has another gradient
        before = model.layers[1].kernel.numpy()
        y = teacher.predict(x, verbose=0)
        model.fit(x, y, batch_size=8, epochs=1, verbose=0)
        shares.append(model.layers[1].kernel.numpy() / before)
    for share in shares:  # d/dw of w ** 2 is 2 w
        np.testing.assert_allclose(share, 1 - 0.02, rtol=1e-5)


@pytest.mark.parametrize("from_logits", [False, True])
def test_yes_or_no_is_compared_by_its_probability(from_logits):
    p, q = np.array([[0.8, 0.5]]), np.array([[0.4, 0.5]])
    expected = 0.8 * np.log(0.8 / 0.4) + 0.2 * np.log(0.2 / 0.6)
    if from_logits:
        p, q = np.log(p / (1 - p)), np.log(q / (1 - q))
    loss = keras.losses.BinaryCrossentropy(from_logits=from_logits)
    given = distance_of(loss, p, q, temperature=1.0)
    assert given == pytest.approx(expected / 2, rel=1e-4)


@pytest.mark.parametrize(
    "loss, expected",
    [("mse", 5 / 4), (keras.losses.MeanAbsoluteError(), 3 / 4), ("huber", 0.5)],
)
def test_numbers_are_compared_as_the_loss_does(loss, expected):
    answers, outputs = (
        np.array([[1.0, 0], [0, 2]]),
        np.array([[0.0, 0], [0, 0]]),
    )
    assert distance_of(loss, answers, outputs) == pytest.approx(expected)


def test_who_answers_like_the_teacher_has_nothing_to_learn_of_it():
    teacher = network()
    model = growing(teacher, kgp.Distillation(teacher, 1.0), budget=1.0)
    model.compile(keras.optimizers.SGD(1.0), CROSSENTROPY)
    before = model.get_weights()
    model.fit(*data(), epochs=1, verbose=0)
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_allclose(new, old, atol=1e-6)
    model.distillation = None
    model.fit(*data(), epochs=1, verbose=0)
    assert any(
        np.abs(old - new).max() > 0.01
        for old, new in zip(before, model.get_weights())
    )


def test_a_student_comes_near_its_teacher_and_leaves_it_as_it_is():
    teacher = network()
    before = teacher.get_weights()
    x, y = data()
    apart = []
    for distillation in (None, kgp.Distillation(teacher, 0.9)):
        model = growing(teacher, distillation)
        count = len(model.weights)
        model.compile(keras.optimizers.Adam(0.01), CROSSENTROPY)
        model.fit(x, y, epochs=20, verbose=0)
        assert len(model.weights) == count  # the teacher's are none of them
        answers, outputs = (
            softmax(each.predict(x, verbose=0)) for each in (teacher, model)
        )
        apart.append(np.mean(divergence(answers, outputs)))
    assert apart[1] < 0.3 * apart[0]
    for old, new in zip(before, teacher.get_weights()):
        np.testing.assert_array_equal(new, old)


def test_the_loss_that_is_logged_is_that_of_the_data():
    teacher = network()
    model = growing(teacher, kgp.Distillation(network(seed=1)), budget=1.0)
    model.compile(keras.optimizers.SGD(0.0), CROSSENTROPY)
    history = model.fit(*data(), epochs=1, verbose=0, batch_size=48).history
    expected = CROSSENTROPY(data()[1], teacher(data()[0]))
    assert history["loss"][0] == pytest.approx(float(expected), rel=1e-5)


def test_the_ledger_counts_what_the_teacher_computes():
    teacher = network()  # 5 * 8 + 8 * 3 multiply-adds
    records = []
    for distillation in (None, True):
        model = growing(teacher, distillation, budget=1.0)
        model.compile("sgd", CROSSENTROPY)
        model.fit(*data(), epochs=1, verbose=0)
        records.append(model.ledger.total("training_flops"))
    assert records == [48 * 3 * 64, 48 * 4 * 64]
    assert model.ledger.relative_training_flops() == pytest.approx(4 / 3)


def test_several_outputs_have_each_their_distance():
    inputs = keras.Input((5,))
    x = layers.Dense(8, activation="relu")(inputs)
    outputs = {
        "kind": layers.Dense(3, name="kind")(x),
        "size": layers.Dense(1, name="size")(x),
    }
    teacher = keras.Model(inputs, outputs)
    model = growing(teacher, kgp.Distillation(teacher, 1.0, temperature=1.0))
    model.compile("sgd", {"kind": CROSSENTROPY, "size": "mse"})
    x, y = data(4)
    answers = teacher(x)
    moved = {"kind": answers["kind"], "size": answers["size"] + 2}
    none = keras.ops.zeros(())
    given = model.distillation.mix(none, none, model, answers, moved)
    assert float(given) == pytest.approx(4, rel=1e-5)
    no_weight = np.zeros(4, "float32")
    given = model.distillation.mix(none, none, model, answers, moved, no_weight)
    assert float(given) == 0
    weights = {"kind": 1.0, "size": 0.25}
    model.compile("sgd", model.loss, loss_weights=weights)
    given = model.distillation.mix(none, none, model, answers, moved)
    assert float(given) == pytest.approx(1, rel=1e-5)
    model.compile("sgd", {"kind": CROSSENTROPY})
    given = model.distillation.mix(none, none, model, answers, moved)
    assert float(given) == pytest.approx(0, abs=1e-6)
    model.compile("sgd", {"kind": CROSSENTROPY, "size": "mse"})
    history = model.fit(x, {"kind": y, "size": x[:, :1]}, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_a_loaded_model_tells_that_its_teacher_stayed_behind(tmp_path):
    teacher = network()
    model = growing(teacher, kgp.Distillation(teacher, 0.7))
    model.compile("sgd", CROSSENTROPY)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert again.distillation is None
    with pytest.warns(UserWarning, match=r"teacher.*weight=0\.7.*not saved"):
        again.fit(*data(), verbose=0)
    for distillation in (kgp.Distillation(teacher), None):
        again.distillation = distillation
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            again.fit(*data(), verbose=0)


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda t: kgp.Distillation("teacher"), "`teacher`.*built"),
        (lambda t: kgp.Distillation(keras.Sequential()), "`teacher`.*built"),
        (lambda t: kgp.Distillation(t, 0.0), r"weight=0\.0"),
        (lambda t: kgp.Distillation(t, 1.5), r"weight=1\.5"),
        (lambda t: kgp.Distillation(t, temperature=0), "temperature=0"),
        (lambda t: growing(t, 0.5), r"`Distillation`, or None.*0\.5"),
        (
            lambda t: growing(t, kgp.Distillation(network(4))),
            r"outputs.*\(3,\).*\(4,\)",
        ),
        (
            lambda t: growing(t, kgp.Distillation(network(3, "softmax"))),
            "both end with a softmax, or neither",
        ),
        (
            lambda t: growing(t, kgp.Distillation(of_wider_inputs())),
            r"inputs.*\(5,\).*\(6,\)",
        ),
    ],
)
def test_what_cannot_teach_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make(network())


def test_a_loss_that_nobody_can_compare_by_is_refused_before_training():
    def own(y_true, y_pred):
        return keras.ops.mean(y_pred)

    model = growing(network())
    model.compile("sgd", own)
    before = model.get_weights()
    with pytest.raises(ValueError, match="nobody knows how.*own"):
        model.fit(*data(), verbose=0)
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(new, old)
    model.distillation = None
    model.fit(*data(), verbose=0)


def test_mixed_precision_learns_from_a_teacher_in_single():
    teacher = network()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        student = growing(network(seed=1), kgp.Distillation(teacher, 0.9))
    finally:
        keras.config.set_dtype_policy("float32")
    student.compile(keras.optimizers.Adam(0.01), CROSSENTROPY)
    history = student.fit(*data(), epochs=3, verbose=0).history
    assert np.isfinite(history["loss"]).all()
