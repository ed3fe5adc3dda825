"""What is remembered of list pages: how much, for whom, and when it is shown again."""

from __future__ import annotations

import random

import pytest
from multidict import CIMultiDict

from artifact_sync.gitlab.revalidation import Look, PageCache
from artifact_sync.gitlab.tokens import Token, TokenKind
from artifact_sync.gitlab.transport import Answer

MINE, YOURS = (Token(TokenKind.PRIVATE, value) for value in ("glpat-mine", "glpat-yours"))
AT = "projects/1/jobs?per_page=100"
NEXT = ("Link", '<https://gitlab.example.com/api/v4/projects/1/jobs?cursor=x>; rel="next"')


def answer(body: bytes = b"[1]", *headers: tuple[str, str], status: int = 200, etag: str = 'W/"a"') -> Answer:
    return Answer(status=status, headers=CIMultiDict([("ETag", etag), *headers]), body=body)


def asked(cache: PageCache, at: str = AT, token: Token = MINE) -> tuple[Look, str | None]:
    """A look, and the ETag that it asks with."""
    look = Look(cache, at)
    return look, look.condition(token).get("If-None-Match")


def read(
    cache: PageCache, found: Answer, *, at: str = AT, token: Token = MINE, rows: int = 1, more: bool = False
) -> None:
    """A page that was answered so."""
    look, _ = asked(cache, at, token)
    resolved = look.resolved(found)
    assert resolved is found
    look.remember(resolved, rows=rows, more=more)


def test_an_unchanged_page_is_shown_as_it_was():
    """Body and the headers that lead on, though the 304 has neither."""
    cache = PageCache()
    read(cache, answer(b"[1, 2]", NEXT, ("X-Next-Page", "2"), ("X-Request-Id", "1")), more=True)
    look, etag = asked(cache)
    shown = look.resolved(answer(b"", status=304))
    assert etag == 'W/"a"'
    assert shown is not None
    assert (shown.status, shown.body) == (200, b"[1, 2]")
    assert list(shown.headers.items()) == [NEXT, ("X-Next-Page", "2")]


@pytest.mark.parametrize(("rows", "more", "kept"), [(99, False, 1), (100, True, 1), (100, False, 0), (0, False, 1)])
def test_a_full_last_page_is_not_kept(rows, more, kept):
    """What comes behind it would change neither its body nor its ETag."""
    cache = PageCache()
    read(cache, answer(), rows=rows, more=more)
    assert len(cache) == kept


def test_a_304_that_tells_of_a_next_page_is_believed():
    """Rack leaves Link on it, and it is the newer one; it stays for the next time."""
    cache = PageCache()
    read(cache, answer(), rows=99)
    for headers in ([NEXT], []):
        look, _ = asked(cache)
        shown = look.resolved(answer(b"", *headers, status=304))
        assert shown is not None
        assert shown.headers.getall("Link") == [NEXT[1]]
        look.remember(shown, rows=99, more=True)


def test_a_page_that_turns_out_to_be_full_and_last_is_forgotten():
    """The 304 itself may say that nothing comes any more."""
    cache = PageCache()
    read(cache, answer(b"[1]", NEXT), rows=100, more=True)
    look, _ = asked(cache)
    shown = look.resolved(answer(b"", ("X-Next-Page", ""), status=304))
    assert shown is not None
    assert "Link" not in shown.headers
    look.remember(shown, rows=100, more=False)
    assert (len(cache), cache.size) == (0, 0)


def test_a_304_of_another_body_is_not_believed():
    """Then it is asked without a condition."""
    cache = PageCache()
    read(cache, answer())
    look, _ = asked(cache)
    assert look.resolved(answer(b"", status=304, etag='W/"b"')) is None
    assert asked(cache)[1] is None


