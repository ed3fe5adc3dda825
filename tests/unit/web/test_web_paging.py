"""Pages by cursor and by number, without any server."""

import base64

import pytest
from yarl import URL

from artifact_sync.web.answers import ApiError
from artifact_sync.web.paging import Asked, cursor_headers, cursor_id, offset_headers, offset_of, page_size


def asked(*query: tuple[str, str]) -> Asked:
    """A request for a list."""
    return Asked("http://here/api/v4/projects/1/jobs", query)


def status(work, *arguments) -> int:
    """Of the error that it ends with."""
    with pytest.raises(ApiError) as caught:
        work(*arguments)
    return caught.value.status


@pytest.mark.parametrize(("text", "rows"), [(None, 20), ("1", 1), ("100", 100), ("5000", 100)])
def test_a_page_has_20_rows_and_at_most_100(text, rows):
    """As GitLab's."""
    assert page_size(asked() if text is None else asked(("per_page", text))) == rows


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "1.5", "\u0661", "1" * 13])
def test_what_is_no_number_of_a_page_is_400(text):
    """Zero, signs, digits of other scripts, and more than an offset can be."""
    assert status(offset_of, asked(("page", text))) == 400
    assert status(page_size, asked(("per_page", text))) == 400


def test_a_cursor_is_read_back():
    """The Link of one page leads to the next, with every parameter once."""
    first = asked(
        ("pagination", "keyset"), ("scope[]", "success"), ("scope[]", "failed"), ("per_page", "2"), ("id", "1")
    )
    link = cursor_headers(first, 17)["Link"]
    following = URL(link[1:].partition(">")[0])
    assert cursor_id(asked(*following.query.items())) == 17
    assert following.query.getall("scope[]") == ["success", "failed"]
    assert cursor_headers(first, None) == {}


@pytest.mark.parametrize(
    "text",
    ["", "!", "e30=", "bnVsbA==", base64.urlsafe_b64encode(b'{"id":"-1"}').decode(), "\u00e9", "A" * 10_000]
    + [base64.urlsafe_b64encode(b'{"id":"%s"}' % digits).decode() for digits in (b"9" * 19, b"9" * 5000, b"x")],
)
def test_what_is_no_cursor_is_400(text):
    """Whatever it decodes to."""
    assert status(cursor_id, asked(("cursor", text))) == 400


@pytest.mark.parametrize("query", [("sort", "asc"), ("order_by", "name")])
def test_another_order_is_405(query):
    """Jobs are ordered by descending id alone."""
    assert status(cursor_id, asked(query)) == 405


def test_a_page_in_the_middle_has_all_links_and_totals():
    """Where rows were counted; without that neither totals nor the last page."""
    request = asked(("page", "2"), ("per_page", "10"))
    counted = offset_headers(request, offset_of(request), more=True, total=25)
    assert {k: v for k, v in counted.items() if k != "Link"} == {
        "X-Next-Page": "3", "X-Page": "2", "X-Per-Page": "10", "X-Prev-Page": "1", "X-Total": "25", "X-Total-Pages": "3",
    }  # fmt: skip
    assert [part.rpartition('rel="')[2] for part in counted["Link"].split(", ")] == [
        'prev"',
        'next"',
        'first"',
        'last"',
    ]
    uncounted = offset_headers(request, offset_of(request), more=False)
    assert "X-Total" not in uncounted
    assert 'rel="next"' not in uncounted["Link"]
