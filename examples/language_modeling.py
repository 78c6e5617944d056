r"""Grows a word-level language model, beside a full and a narrow one.

    python examples/language_modeling.py
    python examples/language_modeling.py --data=ptb --size=small
    python examples/language_modeling.py --strategy=mirrored

Trains three LSTM networks the same way (Zaremba et al., 2014): the full one,
the uniformly narrow one of as many parameters as the budget allows, and one
that grows and prunes itself inside `fit`. Prints a closing table, and text that
the grown network writes. Without `--data` the text is the language reference
that every Python carries. With several GPUs (`--strategy`), each reads its part
of the streams and carries the states of these.
"""

import dataclasses
import pathlib
import sys

import keras
import language_training
import numpy as np
import strategies
import tables
import text_data
import time_left
from absl import app
from absl import flags
from absl import logging

import keras_growprune as kgp

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(strategies)

flags.DEFINE_string(
    "data", None, "Folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt."
)
flags.DEFINE_enum(
    "size", "tiny", list(language_training.RECIPES), "Sizes and schedule."
)
flags.DEFINE_integer("units", None, "Full width. Default: the size's.")
flags.DEFINE_integer("epochs", None, "Epochs. Default: the size's.")
flags.DEFINE_float("dropout", None, "Dropout. Default: the size's.")
flags.DEFINE_float(
    "budget",
    0.35,
    "Cost of the final network, as a fraction of the full one's.",
)
flags.DEFINE_enum("measure", "params", ["flops", "params"], "What is bounded.")
flags.DEFINE_enum("rule", "saliency", ["saliency", "paper"], "Growth rule.")
flags.DEFINE_float(
    "gate_rate", 0.1, "Learning rate of the logits of the paper's rule."
)
flags.DEFINE_float(
    "restructure_every",
    0.5,
    "Epochs between changes of the structure, whole ones or a part of one.",
)
flags.DEFINE_bool("tied", False, "Whether input and output embeddings are one.")
flags.DEFINE_bool("residual", False, "Whether LSTMs add to their inputs.")
flags.DEFINE_integer("seed", 0, "Seed of weights and growing.")
flags.DEFINE_string("output", "grown_language_model", "Folder for the network.")


class PrintStructure(keras.callbacks.Callback):
    """One line per epoch: what the network looks like."""

    def on_epoch_end(self, epoch, logs=None):
        widths = "-".join(str(width) for width in self.model.widths.values())
        print(
            f"epoch {epoch + 1}: {logs['cost']:.1%} of full {FLAGS.measure}"
            f"  widths {widths}"
            f"{'  settled' if logs['settled'] else ''}",
            flush=True,
        )


def chosen_recipe():
    """The size's recipe with what the other flags change."""
    recipe = language_training.RECIPES[FLAGS.size]
    changes = {
        name: FLAGS[name].value
        for name in ("units", "epochs", "dropout")
        if FLAGS[name].value is not None
    }
    return dataclasses.replace(recipe, **changes)


def recipe_of_replica(recipe, replicas):
    """The recipe of what one of several replicas reads."""
    if recipe.batch_size % replicas:
        raise app.UsageError(
            f"{recipe.batch_size} streams of text cannot be dealt out evenly "
            f"to {replicas} replicas."
        )
    batch_size = recipe.batch_size // replicas
    return dataclasses.replace(recipe, batch_size=batch_size)


def network(recipe, words, units=None, growable=False, single=False):
    """`(inputs, outputs)` of a network."""
    return kgp.models.lstm_language_model(
        len(words),
        units or recipe.units,
        recipe.layers,
        steps=1 if single else recipe.steps,
        batch_size=1 if single else recipe.batch_size,
        dropout=recipe.dropout,
        tied=FLAGS.tied,
        residual=FLAGS.residual,
        initial_range=recipe.initial_range,
        growable=growable,
    )


def narrow_network(recipe, words, cost_of, limit):
    """The widest uniformly narrow network of at most `limit`."""
    for units in range(recipe.units, 0, -1):
        model = keras.Model(*network(recipe, words, units))
        if cost_of(model) <= limit:
            return model
    raise ValueError(f"No network is as small as {FLAGS.budget} of the full.")


def text_from(model, words, count=60, temperature=0.7, seed=0):
    """Words that a plain language model draws one after the other."""
    one = keras.Input(batch_shape=(1, 1), dtype="int32")
    speaker = keras.models.clone_model(model, input_tensors=one)
    speaker.set_weights(model.get_weights())
    random = np.random.default_rng(seed)
    end, unknown = words.index(text_data.END), words.index(text_data.UNKNOWN)
    word, drawn = end, []
    for _ in range(count):
        logits = speaker.predict_on_batch(np.array([[word]], "int32"))[0, 0]
        logits = logits.astype(float) / temperature
        logits[unknown] = -np.inf
        chances = np.exp(logits - logits.max())
        word = int(random.choice(len(words), p=chances / chances.sum()))
        drawn.append("\n" if word == end else words[word])
    return " ".join(drawn)