@pytest.mark.parametrize("etag", ['"a"', 'W/"a"', None])
def test_a_304_may_say_its_etag_in_another_strength(etag):
    """Weak comparison; none at all is taken for the one that was asked for."""
    cache = PageCache()
    read(cache, answer())
    look, _ = asked(cache)
    headers = CIMultiDict({} if etag is None else {"ETag": etag})
    shown = look.resolved(Answer(status=304, headers=headers, body=b""))
    assert shown is not None
    assert shown.body == b"[1]"


def test_another_token_is_told_nothing():
    """Nothing of the first one is left, also for itself."""
    cache = PageCache()
    read(cache, answer())
    assert asked(cache, token=YOURS)[1] is None
    assert asked(cache, token=MINE)[1] is None
    assert cache.size == 0


def test_an_answer_to_a_token_that_was_replaced_meanwhile_is_not_kept():
    """It would be shown to the new one."""
    cache = PageCache()
    late, _ = asked(cache)
    asked(cache, token=YOURS)
    late.remember(answer(), rows=1, more=False)
    assert asked(cache, token=YOURS)[1] is None


def test_places_are_told_apart():
    """An ETag is of one URL; equal bodies have equal ones, and that means nothing."""
    cache = PageCache()
    read(cache, answer())
    assert asked(cache, AT.replace("100", "50"))[1] is None


def test_what_another_url_answered_is_not_kept():
    """Nor what was kept of this one before it moved."""
    cache = PageCache()
    read(cache, answer())
    look, _ = asked(cache)
    look.moved()
    look.remember(answer(etag='"b"'), rows=1, more=False)
    assert asked(cache)[1] is None


@pytest.mark.parametrize("etag", ["", "a", 'W/"a', 'w/"a"', '"a b"', '"a\nX: y"', '"é"', f'"{"a" * 300}"'])
def test_an_etag_that_is_none_is_not_repeated(etag):
    """It would become a header of a request."""
    cache = PageCache()
    look, _ = asked(cache)
    look.remember(answer(etag=etag), rows=1, more=False)
    assert len(cache) == 0


def test_what_must_not_be_stored_is_not():
    """RFC 9111 section 5.2.2.5; what was stored before goes as well."""
    cache = PageCache()
    read(cache, answer())
    read(cache, answer(b"[2]", ("Cache-Control", "private, No-Store"), etag='"b"'))
    assert len(cache) == 0


def test_the_number_is_bounded():
    """The one that was not asked for the longest goes first."""
    cache = PageCache(most=3)
    for at in "abc":
        read(cache, answer(), at=at)
    assert asked(cache, "a")[1] is not None
    read(cache, answer(), at="d")
    assert [asked(cache, at)[1] is not None for at in "abcd"] == [True, False, True, True]


def test_the_bytes_are_bounded():
    """Of one, packed, and of all; what goes is not counted any more."""
    noise = [random.Random(number).randbytes(3000) for number in range(4)]
    cache = PageCache(most_bytes=8000, most_each=5000)
    read(cache, answer(b"".join(noise)), at="huge")
    assert (len(cache), cache.size) == (0, 0)
    read(cache, answer(b"x" * 20_000), at="packs well")
    assert 0 < cache.size < 5000
    for at, body in zip("abcd", noise, strict=True):
        read(cache, answer(body), at=at)
        assert cache.size <= 8000
    assert [asked(cache, at)[1] is not None for at in "abcd"] == [False, False, True, True]
    before = cache.size
    read(cache, answer(noise[0]), at="d")
    assert cache.size == before


def test_a_page_that_grew_too_large_takes_the_old_one_with_it():
    """Else the old one's ETag would be asked with for ever."""
    cache = PageCache(most_each=2000)
    read(cache, answer())
    read(cache, answer(random.Random(1).randbytes(5000), etag='"b"'))
    assert (asked(cache)[1], cache.size) == (None, 0)


def test_an_answer_too_long_to_be_packed_takes_the_old_one_with_it():
    """As does one without an ETag."""
    for found in (answer(b" " * (3 << 20), etag='"b"'), answer(etag="")):
        cache = PageCache()
        read(cache, answer())
        read(cache, found)
        assert asked(cache)[1] is None
