"""The findings of the last page are what the committed pages say."""

import findings
import pandas as pd
import pytest


def test_the_committed_findings_are_sentences_of_the_pages():
    stored = pd.read_csv(findings.TABLE, dtype=str)
    pd.testing.assert_frame_equal(findings.collected().astype(str), stored)


@pytest.mark.parametrize("words, n", [("no page says this", 0), ("LFSSD", r"\d+")])
def test_words_that_no_sentence_or_several_contain_are_named(monkeypatch, words, n):
    monkeypatch.setattr(findings, "FINDINGS", {"intuition": (("14", words),)})
    with pytest.raises(LookupError, match=f"{n} sentences of page 14 contain '{words}'"):
        findings.collected()
