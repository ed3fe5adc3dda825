"""Places in lists: anchored where the configuration says, without secrets, and no row left out."""

from __future__ import annotations

from urllib.parse import parse_qs, parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from artifact_sync.errors import Refused
from artifact_sync.gitlab.address import Address
from artifact_sync.gitlab.cursors import anchored, following, next_links, place, resized, size_of, without_keyset

PLAIN = Address.parse("https://gitlab.example.com")
ROOTED = Address.parse("https://example.com:8443/tools/gitlab/")
JOBS = "projects/1/jobs?pagination=keyset&order_by=id&sort=desc&per_page=100"
CURSOR = "eyJpZCI6IjYiLCJfa2QiOiJuIn0%3D"
ASKED = "GET /projects/1/jobs"


def after(*links: str, at: str = JOBS, address: Address = PLAIN, **others: str) -> str | None:
    """The place behind a page with these Link headers."""
    headers = CIMultiDict([("Link", link) for link in links] + [(k.replace("_", "-"), v) for k, v in others.items()])
    return following(headers, at, address, asked=ASKED)


@pytest.mark.parametrize(
    "origin",
    [
        "https://gitlab.example.com",
        "http://gitlab.example.com",
        "https://gitlab.example.com:8443",
        "http://internal.lan:8080",
        "https://10.0.0.1",
        "https://user:pw@gitlab.example.com",
    ],
)
def test_a_link_to_any_origin_becomes_a_place_of_the_configured_one(origin):
    """GitLab names its external_url; the request goes where the configuration says."""
    found = after(f'<{origin}/api/v4/projects/1/jobs?cursor={CURSOR}&id=1&per_page=100>; rel="next"')
    assert found == f"projects/1/jobs?cursor={CURSOR}&id=1&per_page=100"
    assert PLAIN.api(found) == f"https://gitlab.example.com/api/v4/{found}"


def test_a_link_below_a_relative_url_root():
    """The root is taken off, and put before again."""
    found = after('<https://public.example.com/tools/gitlab/api/v4/projects?id_after=7>; rel="next"', address=ROOTED)
    assert found == "projects?id_after=7"
    assert ROOTED.api(found) == "https://example.com:8443/tools/gitlab/api/v4/projects?id_after=7"


def test_a_relative_link():
    """As a proxy in front may make it."""
    assert after('</api/v4/projects?page=2>; rel="next"') == "projects?page=2"


@pytest.mark.parametrize(
    "url",
    [
        "https://gitlab.example.com/tools/gitlab/api/v4/projects?page=2",
        "https://gitlab.example.com/api/v3/projects?page=2",
        "https://gitlab.example.com/",
        "https://gitlab.example.com/api/v4/",
        "https://gitlab.example.com/api/v4/../../users",
        "https://gitlab.example.com/api/v4/%2e%2e/admin",
        "https://gitlab.example.com/api/v4/projects/..%2f..%2fx",
        "https://gitlab.example.com/api/v4/pro jects",
        "https://gitlab.example.com/api/v4/projects?x=\u00e9",
        "https://gitlab.example.com/api/v4/projects?x=" + "y" * 9000,
        "https://[bad/api/v4/projects?page=2",
        "",
    ],
)
def test_a_link_outside_the_api_is_refused(url):
    """Nothing that is no place of this API is asked for with the token, whatever it is."""
    with pytest.raises(Refused) as caught:
        after(f'<{url}>; rel="next"')
    assert caught.value.hint
    assert "page=2" not in str(caught.value)


@pytest.mark.parametrize(
    "secret",
    ["private_token", "access_token", "job_token", "token", "PRIVATE_TOKEN", "private%5ftoken", "private%5Ftoken"],
)
def test_secrets_in_a_link_do_not_get_into_a_place(secret):
    """GitLab repeats every parameter of the request; places are stored."""
    found = after(f'<https://x/api/v4/projects/1/jobs?{secret}=SECRET&cursor={CURSOR}&id=1>; rel="next"')
    assert found == f"projects/1/jobs?cursor={CURSOR}&id=1"


def test_what_is_not_changed_stays_as_it_was_written():
    """Cursors and encoded paths come back byte for byte."""
    found = after('<https://x/api/v4/projects/a%2Fb/jobs?cursor=a%2Bb%3D&scope[]=x&scope[]=y&e>; rel="next"')
    assert found == "projects/a%2Fb/jobs?cursor=a%2Bb%3D&scope[]=x&scope[]=y&e"


NEXT = "https://x/api/v4/projects?page=3"
OTHERS = '<https://x/api/v4/projects?page=1>; rel="prev", <https://x/api/v4/projects?page=1>; rel="first"'


