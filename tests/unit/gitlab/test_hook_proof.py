"""Who has shown that he knows the secret of the webhooks."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from artifact_sync.errors import ConfigError
from artifact_sync.gitlab.hook_proof import Doubt, Proof, delivery_key, proof, require_usable
from tests.webhooks import KEY, SIGNING, TOKEN, signed

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AT = NOW.timestamp()
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=40)


def holds(secret, headers, *chunks, now=NOW) -> bool:
    """Whether these headers and this body prove it."""
    begun = proof(secret, CIMultiDict(headers), now)
    if isinstance(begun, Doubt):
        return False
    for chunk in chunks:
        begun.feed(chunk)
    return begun.holds


@given(body=st.binary(max_size=300), cut=st.integers(0, 300), identity=TEXTS)
def test_what_is_signed_with_the_key_holds_however_it_arrives(body, cut, identity):
    """In one piece or several, whatever the id."""
    assert holds(SIGNING, signed(body, at=AT, identity=identity), body[:cut], body[cut:])


@given(body=st.binary(min_size=1, max_size=200), place=st.integers(0, 199), bit=st.integers(0, 7))
def test_no_bit_of_the_body_can_be_changed(body, place, bit):
    """The signature is of the raw bytes."""
    changed = bytearray(body)
    changed[place % len(body)] ^= 1 << bit
    assert not holds(SIGNING, signed(body, at=AT), bytes(changed))


@given(key=st.binary(min_size=1, max_size=64).filter(lambda key: key != KEY))
def test_no_other_key_is_good(key):
    """Nor an empty one."""
    assert not holds(SIGNING, signed(b"{}", at=AT, key=key.ljust(64, b"x")), b"{}")


@given(off=st.floats(-1000, 1000, allow_nan=False))
def test_a_signature_is_good_for_300_seconds_before_and_after_its_moment(off):
    """By the clock of the receiver; the timestamp itself has whole seconds."""
    headers = signed(b"{}", at=AT + off)
    assert holds(SIGNING, headers, b"{}") == (abs(int(AT + off) - AT) <= 300)


@pytest.mark.parametrize(("off", "good"), [(300, True), (301, False), (-300, True), (-301, False)])
def test_the_window_ends_after_300_seconds(off, good):
    """On both sides."""
    assert holds(SIGNING, signed(b"{}", at=AT), b"{}", now=NOW + timedelta(seconds=off)) is good


@given(
    stamp=st.one_of(st.text(max_size=30), st.integers().map(str), st.floats().map(str)).filter(
        lambda text: text != str(int(AT))
    )
)
def test_another_timestamp_than_the_signed_one_is_refused(stamp):
    """Whatever stands there, it is no error."""
    assert not holds(SIGNING, {**signed(b"{}", at=AT), "webhook-timestamp": stamp}, b"{}")


def test_one_good_signature_among_several_is_enough():
    """Keys are rotated with signatures by the old and the new one side by side, parted by spaces."""
    headers = signed(b"{}", at=AT)
    good = headers["webhook-signature"]
    for listed in (f"v1,AAAA {good}", f"{good} v1,AAAA", f"v1a,xyz {good} v2,abc", f" {good} "):
        assert holds(SIGNING, {**headers, "webhook-signature": listed}, b"{}")


@given(listed=TEXTS)
def test_whatever_else_stands_for_a_signature_is_refused(listed):
    """Also what is no ASCII, or lies half in the right one."""
    headers = signed(b"{}", at=AT)
    for text in (listed, headers["webhook-signature"][:-1], headers["webhook-signature"].replace("v1,", "v2,")):
        assert not holds(SIGNING, {**headers, "webhook-signature": text}, b"{}")


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_is_no_signature(name):
    """Each of the three is needed, and a token beside them is no replacement."""
    headers = {key: value for key, value in signed(b"{}", at=AT).items() if key != name}
    assert proof(SIGNING, CIMultiDict({**headers, "X-Gitlab-Token": SIGNING}), NOW) is Doubt.NOT_SIGNED


def test_a_token_is_compared_as_it_is():
    """GitLab sends it in the clear; a signature beside it, by a key that is not configured, is not looked at."""
    assert holds(TOKEN, {"X-Gitlab-Token": TOKEN}, b"{}")
    assert holds(TOKEN, {"x-gitlab-token": TOKEN, **signed(b"else", at=0)}, b"{}")


@given(shown=TEXTS)
def test_no_other_token_is_good(shown):
    """Longer, shorter, in another case or alphabet."""
    for text in (shown, TOKEN[:-1], f"{TOKEN} ", TOKEN.upper(), "\udcff", ""):
        if text != TOKEN:
            assert not holds(TOKEN, {"X-Gitlab-Token": text}, b"{}")


def test_without_a_token_a_token_is_missing():
    """A good signature by another secret proves nothing about this one."""
    assert proof(TOKEN, CIMultiDict(signed(b"{}", at=AT)), NOW) is Doubt.NO_TOKEN


@pytest.mark.parametrize("secret", ["whsec_", "whsec_???", "whsec_AAA", "whsec_\u00e9"])
def test_a_key_that_is_none_is_refused_at_the_start_and_proves_nothing_later(secret):
    """The file may get a broken one while the daemon runs."""
    with pytest.raises(ConfigError, match="no usable whsec_ key") as caught:
        require_usable(secret)
    assert "openssl rand" in caught.value.hint
    assert proof(secret, CIMultiDict(signed(b"{}", at=AT)), NOW) is Doubt.UNUSABLE


def test_no_representation_shows_the_secret():
    """Nor what is compared with it."""
    begun = proof(SIGNING, CIMultiDict(signed(b"{}", at=AT)), NOW)
    assert isinstance(begun, Proof)
    assert SIGNING not in repr(begun)
    assert repr(KEY) not in repr(begun)


def test_a_delivery_is_known_by_its_signed_id_and_else_by_the_other_one():
    """GitLab writes the same into both; a header that nobody signed cannot make an old one new."""
    first = delivery_key(CIMultiDict({"webhook-id": "a", "Idempotency-Key": "b"}))
    assert first == delivery_key(CIMultiDict({"webhook-id": "a", "Idempotency-Key": "c"}))
    assert first == delivery_key(CIMultiDict({"idempotency-key": "a"}))
    assert first != delivery_key(CIMultiDict({"webhook-id": "b"}))
    assert delivery_key(CIMultiDict({"X-Gitlab-Event-UUID": "a"})) is None
    assert len(first or b"") == 16
