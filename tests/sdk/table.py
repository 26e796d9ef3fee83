"""Prints what passed and failed per SDK and upstream, from the JUnit files of both suites."""

import collections
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree


def main(files):
    passed, failed, skipped, broken = (collections.Counter() for _ in range(4))
    problems = []
    for file in files:
        if not pathlib.Path(file).exists():
            problems.append(f"{file}: the suite wrote no results")
            continue
        for case in ElementTree.parse(file).iter("testcase"):
            name = case.get("name")
            upstream = re.search(r"\b(up-\w+)", name)
            row = (suite(case, file), upstream.group(1) if upstream else "-")
            fault = next((one for one in case if one.tag in ("failure", "error")), None)
            if fault is not None:
                failed[row] += 1
                problems.append(f"{row[0]}: {name}: {first_line(fault)}")
            elif case.find("skipped") is not None:
                skipped[row] += 1
            else:
                passed[row] += 1
    for problem in problems:
        print("FAILED", problem)
    rows = sorted(passed | failed | skipped)
    print(f"{'SDK':<22}{'upstream':<14}{'passed':>7}{'failed':>7}")
    for row in rows:
        print(f"{row[0]:<22}{row[1]:<14}{passed[row]:>7}{failed[row]:>7}")
    print(f"{'all':<36}{passed.total():>7}{failed.total():>7}")
    return 1 if problems or not passed else 0


def suite(case, file):
    """`python.xml` holds a module per SDK; `node-openai.xml` is of one."""
    language, _dash, sdk = pathlib.Path(file).stem.partition("-")
    return f"{language} {sdk or case.get('classname').rsplit('.', 1)[-1].removeprefix('test_')}"


def first_line(fault):
    lines = [line for line in (fault.get("message") or fault.text or "").splitlines() if line.strip()]
    return " ".join(lines[:3])[:300]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
