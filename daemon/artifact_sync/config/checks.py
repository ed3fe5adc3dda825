"""What several keys together make wrong. Works on a configuration whose single values are right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from artifact_sync.config.latest import collisions
from artifact_sync.config.leaves import is_loopback
from artifact_sync.config.problems import Fault, KeyPath
from artifact_sync.config.rule_sections import RuleSection
from artifact_sync.config.sections import Secret, Token
from artifact_sync.config.settings import Settings
from artifact_sync.core.file_patterns import items_of

__all__ = ["Contradiction", "contradictions"]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A fault that comes from several keys. Where one of ``because`` is wrong in itself, it is not worth telling."""

    fault: Fault
    because: tuple[KeyPath, ...] = ()


def contradictions(settings: Settings) -> Iterator[Contradiction]:
    """Every contradiction between keys."""
    yield from _gitlab(settings)
    yield from _places(settings)
    yield from _timing(settings)
    yield from _bandwidth(settings)
    yield from _server(settings)
    yield from _hooks(settings)
    yield from _names(settings)
    yield from (Contradiction(fault, (fault.path, other)) for fault, other in collisions(settings.rules))
    for index, rule in enumerate(settings.rules):
        yield from _rule(rule, ("rules", index), has_keep_token=settings.gitlab.keep_token is not None)


def _gitlab(settings: Settings) -> Iterator[Contradiction]:
    gitlab = settings.gitlab
    yield from _token(gitlab.token, ("gitlab", "token"))
    if gitlab.keep_token is not None:
        path = ("gitlab", "keep_token")
        if gitlab.keep_token.kind == "none":
            yield _found(path, "kind: none keeps nothing", "remove keep_token, or give its source and kind")
        else:
            yield from _token(gitlab.keep_token, path)
    url = urlsplit(gitlab.url)
    tokens = [token for token in (gitlab.token, gitlab.keep_token) if token and token.kind != "none"]
    if url.scheme == "http" and tokens and not is_loopback(url.hostname or ""):
        what = "a token would be sent in clear over http"
        cure = "write https://, or token: {kind: none} for a public instance"
        yield _found(("gitlab", "url"), what, cure, because=(("gitlab", "token"), ("gitlab", "keep_token")))


def _token(token: Token, path: KeyPath) -> Iterator[Contradiction]:
    if token.kind == "none":
        if token.sources:
            what = f"kind: none, and yet a {token.sources[0]}"
            yield _found(path, what, "remove the source, or write kind: private, bearer or job", because=(path,))
        return
    yield from _secret(token, path)


def _secret(secret: Secret, path: KeyPath) -> Iterator[Contradiction]:
    if not secret.sources:
        cure = "write one of file, env or credential, such as {file: /run/secrets/gitlab-token}"
        yield _found(path, "no source of the secret", cure, because=(path,))
    elif len(secret.sources) > 1:
        what = f"{len(secret.sources)} sources ({', '.join(secret.sources)}) where one is used"
        yield _found(path, what, "keep one of them", because=(path,))


def _places(settings: Settings) -> Iterator[Contradiction]:
    store, state = settings.store, settings.state
    if store.path is None and store.url is None:
        yield _found(
            ("store",), "no place to publish to", "write path: ./mirror", because=(("store", "path"), ("store", "url"))
        )
    for name, place in (("store", store), ("state", state)):
        if place.path is not None and place.url is not None:
            paths = ((name, "path"), (name, "url"))
            yield _found((name, "url"), "both a path and a url", "keep one of them", because=paths)
    if store.path is not None and state.path is not None and store.path in state.path.parent.parents:
        what = "the state database lies in a folder of the store"
        yield _found(
            ("state", "path"), what, "write a path beside or directly in store.path", because=(("store", "path"),)
        )


def _timing(settings: Settings) -> Iterator[Contradiction]:
    poll = settings.poll
    if "max_interval" in poll.model_fields_set and poll.interval > poll.max_interval:
        path = ("poll", "max_interval")
        what = "shorter than poll.interval"
        yield _found(path, what, "write at least the value of poll.interval", because=(("poll", "interval"),))


def _bandwidth(settings: Settings) -> Iterator[Contradiction]:
    windows = settings.downloads.bandwidth
    for index, window in enumerate(windows if isinstance(windows, tuple) else ()):
        if window.start == window.to:
            path = ("downloads", "bandwidth", index)
            cure = "write another time, or a rate instead of the timetable for a limit that always holds"
            yield _found((*path, "to"), "the same time as from", cure, because=((*path, "from"),))


