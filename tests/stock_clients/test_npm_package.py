"""The client library as a package of npm, in an app that has installed it. (FRO2)"""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest

from tests.support.clientpackage import INSTALLED, NODE, ROOT, install, pack, packed, run
from tests.support.madeonce import made_once

pytestmark = pytest.mark.timeout(240)

USE = """
import { createElement, type ReactElement } from 'react';
import { ReactFlow } from '@xyflow/react';
import { FlowSync, merge, type FlowStatus } from 'helix-flows';
import { useFlow } from 'helix-flows/react';

const flow = new FlowSync('demo', { url: 'http://127.0.0.1:4000' });
export const status: FlowStatus = flow.state.status;
// @ts-expect-error: there is no such kind
export const isOdd = status.kind === 'odd';
export const merged = merge({ title: 'a' }, { title: 'b' });

export function App(): ReactElement {
  const { nodes, edges, onNodesChange } = useFlow('demo');
  // @ts-expect-error: a flow is named by a text
  useFlow(1);
  return createElement(ReactFlow, { nodes, edges, onNodesChange });
}
"""

LOAD = """
import { FlowSync, merge } from 'helix-flows';
import { useFlow } from 'helix-flows/react';

const flow = new FlowSync('demo', { url: 'http://127.0.0.1:4000' });
"""


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(made_once(tmp_path_factory, "client-package", pack))


@pytest.fixture
def app(package: Path, tmp_path: Path) -> Path:
    """An app that has installed the package."""
    install(package, tmp_path)
    return tmp_path


def files_of(package: Path) -> dict[str, str]:
    """The texts of a package by their paths."""
    with tarfile.open(package) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        return {
            member.name.removeprefix("package/"): file.read().decode()
            for member in members
            if (file := archive.extractfile(member)) is not None
        }


def test_fro2_package_has_types_readme_and_licence_and_no_tests(package: Path) -> None:
    files = files_of(package)
    assert "# helix-flows" in files["README.md"]
    assert files["LICENSE"] == (ROOT / "LICENSE").read_text("utf-8")
    scripts = {name for name in files if name.startswith("dist/") and name.endswith(".js")}
    assert "dist/index.js" in scripts
    assert {name.removesuffix(".js") + ".d.ts" for name in scripts} <= set(files)
    assert {name.partition("/")[0] for name in files} == {
        *("README.md", "LICENSE", "package.json", "dist", "src")
    }
    assert not [name for name in files if "test" in name]


def test_fro2_what_the_package_names_is_in_it(package: Path) -> None:
    files = files_of(package)
    described = json.loads(files["package.json"])
    for targets in described["exports"].values():
        for target in targets.values() if isinstance(targets, dict) else [targets]:
            assert target.removeprefix("./") in files
    for name, text in files.items():
        if name.startswith("dist/") and name.endswith((".js", ".d.ts")):
            named = re.findall(r"""(?:from|import)\s*\(?["'](\.[^"']*)["']""", text)
            assert [one for one in named if not one.endswith(".js")] == [], name


def test_fro2_package_loads_in_node(app: Path) -> None:
    (app / "load.mjs").write_text(LOAD + "console.log(typeof useFlow, flow.state.status.kind);")
    assert run(app, NODE, "load.mjs") == "function loading\n"


def test_fro2_package_loads_in_vitest(app: Path) -> None:
    (app / "load.test.js").write_text(
        "import { expect, test } from 'vitest';\n"
        + LOAD
        + "test('loads', () => {\n"
        + "  expect([typeof useFlow, flow.state.status.kind]).toEqual(['function', 'loading']);\n"
        + "  expect(merge({ a: 1 }, { b: 2 })).toEqual({ a: 1, b: 2 });\n"
        + "});\n"
    )
    (app / "node_modules" / "vitest").symlink_to(INSTALLED / "vitest")
    ran = run(app, NODE, INSTALLED / "vitest" / "vitest.mjs", "run", "--root", app)
    assert "1 passed" in re.sub(r"\x1b\[[0-9;]*m", "", ran)


@pytest.mark.parametrize(
    ("resolution", "modules"),
    [("bundler", "esnext"), ("node16", "node16"), ("nodenext", "nodenext")],
)
def test_fro2_types_are_found(app: Path, resolution: str, modules: str) -> None:
    (app / "use.ts").write_text(USE)
    options = {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": False,
        "target": "es2022",
        "lib": ["es2023", "dom", "dom.iterable"],
        "types": [],
        "module": modules,
        "moduleResolution": resolution,
    }
    (app / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": options, "files": ["use.ts"]})
    )
    run(app, NODE, INSTALLED / "typescript" / "bin" / "tsc", "--project", app)
