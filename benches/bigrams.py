#!/usr/bin/env python3
"""Prints how often each pair of bytes occurs in source text: the content of `src/detect/finder/bigrams.txt`.

    python3 benches/bigrams.py TREE... > src/detect/finder/bigrams.txt

All trees count the same. A random sample of the text files of each is read, the same one every time.
"""

import collections
import math
import os
import random
import sys

SAMPLE = 12_000_000  # bytes of a tree
CUT = 300_000  # bytes of a file
SYMBOLS = b"\t\n" + bytes(range(0x20, 0x7F))
SCALE = 1 << 24


def texts(tree):
    paths = sorted(os.path.join(folder, name) for folder, _, names in os.walk(tree) for name in names)
    random.Random(1).shuffle(paths)
    total = 0
    for path in paths:
        if "/.git/" in path or os.path.islink(path) or not os.path.isfile(path):
            continue
        with open(path, "rb") as file:
            text = file.read(CUT)
        if b"\0" not in text:
            total += len(text)
            yield text
        if total > SAMPLE:
            return


def shares(tree):
    counts, total = collections.Counter(), 0
    for text in texts(tree):
        counts.update(zip(text, text[1:]))
        total += len(text)
    return {pair: count / total for pair, count in counts.items()}


def level(share):
    return max(0, round(2 * math.log2(share * SCALE))) if share * SCALE >= 1 else 0


trees = sys.argv[1:]
sums = collections.Counter()
for tree in trees:
    for pair, share in shares(tree).items():
        sums[pair] += share / len(trees)
for first in SYMBOLS:
    print("".join(chr(ord("0") + level(sums[first, second])) for second in SYMBOLS))