def _server(settings: Settings) -> Iterator[Contradiction]:
    server = settings.server
    for index, secret in enumerate(server.tokens):
        yield from _secret(secret, ("server", "tokens", index))
    if server.webhook_secret is not None:
        yield from _secret(server.webhook_secret, ("server", "webhook_secret"))
    if server.listen is not None and not server.tokens:
        host = server.listen.rpartition(":")[0].strip("[]")
        if not is_loopback(host):
            what = "listens beyond this machine, and anybody may read"
            cure = "write server.tokens: [{file: /run/secrets/readers}], or listen on 127.0.0.1"
            yield _found(("server", "listen"), what, cure, because=(("server", "tokens"),))


def _hooks(settings: Settings) -> Iterator[Contradiction]:
    if settings.hooks.secret is not None:
        yield from _secret(settings.hooks.secret, ("hooks", "secret"))


def _names(settings: Settings) -> Iterator[Contradiction]:
    first: dict[str, int] = {}
    for index, rule in enumerate(settings.rules):
        earlier = first.setdefault(rule.name, index)
        if earlier != index:
            path, other = ("rules", index, "name"), ("rules", earlier, "name")
            yield _found(path, f"the name of rules[{earlier}] already", "write a name of its own", because=(other,))


def _rule(rule: RuleSection, path: KeyPath, *, has_keep_token: bool) -> Iterator[Contradiction]:
    when, fetch, publish = rule.when, rule.fetch, rule.publish
    ref_type = (*path, "when", "ref_type")
    semver = (*path, "when", "semver")
    if when.semver is not None and when.ref_type and "tag" not in when.ref_type:
        cure = "write ref_type: [tag], or remove semver"
        yield _found(semver, "versions are those of tags, and ref_type excludes tags", cure, because=(ref_type,))
    if not (fetch.archive or items_of(fetch.files) or fetch.reports or fetch.trace):
        names = ("archive", "files", "reports", "trace")
        what = "nothing is fetched"
        yield _found(
            (*path, "fetch"),
            what,
            "write archive: true, files or trace: true",
            because=tuple((*path, "fetch", n) for n in names),
        )
    if publish.extract and not fetch.archive:
        what = "an archive that is not fetched cannot be unpacked"
        cure = "write fetch.archive: true, or remove extract"
        yield _found((*path, "publish", "extract"), what, cure, because=((*path, "fetch", "archive"),))
    for name in ("path", "latest"):
        template = getattr(publish, name)
        if template and "{version" in template and when.semver is None:
            what = "{version} is known where semver selects it only"
            yield _found(
                (*path, "publish", name), what, 'write when.semver, such as ">=0", or use {ref}', because=(semver,)
            )
    if publish.latest_by == "version":
        place = (*path, "publish", "latest_by")
        if publish.latest is None:
            yield _found(
                place,
                "nothing to order without latest",
                "write latest, or remove latest_by",
                because=((*path, "publish", "latest"),),
            )
        if when.semver is None:
            yield _found(
                place, "by version is for semver tags", "write when.semver, or latest_by: finished", because=(semver,)
            )
    if rule.after.delete_remote:
        yield from _deletion(rule, path, has_keep_token=has_keep_token)


def _deletion(rule: RuleSection, path: KeyPath, *, has_keep_token: bool) -> Iterator[Contradiction]:
    """What must hold where GitLab's artifacts are deleted: the whole archive is here, and somebody may delete."""
    place = (*path, "after", "delete_remote")
    if not has_keep_token:
        what = "deleting needs a token that may write"
        yield _found(
            place, what, "write gitlab.keep_token, or delete_remote: false", because=(("gitlab", "keep_token"),)
        )
    if not rule.fetch.archive:
        what = "GitLab would delete the whole archive, which is not fetched"
        cure = "write fetch.archive: true, or delete_remote: false"
        yield _found(place, what, cure, because=((*path, "fetch", "archive"),))
    elif rule.publish.extract == "only":
        what = "the files of an archive are no copy of it: its links and empty directories are left out"
        cure = "write publish.extract: true, which publishes the archive as well, or delete_remote: false"
        yield _found(place, what, cure, because=((*path, "publish", "extract"),))
    if rule.keep.policy == "always":
        what = "the same rule always keeps in GitLab what it would delete there"
        cure = "write keep.policy: before_expiry, or delete_remote: false"
        yield _found(place, what, cure, because=((*path, "keep", "policy"),))


def _found(path: KeyPath, what: str, cure: str, *, because: tuple[KeyPath, ...] = ()) -> Contradiction:
    return Contradiction(Fault(path=path, what=what, cure=cure), (path, *because))
