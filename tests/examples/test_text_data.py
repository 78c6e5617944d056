import numpy as np
import pytest
import text_data


def write(folder, **parts):
    for part, text in parts.items():
        (folder / f"ptb.{part}.txt").write_text(text, encoding="utf-8")


def test_files_in_the_layout_of_penn_treebank(tmp_path):
    write(tmp_path, train="a b a\n a <unk> c\n", valid="b d\n", test="c\n\na\n")
    corpus = text_data.load(tmp_path)
    assert corpus.words == ["<eos>", "<unk>", "a", "b", "c"]
    assert corpus.train.tolist() == [2, 3, 2, 0, 2, 1, 4, 0]
    assert corpus.valid.tolist() == [3, 1, 0]  # nobody has seen d
    assert corpus.test.tolist() == [4, 0, 2, 0]


def test_missing_and_ambiguous_files_are_named(tmp_path):
    write(tmp_path, train="a\n", valid="a\n")
    with pytest.raises(FileNotFoundError, match="ends in 'test.txt'"):
        text_data.load(tmp_path)
    write(tmp_path, test="a\n")
    (tmp_path / "other.test.txt").write_text("a")
    with pytest.raises(FileNotFoundError, match="other.test.txt"):
        text_data.load(tmp_path)


def test_python_carries_a_text_whose_parts_share_no_paragraph():
    corpus = text_data.load()
    assert len(corpus.train) > 50_000
    assert min(len(corpus.valid), len(corpus.test)) > 4_000
    assert 1_000 < len(corpus.words) < 4_000

    def paragraphs(numbers):
        ends = np.flatnonzero(numbers == corpus.words.index("<eos>"))
        found = np.split(numbers, ends + 1)
        return {tuple(each) for each in found if (each > 1).sum() > 8}

    train = paragraphs(corpus.train)
    assert len(train) > 1000
    others = paragraphs(corpus.valid) | paragraphs(corpus.test)
    # Some differ only in words that the training part does not have.
    assert len(train & others) < 0.01 * len(others)


def test_streams_go_on_from_batch_to_batch():
    inputs, targets = text_data.streams(np.arange(27), batch_size=2, steps=3)
    # 26 words have a successor: four batches of two streams of three.
    assert inputs.tolist() == [
        [0, 1, 2],
        [12, 13, 14],
        [3, 4, 5],
        [15, 16, 17],
        [6, 7, 8],
        [18, 19, 20],
        [9, 10, 11],
        [21, 22, 23],
    ]
    assert np.array_equal(targets, inputs + 1)


def test_text_that_fills_no_batch_is_refused():
    with pytest.raises(ValueError, match="6 words does not fill one batch"):
        text_data.streams(np.arange(6), batch_size=2, steps=3)
    assert len(text_data.streams(np.arange(7), 2, 3)[0]) == 2
