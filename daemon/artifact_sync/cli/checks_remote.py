"""What `check` asks GitLab: is it there, which version, what is the token good for, which projects does it see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from artifact_sync.cli.finding import Finding
from artifact_sync.cli.words import count, moment, span
from artifact_sync.config import Settings
from artifact_sync.core.rules import KeepPolicy, Rule
from artifact_sync.errors import ArtifactSyncError, CredentialRefused, Denied, NotFound, Refused, Transient, Unreachable
from artifact_sync.ports import Remote, TokenInfo

__all__ = ["look"]

_SOON = timedelta(days=14)
#: A rule that names many projects is checked by the first of them.
_MOST = 20
_READS = frozenset({"api", "read_api"})


async def look(settings: Settings, remote: Remote, now: datetime) -> AsyncIterator[Finding]:
    """The findings, as they come. GitLab out of reach ends them early."""
    try:
        version = await remote.version()
        yield Finding.ok("GitLab", f"{settings.gitlab.url}, version {version.version}")
    except Transient as error:
        yield Finding.fail("GitLab", error)
        return
    except CredentialRefused as error:
        # GET /version asks for a credential, and the answer says which one is refused.
        yield Finding.fail("token", error)
        return
    except (NotFound, Refused) as error:
        # Every GitLab since 8.13 has /version: https://docs.gitlab.com/api/version/
        hint = "Is gitlab.url the address of GitLab itself, with the path it is installed under, if any?"
        yield Finding.fail("GitLab", Unreachable(error.asked, f"{error.answer}: this is no GitLab", hint=hint))
        return
    except Denied as error:
        yield Finding.warn("GitLab", f"{settings.gitlab.url} does not tell its version: {error.answer}")
    async for finding in _token(settings, remote, now):
        yield finding
    for rule in settings.compiled_rules:
        async for finding in _projects(rule, remote):
            yield finding


async def _token(settings: Settings, remote: Remote, now: datetime) -> AsyncIterator[Finding]:
    kind = settings.gitlab.token.kind
    if kind == "none":
        yield Finding.warn("token", "none: only public projects, and GitLab lists no jobs without one")
        return
    try:
        info = await remote.token()
    except (Denied, NotFound) as error:
        yield Finding.warn("token", f"{kind}, GitLab does not describe it: {error.answer}")
        return
    except ArtifactSyncError as error:
        yield Finding.fail("token", error)
        return
    if not info.scopes:
        yield Finding.ok("token", f"{kind}; GitLab does not describe tokens of this kind")
        return
    name = f" {info.name!r}" if info.name else ""
    yield Finding.ok("token", f"{kind}{name}, scopes {', '.join(info.scopes)}")
    for finding in (_scopes(settings, info), _expiry(info, now)):
        if finding:
            yield finding


def _scopes(settings: Settings, info: TokenInfo) -> Finding | None:
    scopes = set(info.scopes)
    if not scopes & _READS:
        return Finding.fail(
            "token",
            CredentialRefused(
                "scopes", f"none of {', '.join(sorted(_READS))}", hint="Make a token with the scope read_api."
            ),
        )
    keeping = [rule.name for rule in settings.compiled_rules if rule.keep.policy is not KeepPolicy.NEVER]
    if keeping and "api" not in scopes and settings.gitlab.keep_token is None:
        return Finding.warn(
            "keep",
            f"rules {', '.join(keeping)} keep artifacts, which needs the scope api",
            "Set gitlab.keep_token, or keep.policy: never.",
        )
    return None


def _expiry(info: TokenInfo, now: datetime) -> Finding | None:
    if info.expires_at is None:
        return None
    left = info.expires_at - now
    if left < _SOON:
        return Finding.warn("token", f"expires {moment(info.expires_at)}, in {span(left)}", "Rotate it before that.")
    return Finding.ok("token", f"expires {moment(info.expires_at)}")


async def _projects(rule: Rule, remote: Remote) -> AsyncIterator[Finding]:
    named: list[str | int] = [*rule.projects.ids, *rule.projects.exact_paths]
    for project in named[:_MOST]:
        try:
            found = await remote.project(project)
            yield Finding.ok(f"rule {rule.name}", f"sees {found.path_with_namespace} (id {found.id})")
        except ArtifactSyncError as error:
            yield Finding.fail(f"rule {rule.name}", error)
    if len(named) > _MOST:
        yield Finding.ok(f"rule {rule.name}", f"{count(len(named) - _MOST, 'more project')} not looked at")
    for group in rule.projects.group_prefixes:
        try:
            async for page in remote.group_projects(group) if group else remote.projects():
                seen = [project for project in page.items if rule.projects.matches(project)]
                more = " and more" if page.next else ""
                said = f"sees {count(len(seen), 'project')}{more} in {group or 'the instance'}"
                if seen or page.next:
                    yield Finding.ok(f"rule {rule.name}", said)
                else:
                    yield Finding.warn(f"rule {rule.name}", said, "Is the pattern right, and may the token see them?")
                break
        except ArtifactSyncError as error:
            yield Finding.fail(f"rule {rule.name}", error)
