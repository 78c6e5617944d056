"""ImageNet, or another large set of photographs, from TFDS's records."""

import contextlib

import numpy as np
import tensorflow as tf

# Of the image, and of its height to its width (Szegedy et al., 2015).
_AREA = 0.08, 1.0
_ASPECT = 3 / 4, 4 / 3
# Of an image, the middle that is evaluated (He et al., 2016).
_CENTER = 0.875
_MOCK_EXAMPLES = 256


class PhotographSet:
    """A set of labelled photographs in TFDS.

    Args:
        name: Its name there, such as `"imagenet2012"`.

    Attributes:
        classes: Number of classes.
        is_mock: Whether TFDS has no data of that name, and random pictures
            take their place.
    """

    def __init__(self, name):
        import tensorflow_datasets as tfds

        self._tfds = tfds
        self._builder = tfds.builder(name)
        self.is_mock = False
        try:
            self._builder.download_and_prepare()
        except Exception as error:  # as many kinds as there are data sets
            self.is_mock = True
            _say_loudly(name, error)
            with self._mocked():
                self._builder = tfds.builder(name)
        self.classes = self._builder.info.features["label"].num_classes
        splits = self._builder.info.splits
        names = ("validation", "test")
        self._evaluated = next((x for x in names if x in splits), "train")

    def count(self, training=True):
        """Number of images."""
        if self.is_mock:
            return _MOCK_EXAMPLES
        split = "train" if training else self._evaluated
        return self._builder.info.splits[split].num_examples

    def training_batches(
        self, size, batch_size, seed, cache=False, worker=0, workers=1
    ):
        """Endless shuffled batches, cut out and mirrored at random.

        Args:
            size: Height and width of the images.
            batch_size: Images in a batch.
            seed: Seed of the order. Which worker is faster has a part in it
                too.
            cache: Whether to keep the files in memory, as JPEG.
            worker, workers: Which part to read, of how many.

        Returns:
            A `tf.data.Dataset` of `(images, labels)`: float32 from -1 to 1,
            and one-hot float32.
        """
        data = self._records("train", seed, worker, workers)
        data = data.cache() if cache else data
        data = data.shuffle(min(self.count(), 16_384), seed=seed).repeat()
        return self._batches(data, batch_size, lambda x: cut_out(x, size))

    def evaluation_batches(self, size, batch_size):
        """Batches of the middles of all images, once."""
        data = self._records(self._evaluated)
        return self._batches(data, batch_size, lambda x: middle(x, size))

    def _records(self, split, seed=None, worker=0, workers=1):
        """Examples with images as they are in the files."""
        tfds = self._tfds
        is_training = seed is not None
        if workers > 1:
            split = tfds.even_splits(split, n=workers, drop_remainder=True)
            split = split[worker]
        with self._mocked() if self.is_mock else contextlib.nullcontext():
            return self._builder.as_dataset(
                split=split,
                shuffle_files=is_training,
                decoders={"image": tfds.decode.SkipDecoding()},
                read_config=tfds.ReadConfig(
                    shuffle_seed=seed,
                    interleave_cycle_length=16,
                    try_autocache=False,
                ),
            )

    def _mocked(self):
        return self._tfds.testing.mock_data(num_examples=_MOCK_EXAMPLES)

    def _batches(self, data, batch_size, picture):
        def prepared(example):
            label = tf.one_hot(example["label"], self.classes)
            return picture(example["image"]), label

        data = data.map(
            prepared, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False
        )
        return data.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _say_loudly(name, error):
    reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    line = "*" * 79
    print(
        f"{line}\n"
        f"* TFDS HAS NO {name.upper()} HERE: WHAT FOLLOWS IS TRAINED ON "
        f"{_MOCK_EXAMPLES} RANDOM\n"
        "* PICTURES, TO TRY THE PROGRAM. ACCURACIES MEAN NOTHING. ImageNet "
        "must be fetched\n"
        "* by hand: see "
        "https://www.tensorflow.org/datasets/catalog/imagenet2012\n"
        f"* ({reason})\n{line}",
        flush=True,
    )


def cut_out(file, size):
    """A random part of a JPEG file, decoded no further than it is needed."""
    shape = tf.io.extract_jpeg_shape(file)
    begin, extent, _ = tf.image.sample_distorted_bounding_box(
        shape,
        np.array([[[0.0, 0.0, 1.0, 1.0]]], "float32"),
        area_range=_AREA,
        aspect_ratio_range=_ASPECT,
        max_attempts=10,
        use_image_if_no_bounding_boxes=True,
    )
    image = _decoded(file, begin[0], begin[1], extent[0], extent[1], size)
    return tf.image.random_flip_left_right(image)


def middle(file, size):
    """The square middle of a JPEG file."""
    shape = tf.io.extract_jpeg_shape(file)
    edge = tf.cast(tf.reduce_min(shape[:2]), tf.float32)
    edge = tf.cast(tf.round(_CENTER * edge), tf.int32)
    top, left = (shape[0] - edge) // 2, (shape[1] - edge) // 2
    return _decoded(file, top, left, edge, edge, size)


def _decoded(file, top, left, height, width, size):
    window = tf.stack([top, left, height, width])
    image = tf.image.decode_and_crop_jpeg(file, window, channels=3)
    image = tf.image.resize(image, (size, size))
    return tf.ensure_shape(image / 127.5 - 1.0, (size, size, 3))
