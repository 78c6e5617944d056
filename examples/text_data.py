"""Text as numbered words: files in Penn Treebank's layout, or Python's own."""

import collections
import dataclasses
import pathlib
import re

import numpy as np

END = "<eos>"
UNKNOWN = "<unk>"
_PARTS = ("train", "valid", "test")
# Words seen less often in the default text are unknown ones.
_LEAST_OFTEN = 3
# Paragraphs of it that stay together.
_BLOCK = 10


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A text in three parts.

    Attributes:
        words: List of words, in the order of their numbers.
        train, valid, test: Integer arrays, the numbers of the words.
    """

    words: list
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


def load(folder=None):
    """Loads a text.

    Args:
        folder: Folder with three files whose names end in `train.txt`,
            `valid.txt` and `test.txt` (`ptb.train.txt`, ...): one sentence a
            line, words between blanks, rare ones written as `<unk>`. Defaults
            to `None`: the language reference that every Python carries
            (`pydoc_data.topics`), one paragraph a line.

    Returns:
        A `Corpus`. Each line ends with the word `<eos>`; words that the
        training part does not have are `<unk>`.

    Raises:
        FileNotFoundError: If the folder lacks one of the files, or has
            several for one part.
    """
    parts = _documentation() if folder is None else _files(folder)
    counts = collections.Counter(word for line in parts[0] for word in line)
    known = dict.fromkeys([END, UNKNOWN])
    known.update((word, None) for word, _ in counts.most_common())
    numbers = {word: number for number, word in enumerate(known)}
    unknown = numbers[UNKNOWN]
    return Corpus(
        list(numbers),
        *(
            np.array(
                [
                    numbers.get(word, unknown)
                    for line in lines
                    for word in [*line, END]
                ],
                dtype="int32",
            )
            for lines in parts
        ),
    )


def _files(folder):
    parts = []
    for part in _PARTS:
        found = sorted(pathlib.Path(folder).expanduser().glob(f"*{part}.txt"))
        if len(found) != 1:
            raise FileNotFoundError(
                f"Expected one file whose name ends in '{part}.txt' in folder "
                f"{folder!r}. Received: {[path.name for path in found]}"
            )
        text = found[0].read_text(encoding="utf-8")
        parts.append([line.split() for line in text.splitlines() if line])
    return parts


def _documentation():
    """Three parts of paragraphs, each paragraph in one of them only."""
    import pydoc_data.topics

    topics = pydoc_data.topics.topics
    lines = [
        re.findall(r"\w+|[^\w\s]", paragraph.lower())
        for name in sorted(topics)
        for paragraph in re.split(r"\n\s*\n", topics[name])
    ]
    lines = dict.fromkeys(map(tuple, lines))  # topics repeat each other
    counts = collections.Counter(word for line in lines for word in line)
    masked = [
        tuple(w if counts[w] >= _LEAST_OFTEN else UNKNOWN for w in line)
        for line in lines
        if line
    ]
    parts = {part: [] for part in _PARTS}
    for index, line in enumerate(dict.fromkeys(masked)):
        block = index // _BLOCK % 10
        parts[{4: "valid", 9: "test"}.get(block, "train")].append(line)
    return [parts[part] for part in _PARTS]


def streams(numbers, batch_size, steps):
    """Cuts a text into streams that are read side by side.

    Args:
        numbers: Integer array, the text.
        batch_size: Number of streams.
        steps: Words of each stream in a batch.

    Returns:
        `(inputs, targets)`, arrays of shape `(batches * batch_size, steps)`:
        row k of a batch goes on where row k of the batch before ended, and
        the targets are the inputs one word later. What does not fill a batch
        is left out.

    Raises:
        ValueError: If the text does not fill one batch.
    """
    batches = (len(numbers) - 1) // (batch_size * steps)
    if not batches:
        raise ValueError(
            f"A text of {len(numbers)} words does not fill one batch of "
            f"{batch_size} streams of {steps} words. Take fewer or shorter "
            "ones."
        )
    length = batches * steps
    starts = np.arange(batch_size) * length
    where = starts[:, None] + np.arange(length)

    def in_order(text):
        text = text[where].reshape(batch_size, batches, steps)
        return text.transpose(1, 0, 2).reshape(-1, steps)

    return in_order(numbers), in_order(numbers[1:])
