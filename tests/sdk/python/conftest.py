"""Runs every test against every upstream; with --direct, only against the one of the SDK's own dialect."""

import expect


def pytest_configure(config):
    config.addinivalue_line("markers", "modes(*names): the ways of asking that this test is for")
    config.addinivalue_line("markers", "gateway: means nothing without a gateway between")


def pytest_generate_tests(metafunc):
    if "upstream" in metafunc.fixturenames:
        several = getattr(metafunc.module, "UPSTREAMS", expect.UPSTREAMS)
        upstreams = [metafunc.module.OWN] if expect.DIRECT else several
        metafunc.parametrize("upstream", upstreams)
    if "mode" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("modes")
        modes = [mode for mode in metafunc.module.MODES if not marker or mode in marker.args]
        metafunc.parametrize("mode", modes)
    if "status" in metafunc.fixturenames:
        metafunc.parametrize("status", expect.ERRORS)


def pytest_collection_modifyitems(config, items):
    if expect.DIRECT:
        items[:] = [item for item in items if not item.get_closest_marker("gateway")]
