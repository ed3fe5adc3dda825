"""What came instead of an archive, told by its first bytes.

A login page, a JSON error or an object store's XML error can arrive with status 200, and the name ``artifacts.zip`` proves
nothing: https://gitlab.com/gitlab-org/gitlab/-/issues/29118 is a 404 body saved as a zip.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from artifact_sync.errors import Corrupt, NotAnArchive

__all__ = ["HEAD", "is_zip", "refuse_page", "require_gzip", "require_zip"]

#: First bytes looked at.
HEAD = 512
_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_PAGE = (b"<!doctype html", b"<html")
_PAGE_SUFFIXES = {".htm", ".html", ".shtml", ".xhtml", ".xht"}
_LOGIN = (b"/users/sign_in", b"new_user", b"sign in", b"login")
#: ASCII that prints, and white space; all of it in UTF-8 is told apart from data well enough by this.
_TEXT = frozenset(b"\t\n\r" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100)))
_OTHER_FORMAT = "The job's archive was uploaded in another format than zip, or was compressed on the way."
_CHANGED = "Something between here and GitLab changed the answer; open the URL in a browser."
#: Types that are told. Any other text in that header is the server's own, as is all that it sends.
_TYPES = {
    "application/gzip",
    "application/json",
    "application/octet-stream",
    "application/xml",
    "application/zip",
    "text/html",
    "text/plain",
    "text/xml",
}
#: (first bytes in lower case, what it is, what to do)
_KNOWN = (
    ((_GZIP,), "gzip data", _OTHER_FORMAT),
    ((b"\x28\xb5\x2f\xfd",), "zstandard data", _OTHER_FORMAT),
    ((b"\xfd7zxz\x00",), "xz data", _OTHER_FORMAT),
    ((b"pk\x07\x08",), "a part of a split zip", _OTHER_FORMAT),
    (_PAGE, "an HTML page", "A proxy or a maintenance page answers in GitLab's place; open the URL in a browser."),
    (
        (b"<?xml", b"<error"),
        "an XML document",
        "The object store refused the download; the server's administrator can see why.",
    ),
    ((b"{", b"["), "JSON", "The server answered with a message instead of the archive."),
)


def require_zip(head: bytes, *, content_type: str = "") -> None:
    """Raise NotAnArchive, saying what came, unless ``head`` (the first ``HEAD`` bytes) begins a zip, empty ones included.

    None of the text itself is shown: a proxy's page or an echo service may repeat the request with its token.
    """
    if is_zip(head):
        return
    kind, hint = _what(head)
    raise NotAnArchive(f"expected a zip archive, got {kind}{_typed(content_type)}", hint=hint)


def is_zip(head: bytes) -> bool:
    """Whether these first bytes begin a zip."""
    return head.startswith(_ZIP)


def require_gzip(head: bytes, *, content_type: str = "", path: str) -> None:
    """Raise Corrupt, saying what came, unless ``head`` begins a gzip file."""
    if not head.startswith(_GZIP):
        kind, hint = _what(head)
        raise Corrupt(f"expected gzip data for {path}, got {kind}{_typed(content_type)}", hint=hint)


def refuse_page(head: bytes, *, content_type: str, path: str) -> None:
    """Raise Corrupt when an HTML page came for a log or a file that is none.

    GitLab sends a log as text/plain and a file from an archive with the type of its suffix (workhorse
    internal/artifacts/entry.go), so a page of type text/html is somebody else's.
    """
    page = content_type.startswith("text/html") and head.lstrip().lower().startswith(_PAGE)
    if page and PurePosixPath(path).suffix.lower() not in _PAGE_SUFFIXES:
        kind, hint = _what(head)
        raise Corrupt(f"expected {path}, got {kind} (Content-Type text/html)", hint=hint)


def _typed(content_type: str) -> str:
    media_type = content_type.partition(";")[0].strip().lower()
    return f" (Content-Type {media_type})" if media_type in _TYPES else ""


def _what(head: bytes) -> tuple[str, str]:
    """(what it is, what to do)."""
    if not head:
        return "nothing (0 bytes)", "The file may be missing from the server's storage; open the job's page to see."
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PAGE) and any(word in text for word in _LOGIN):
        return "a login page", "The token does not open this download, or a proxy asks for a login; check the token."
    for begins, kind, hint in _KNOWN:
        if text.startswith(begins):
            return kind, hint
    if _TEXT.issuperset(head):
        return "plain text", _CHANGED
    # Four bytes tell a format, and are too few to give away a token.
    return f"data of another format (it begins with {head[:4].hex(' ')})", _CHANGED
