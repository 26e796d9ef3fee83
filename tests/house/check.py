#!/usr/bin/env python3
"""Checks the rules of this house that no compiler knows: what must not depend on what, and what must not be there.

Prints every breach and exits with 1 when there is one.
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Which of our crates each may depend on. `lingate` wires everything; `testkit` is for tests, `xtask` for chores; neither is shipped.
ARROWS = {
    "lingate-dialect": set(),
    "lingate-catalog": {"lingate-dialect"},
    "lingate-metering": {"lingate-catalog", "lingate-dialect"},
    "lingate-routing": {"lingate-catalog", "lingate-dialect"},
    "lingate-config": {"lingate-catalog", "lingate-dialect", "lingate-metering", "lingate-routing"},
    "lingate-counters": {"lingate-metering"},
    "lingate-journal": {"lingate-metering"},
    "lingate-store": {"lingate-journal", "lingate-metering"},
    "lingate-upstream": {"lingate-catalog", "lingate-dialect", "lingate-routing"},
    "lingate-shelf": set(),
    "lingate-seal": {"lingate-shelf"},
    "lingate-gateway": {
        "lingate-catalog", "lingate-config", "lingate-counters", "lingate-dialect", "lingate-journal", "lingate-metering", "lingate-routing", "lingate-seal",
        "lingate-shelf", "lingate-upstream",
    },
    "lingate-admin": {
        "lingate-catalog", "lingate-config", "lingate-dialect", "lingate-gateway", "lingate-metering", "lingate-routing", "lingate-seal", "lingate-store",
        "lingate-upstream",
    },
    "lingate-testkit": {"lingate-dialect"},
    "lingate-xtask": {"lingate-catalog"},
}

# Bytes in, bytes out: these see no runtime, socket, clock or randomness, not even through somebody else's crate.
PURE = ["lingate-dialect", "lingate-catalog", "lingate-metering", "lingate-routing"]
# Calendars, and the hours of prices, need time zones; the moment is still an argument, and clippy.toml bans what reads the clock.
EXCUSED = {"lingate-catalog": {"jiff"}, "lingate-metering": {"jiff"}, "lingate-routing": {"jiff"}}
IMPURE = {
    "async-std", "chrono", "fastrand", "getrandom", "hyper", "hyper-util", "jiff", "mio", "rand", "reqwest", "ring", "rustls",
    "smol", "socket2", "time", "tokio", "tracing", "ureq", "uuid",
}

# Where a secret may be seen in clear, and why.
EXPOSE_SECRETS = {
    "crates/upstream/src": "puts it on the wire",
    "crates/config/src/tenants.rs": "hashes the keys that callers are known by",
    "crates/config/src/storage.rs": "reads the addresses of database and counters, compares them, and shows them without their passwords",
    "crates/lingate/src/first_start.rs": "shows the first operator's password, once",
    "crates/admin/src/identity": "hashes passwords, and looks whether they are good enough",
    "crates/admin/src/me/password.rs": "looks whether a new password is good enough, and another one",
    "crates/admin/src/people/accept.rs": "looks whether a new password is good enough",
    "crates/admin/src/session/create.rs": "looks how long a password is",
    "crates/admin/src/oidc/exchange.rs": "shows an issuer the client's secret, and the token that it gave",
    "crates/lingate/src/database.rs": "hands the address of the database to the store",
    "crates/lingate/src/ledger/mod.rs": "hands the address of Redis to the counters",
    "crates/config/src/providers": "reads it from the file: is it usable in a header, is it the word none, is it there twice",
    "crates/routing/src/keys/spec.rs": "hashes it, so that a key's health outlives a change of the configuration",
    "crates/routing/src/callers.rs": "hashes it, so that the health of callers' keys is kept without the keys",
    "crates/config/src/payments.rs": "compares it, so that a change is noticed",
    "crates/admin/src/payments": "checks signatures of payment services with it",
    "crates/gateway/src/shown.rs": "hashes what somebody shows to the control plane",
    "crates/gateway/src/caller.rs": "hashes what a caller presents and compares the hashes",
}

# Who knows SQL, and what SQL looks like in a string.
SQL = "crates/store"
STATEMENT = re.compile(
    r"\b(?:SELECT\s.+\sFROM|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|(?:CREATE|ALTER|DROP)\s+(?:TABLE|INDEX|VIEW|DATABASE|ROLE)|PRAGMA\s+\w+)\b"
)

VAGUE = {"common", "helper", "helpers", "misc", "util", "utils"}
LONGEST = 1200  # lines


def main() -> int:
    files = [pathlib.Path(name) for name in run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0") if name]
    files = [file for file in files if (ROOT / file).is_file()]
    checks = [arrows(), purity_bans(), secrets(files), provider_names(files), sql(files), names(files), lengths(files), loose_ends(files)]
    breaches = [breach for check in checks for breach in check]
    for breach in breaches:
        print(breach)
    print(f"house rules: {len(breaches)} breaches" if breaches else f"house rules: kept, {len(files)} files")
    return 1 if breaches else 0


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"house rules: `{' '.join(command)}` failed")
    return done.stdout


def arrows():
    """Our crates depend on each other in one direction only, and the pure ones on nothing impure."""
    metadata = json.loads(run("cargo", "metadata", "--format-version", "1", "--locked"))
    names = {package["id"]: package["name"] for package in metadata["packages"]}
    depends = {}
    for node in metadata["resolve"]["nodes"]:
        shipped = [dep["pkg"] for dep in node["deps"] if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]
        depends[node["id"]] = shipped
    for member in metadata["workspace_members"]:
        name = names[member]
        ours = {names[package] for package in depends[member] if names[package].startswith("lingate-")}
        if name != "lingate" and name not in ARROWS:
            yield f"{name}: tests/house/check.py does not say what it may depend on"
        for forbidden in sorted(ours - ARROWS.get(name, ours)):
            yield f"{name} must not depend on {forbidden}"
        if name != "lingate-testkit" and "lingate-testkit" in ours:
            yield f"{name} must not ship lingate-testkit: make it a dev-dependency"
        if "lingate-xtask" in ours:
            yield f"{name} must not ship lingate-xtask: it writes what the others read"
        if name in PURE:
            for path in sorted(impure_paths(member, depends, names)):
                if path.split(" → ")[-1] in EXCUSED.get(name, set()):
                    continue
                yield f"{name} is pure and must not depend on {path}"


def impure_paths(start: str, depends: dict, names: dict) -> set[str]:
    seen, todo, found = {start}, [(start, [])], set()
    while todo:
        package, path = todo.pop()
        for below in depends[package]:
            if names[below] in IMPURE:
                found.add(" → ".join([*path, names[below]]))
            elif below not in seen:
                seen.add(below)
                todo.append((below, [*path, names[below]]))
    return found


def purity_bans():
    """clippy reads one clippy.toml per crate and inherits nothing: the pure crates must share the same bans."""
    pattern = (ROOT / "crates/dialect/clippy.toml").read_text()
    for name in PURE:
        folder = ROOT / "crates" / name.removeprefix("lingate-")
        bans = folder / "clippy.toml"
        if folder.is_dir() and (not bans.is_file() or bans.read_text() != pattern):
            yield f"{bans.relative_to(ROOT)} must be the same as crates/dialect/clippy.toml"


def code(file: pathlib.Path) -> list[tuple[int, str]]:
    """The numbered lines of a Rust file without comments and without its tests, which stand last."""
    lines = []
    for number, line in enumerate((ROOT / file).read_text().splitlines(), 1):
        if line.strip() == "#[cfg(test)]":
            break
        if not line.lstrip().startswith("//"):
            lines.append((number, line))
    return lines


def secrets(files):
    """A secret is seen in clear where it is listed above, and nowhere else."""
    for file in files:
        listed = any(file.is_relative_to(place) for place in EXPOSE_SECRETS)
        if file.suffix != ".rs" or file.parts[0] != "crates" or listed or "tests" in file.parts or file.stem == "tests":
            continue
        for number, line in code(file):
            if "expose_secret" in line:
                yield f"{file}:{number}: sees a secret in clear; tests/house/check.py lists where that may be"


def provider_names(files):
    """A provider is a row of data; the data plane knows dialects."""
    catalogue = ROOT / "crates/catalog/data/providers.toml"
    if not catalogue.is_file():
        return
    dialects = {"chat", "messages", "gemini"}
    ids = {row["id"] for row in tomllib.loads(catalogue.read_text())["provider"]} - dialects - {"demo"}
    alternatives = "|".join(re.escape(name) for name in sorted(ids, key=len, reverse=True))
    # A string that is a name or a `name/model`, or an identifier made of one; not a path that clients call (`/openai/…`).
    literal = re.compile(rf'"(?:{alternatives})(?:/[^"]*)?"', re.I)
    identifier = re.compile(rf"\b(?:\w+_)?(?:{alternatives})(?:_\w+)?\s*[(:=]", re.I)
    for file in files:
        if file.suffix == ".rs" and file.is_relative_to("crates/gateway/src"):
            for number, line in code(file):
                without_strings = re.sub(r'"(?:[^"\\]|\\.)*"', '""', line)
                if literal.search(line) or identifier.search(without_strings):
                    yield f"{file}:{number}: a provider's name; make it a row or a quirk in crates/catalog: {line.strip()}"


def sql(files):
    """The request path runs no SQL: whatever a file of another crate asks of a database, it asks the store."""
    for file in files:
        if file.parts[0] != "crates" or file.is_relative_to(SQL):
            continue
        if file.name == "Cargo.toml" and re.search(r"^\s*(?:sqlx|rusqlite|tokio-postgres|diesel)[\w-]*\s*[.=]", (ROOT / file).read_text(), re.M):
            yield f"{file}: only {SQL} speaks to a database"
        if file.suffix == ".sql":
            yield f"{file}: SQL outside of {SQL}"
        if file.suffix == ".rs":
            for number, line in code(file):
                if re.search(r"\bsqlx::", line) or STATEMENT.search(line):
                    yield f"{file}:{number}: SQL outside of {SQL}: {line.strip()}"
    # What is deleted or summed is deleted or summed by the database.
    for file in files:
        if file.is_relative_to(f"{SQL}/src"):
            for number, line in code(file):
                if re.search(r"\bSELECT\s+\*", line):
                    yield f"{file}:{number}: names the columns that it wants, and no others: {line.strip()}"


def names(files):
    for file in files:
        for part in {*file.parts[:-1], file.name.split(".")[0]}:
            if part.lower() in VAGUE:
                yield f"{file}: `{part}` says nothing; name the thing"


def lengths(files):
    for file in files:
        if file.suffix in {".rs", ".py", ".ts", ".tsx"}:
            lines = len((ROOT / file).read_text().splitlines())
            if lines > LONGEST:
                yield f"{file}: {lines} lines, more than {LONGEST}; a file is one idea"


def loose_ends(files):
    left = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X{3})\b|\b(?:todo|unimplemented)!\(")
    for file in files:
        if file.suffix in {".rs", ".py", ".ts", ".tsx", ".sh"}:
            for number, line in enumerate((ROOT / file).read_text().splitlines(), 1):
                if left.search(line):
                    yield f"{file}:{number}: left open: {line.strip()}"


if __name__ == "__main__":
    sys.exit(main())