@pytest.mark.parametrize(
    "links",
    [
        [f'{OTHERS}, <{NEXT}>; rel="next"'],
        [f'<{NEXT}>; rel="next", {OTHERS}'],
        [OTHERS, f'<{NEXT}>; rel="next"'],
        [f'<{NEXT}>; rel="next"', OTHERS],
        [f"<{NEXT}>; rel=next"],
        [f"<{NEXT}>;rel=next"],
        [f'<{NEXT}>; REL="NEXT"'],
        [f'<{NEXT}>; rel = "next"'],
        [f'<{NEXT}>; title="a;b"; rel="next"'],
        [f'<{NEXT}>; rel="last next"'],
    ],
)
def test_the_next_link_is_found_in_every_way_to_write_it(links):
    """One header or several, any order, quotes or none (RFC 8288)."""
    assert after(*links) == "projects?page=3"


@pytest.mark.parametrize(
    "link",
    [OTHERS, "", f'<{NEXT}>; rel="prev"', f'<{NEXT}>; rel="nextish"', f"<{NEXT}>", f'<{NEXT}; rel="next"', "nonsense"],
)
def test_a_link_header_without_next_is_the_last_page(link):
    """X-Next-Page does not count beside it."""
    assert after(link, X_Next_Page="7") is None


def test_a_link_with_commas_in_it():
    """They are part of the URL."""
    assert list(next_links('<https://x/a?scope=a,b>; rel="next", <https://x/c>; rel="last"')) == [
        "https://x/a?scope=a,b"
    ]


@pytest.mark.parametrize(
    ("number", "found"),
    [("2", "projects?per_page=100&page=2"), ("", None), (" ", None), ("0", None), ("-1", None), ("x", None)],
)
def test_the_page_number_counts_without_links(number, found):
    """For proxies that drop Link headers, which can be long."""
    assert after(at="projects?per_page=100", X_Next_Page=number) == found


def test_the_page_number_takes_the_place_of_the_old_one():
    """There is one page in a place."""
    assert after(at="projects?page=2&per_page=100", X_Next_Page="3") == "projects?per_page=100&page=3"


def test_no_header_at_all_is_the_last_page():
    """As at the end of a keyset list."""
    assert after() is None


def rows(at: str, total: int) -> range:
    """The rows of an offset page."""
    query = parse_qs(at.partition("?")[2])
    size, page = int(query["per_page"][0]), int(query.get("page", ["1"])[0])
    return range(min(total, (page - 1) * size), min(total, page * size))


def behind(at: str) -> str:
    """The next page, as GitLab's link has it."""
    query = parse_qs(at.partition("?")[2])
    return f"projects?page={int(query.get('page', ['1'])[0]) + 1}&per_page={query['per_page'][0]}"


@given(
    page=st.integers(1, 300),
    sizes=st.lists(st.integers(1, 100), min_size=2, max_size=5),
    total=st.integers(0, 2000),
)
def test_resized_pages_leave_no_row_out(page, sizes, total):
    """Made smaller again and again, and read on to the end: all rows from the old page's first on are there."""
    first, *smaller = sorted(sizes, reverse=True)
    at = f"projects?per_page={first}&page={page}"
    begin, seen = rows(at, total).start, set[int]()
    for size in smaller:
        at = resized(at, size)
        assert size_of(at) == size
        seen |= set(rows(at, total))
        at = behind(at)
    while found := rows(at, total):
        seen |= set(found)
        at = behind(at)
    assert set(range(begin, total)) <= seen


def test_a_keyset_page_is_resized_where_it_is():
    """The cursor says where it begins."""
    at = f"projects/1/jobs?pagination=keyset&cursor={CURSOR}&per_page=100"
    assert resized(at, 50) == f"projects/1/jobs?pagination=keyset&cursor={CURSOR}&per_page=50"


def test_without_keyset_it_is_the_same_list_from_its_beginning():
    """What belongs to keyset goes, every filter stays."""
    at = f"projects/1/jobs?pagination=keyset&order_by=id&sort=desc&scope[]=success&cursor={CURSOR}&per_page=50"
    assert without_keyset(at) == "projects/1/jobs?scope[]=success&per_page=50"


@given(st.dictionaries(st.sampled_from(["source", "updated_after", "per_page"]), st.text(max_size=20)))
def test_a_first_place_says_what_was_asked(params):
    """Whatever is in a value arrives as it was meant."""
    _, _, query = place("projects", params).partition("?")
    assert dict(parse_qsl(query, keep_blank_values=True)) == params


def test_an_anchored_place_is_a_place_again():
    """A place that was stored, and its URL, are the same thing."""
    assert anchored(PLAIN.api(JOBS), PLAIN, asked=ASKED) == JOBS
