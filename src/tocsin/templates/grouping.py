"""Shapes to templates: which words of shapes that look alike are the same, and which vary.

Lines were masked before (numbers, addresses, paths, values), so few shapes are left. Shapes with the same
separators at the same places are split, word by word, until what still differs is taken for a parameter:

- the word with the fewest different values splits first (as in IPLoM, Makanju et al., KDD 2009);
- a word with many different values varies, and the more a value looks like a name made by a machine the
  fewer are enough (the threshold on distinct words of Brain, Yu et al., IEEE TSC 2023);
- a word also varies when it stands behind one that many different words follow in few places elsewhere;
- the first word of a message or of a quoted text, mostly written by a person, needs many, and no template
  varies in all words.

The result depends on which shapes there are, not on their order. Cost: the words of all shapes, once for
each level of splitting; for shapes, not for lines.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from tocsin.templates.shape import VARYING, Token, Tokens

FIRST_MIN: Final = 12
PLAIN_MIN: Final = 6
MIXED_MIN: Final = 2
MADE_MIN: Final = 3
FOLLOWED_MIN: Final = 5
FOLLOWED_SHARE: Final = 2
"""How many different values make a word vary: the first, a plain word, beside values that were masked, a
name made by a machine (one more beside masked ones if all are in capitals, as states and protocols are); how
many followers of the word before it make two enough, and how many of them there
must be for each word that stands before that one (`to` has many followers because it stands everywhere)."""
_PLAIN: Final = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+|[A-Za-z]+-[a-z]+")
_QUALIFIED: Final = re.compile(rb"[^.]+(?:\.[^.]+){2,}")


class Group(NamedTuple):
    """Shapes that are one template: their numbers, and its tokens before runs are shortened."""

    shapes: list[int]
    tokens: Tokens


def groups_of(shapes: Sequence[Tokens]) -> Iterator[Group]:
    """Divide shapes, each given once, into templates."""
    followers = _followers(shapes)
    alike: dict[tuple[tuple[bool, bytes], ...], list[int]] = defaultdict(list)
    for number, tokens in enumerate(shapes):
        alike[tuple((token.spaced, VARYING if token.is_word else token.text) for token in tokens)].append(
            number
        )
    for skeleton, members in alike.items():
        words = [place for place, token in enumerate(shapes[members[0]]) if token.is_word]
        rest = [members] if len(skeleton) else []
        if not skeleton:
            yield Group(members, ())
        while rest:
            rows = rest.pop()
            place = _splitting(shapes, rows, words, followers)
            if place is None:
                yield Group(rows, _common(shapes, rows, words))
            else:
                rest.extend(_split(shapes, rows, place))


def canonical(tokens: Tokens) -> Tokens:
    """Runs of varying words as one: lists of any length are one template."""
    kept: list[Token] = []
    for token in tokens:
        if token.varies and kept and kept[-1].varies and token.spaced:
            continue
        if token.varies and len(kept) > 1 and kept[-1][1:] == (False, b",") and kept[-2].varies:
            kept.pop()
            continue
        kept.append(token)
    return tuple(kept)


def _followers(shapes: Sequence[Tokens]) -> dict[bytes, int]:
    """How many different words follow each word, anywhere; 0 for words that stand behind many others."""
    behind: dict[bytes, set[bytes]] = defaultdict(set)
    ahead: dict[bytes, set[bytes]] = defaultdict(set)
    for tokens in shapes:
        before = b""
        for first, second in pairwise(tokens):
            if first.is_word and second.is_word and not first.varies:
                behind[first.text].add(second.text)
                ahead[first.text].add(before)
            before = first.text
    return {
        word: len(words)
        for word, words in behind.items()
        if len(words) >= max(FOLLOWED_MIN, FOLLOWED_SHARE * len(ahead[word]))
    }


def _splitting(
    shapes: Sequence[Tokens], rows: list[int], words: list[int], followers: dict[bytes, int]
) -> int | None:
    """The place of the word to split at, None if all that differ are parameters."""
    values = {place: {shapes[row][place].text for row in rows} for place in words} if len(rows) > 1 else {}
    one = shapes[rows[0]]
    same = [place for place, found in values.items() if len(found) == 1]
    anchored = any(not one[place].varies for place in same)
    first = next((place for place, found in values.items() if found != {VARYING}), -1)
    best: tuple[int, int] | None = None
    for place, found in values.items():
        if len(found) == 1:
            continue
        followed = place > 0 and one[place - 1].is_word and one[place - 1].text in followers
        leads = place == first or _opens(one, place)
        if anchored and len(found) >= _enough(found, leads, followed):
            continue
        best = min(best or (len(found), place), (len(found), place))
    return None if best is None else best[1]


def _opens(tokens: Tokens, place: int) -> bool:
    """Whether a word is the first of a quoted text."""
    return place > 0 and not tokens[place].spaced and tokens[place - 1].text == b'"'


def _enough(found: set[bytes], leads: bool, followed: bool) -> int:
    """How many different values make this word a parameter."""
    if all(map(_QUALIFIED.fullmatch, found)):
        return MADE_MIN
    if leads:
        return FIRST_MIN
    if VARYING in found:
        return MIXED_MIN + all(word == VARYING or word.isupper() for word in found)
    if followed:
        return 2
    made = sum(_PLAIN.fullmatch(word) is None for word in found)
    return MADE_MIN if made * 2 >= len(found) else PLAIN_MIN


def _split(shapes: Sequence[Tokens], rows: list[int], place: int) -> list[list[int]]:
    parts: dict[bytes, list[int]] = defaultdict(list)
    for row in rows:
        parts[shapes[row][place].text].append(row)
    return list(parts.values())


def _common(shapes: Sequence[Tokens], rows: list[int], words: list[int]) -> Tokens:
    tokens = list(shapes[rows[0]])
    for place in words:
        if any(shapes[row][place].text != tokens[place].text for row in rows):
            tokens[place] = tokens[place]._replace(text=VARYING)
    return tuple(tokens)
