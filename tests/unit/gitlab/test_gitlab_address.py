"""The configured address, and the URLs of jobs below it."""

from __future__ import annotations

import pytest

from artifact_sync.errors import ConfigError, UsageError
from artifact_sync.gitlab import job_url_parts
from artifact_sync.gitlab.address import Address

HOST = "https://gitlab.example.com"


@pytest.mark.parametrize(
    ("url", "api"),
    [
        (HOST, f"{HOST}/api/v4/version"),
        (f"{HOST}/", f"{HOST}/api/v4/version"),
        ("HTTPS://GitLab.Example.COM:443", f"{HOST}/api/v4/version"),
        (f"{HOST}:8443/tools/gitlab/", f"{HOST}:8443/tools/gitlab/api/v4/version"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v4/version"),
        ("http://[::1]:8080", "http://[::1]:8080/api/v4/version"),
    ],
)
def test_the_api_lies_below_the_address(url, api):
    """With its port and relative URL root, however it ends."""
    assert Address.parse(url).api("version") == api


@pytest.mark.parametrize(
    "url", ["", "gitlab.example.com", "ftp://x", "https://", "https://x:99999", "https://x:y", "https://[bad", "/x"]
)
def test_what_is_no_address(url):
    """The hint shows one."""
    with pytest.raises(ConfigError) as caught:
        Address.parse(url)
    assert "https://" in caught.value.hint


@pytest.mark.parametrize(
    ("url", "base", "parts"),
    [
        (f"{HOST}/group/project/-/jobs/123", HOST, ("group/project", 123)),
        (f"{HOST}/a/b/c/project/-/jobs/123/", HOST, ("a/b/c/project", 123)),
        (f"{HOST}/group/project/-/jobs/123/artifacts/browse?x=1#L5", HOST, ("group/project", 123)),
        (f"{HOST}/group/project/-/jobs/123/artifacts/file/a/jobs/9", HOST, ("group/project", 123)),
        (f"{HOST}/group/project/jobs/123", HOST, ("group/project", 123)),
        (f"{HOST}/group/project/builds/123", HOST, ("group/project", 123)),
        (f"{HOST}/group/jobs/-/jobs/123", HOST, ("group/jobs", 123)),
        (f"  {HOST}/group/project/-/jobs/123\n", HOST, ("group/project", 123)),
        (f"{HOST}/api/v4/projects/7/jobs/123", HOST, ("7", 123)),
        (f"{HOST}/api/v4/projects/group%2Fproject/jobs/123/artifacts", HOST, ("group/project", 123)),
        (f"{HOST}/tools/gitlab/g/p/-/jobs/5", f"{HOST}/tools/gitlab", ("g/p", 5)),
        (f"{HOST}:8443/g/p/-/jobs/5", f"{HOST}:8443", ("g/p", 5)),
        (f"{HOST}/g/p/-/jobs/5", f"{HOST}:8443", ("g/p", 5)),
        ("http://gitlab.example.com/g/p/-/jobs/5", HOST, ("g/p", 5)),
    ],
)
def test_the_project_and_id_of_a_jobs_url(url, base, parts):
    """Of its page in all its tabs, of older versions' pages, and of the API."""
    assert job_url_parts(url, base) == parts


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://gitlab.com/group/project/-/jobs/123", HOST),
        (f"{HOST}:9999/group/project/-/jobs/123", HOST),
        (f"{HOST}.evil.test/group/project/-/jobs/123", HOST),
        (f"{HOST}/group/project/-/jobs/123", f"{HOST}/tools/gitlab"),
        (f"{HOST}/group/project/-/pipelines/123", HOST),
        (f"{HOST}/group/project/-/jobs", HOST),
        (f"{HOST}/group/project/-/jobs/x", HOST),
        (f"{HOST}/group/../project/-/jobs/1", HOST),
        (f"{HOST}/-/jobs/1", HOST),
        ("group/project/-/jobs/123", HOST),
        ("https://[bad/group/project/-/jobs/123", HOST),
        ("https://gitlab.example.com:port/g/p/-/jobs/1", HOST),
        ("123", HOST),
        ("", HOST),
    ],
)
def test_what_is_no_url_of_a_job_there(url, base):
    """The hint shows one."""
    with pytest.raises(UsageError) as caught:
        job_url_parts(url, base)
    assert "/-/jobs/" in caught.value.hint