def print_table(rows):
    full = rows[0]
    columns = {
        "parameters": ("params", ",.0f"),
        "FLOPs a word": ("flops", ",.0f"),
        "training FLOPs": ("training", ".3g"),
        "seconds": ("seconds", ".0f"),
        "words a second": ("rate", ",.0f"),
    }
    titles = "".join(f"{title:>20}" for title in columns)
    print(f"\n{'network':<16}{'test perplexity':>16}{titles}")
    for row in rows:
        cells = [
            tables.cell(row[key], full[key], form)
            for key, form in columns.values()
        ]
        perplexity = tables.cell(row["perplexity"], np.nan, ".1f")
        print(
            f"{row['name']:<16}{perplexity:>16}"
            + "".join(f"{cell:>20}" for cell in cells)
        )


def compare_networks(strategy):
    """Trains the networks, and tells how they compare."""
    corpus = text_data.load(FLAGS.data)
    recipe = chosen_recipe()
    # A network carries a state for each stream that its replica reads.
    of_replica = recipe_of_replica(recipe, strategy.replicas)
    words = corpus.words
    print(
        f"{len(corpus.train):,} words of training text, {len(words):,} "
        f"different ones; {len(corpus.test):,} words of test text"
    )
    cost_of = {
        "flops": kgp.count_flops,
        "params": lambda model: model.count_params(),
    }[FLAGS.measure]
    rows, models = [], {}

    def finish(name, model, seconds, training=None):
        """Measures a network for the table; NaN seconds: it is not trained."""
        model = strategy.on_one_device(model)
        flops = kgp.count_flops(model) / recipe.steps
        if training is None:
            training = 3 * flops * len(corpus.train) * recipe.epochs
        model.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[language_training.Perplexity()],
        )
        models[name] = model
        rows.append(
            dict(
                name=name,
                perplexity=np.nan
                if np.isnan(seconds)
                else language_training.perplexity(
                    model, corpus.test, of_replica
                ),
                flops=flops,
                params=model.count_params(),
                training=training,
                seconds=seconds,
            )
        )

    def train(model, callbacks=(), **arguments):
        # A bar needs a terminal; elsewhere a line an epoch does.
        verbose = 1 if sys.stdout.isatty() else 2
        return language_training.train(
            model,
            corpus,
            recipe,
            [time_left.TimeLeft(), *callbacks],
            verbose=verbose,
            **arguments,
        )[1]

    print(
        f"three networks, {recipe.epochs} epochs of {len(corpus.train):,} "
        "words each: the full one, a uniformly narrow one, and one that grows"
    )
    keras.utils.set_random_seed(FLAGS.seed)
    with strategy.scope():
        full = keras.Model(*network(of_replica, words))
    if strategy.trains_plain_networks:
        print(f"training the full network ({full.count_params():,} parameters)")
        finish("full", full, train(full))

        keras.utils.set_random_seed(FLAGS.seed)
        limit = FLAGS.budget * cost_of(full)
        with strategy.scope():
            narrow = narrow_network(of_replica, words, cost_of, limit)
        print(f"training the narrow one ({narrow.count_params():,} parameters)")
        finish("uniformly narrow", narrow, train(narrow))
    else:
        print("several workers: plain Keras trains no full and no narrow one")
        finish("full", full, np.nan)

    # The paper's rule draws its structures for most of the run.
    moments = {"settle_at": 0.8} if FLAGS.rule == "paper" else {}
    keras.utils.set_random_seed(FLAGS.seed)
    with strategy.scope():
        grown = kgp.GrowPruneModel(
            *network(of_replica, words, growable=True),
            budget=kgp.Budget(**{FLAGS.measure: FLAGS.budget}),
            schedule=kgp.GrowthSchedule.around(
                FLAGS.budget,
                restructure_every=FLAGS.restructure_every,
                **moments,
            ),
            rule=FLAGS.rule,
        )
    print(f"growing one within {FLAGS.budget:.0%} of the {FLAGS.measure}")
    seconds = train(grown, [PrintStructure()], gate_rate=FLAGS.gate_rate)
    if not strategy.is_chief:
        return
    compact = grown.compact()
    training = grown.ledger.total("training_flops")
    finish("grown", compact, seconds, training)

    rates = language_training.tokens_per_second(models, of_replica, len(words))
    for row in rows:
        row["rate"] = rates[row["name"]]
    print()
    grown.structure_summary()
    print_table(rows)
    print(f"\nThe grown network writes:\n\n{text_from(compact, words)}\n")
    folder = pathlib.Path(FLAGS.output)
    folder.mkdir(parents=True, exist_ok=True)
    compact.save(folder / "compact.keras")
    (folder / "words.txt").write_text("\n".join(words), encoding="utf-8")
    print(f"wrote {folder / 'compact.keras'} and {folder / 'words.txt'}")


def main(argv):
    del argv
    logging.set_verbosity(logging.ERROR)
    strategies.run(compare_networks)


if __name__ == "__main__":
    app.run(main)
