"""
Draws docs/images/packages.svg of what Helix's code imports, and counts floors, arrows and circles.

``python docs/structure.py`` writes the picture and prints the figures; ``--of DIRECTORY`` prints
those of another checkout. Importing is what ``import`` statements say, wherever they stand.
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "packages.svg"

Graph = dict[str, set[str]]
"""A name -> the names that it imports."""

LIGHT = {"ground": "#ffffff", "box": "#f4f4f5", "edge": "#71717a", "text": "#18181b"}
DARK = {"ground": "#18181b", "box": "#27272a", "edge": "#a1a1aa", "text": "#fafafa"}

MARKER = """<defs>
<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>"""

DRAWN = {"tap", "serving", "wiring"}
"""Modules that are drawn beside the packages, as they put these together."""

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 168, 46, 40, 40, 24


class Figures(NamedTuple):
    """
    How the code is laid out.

    :ivar modules: files of Python, but for the faces of packages.
    :ivar largest: the folder with the most modules, and how many.
    :ivar floors: how many stand above each other: folders, and modules that stand beside them.
    :ivar arrows: from one of these to another that it imports.
    :ivar imports: from a module to another.
    :ivar circles: sets of modules that import each other.
    """

    modules: int
    largest: tuple[str, int]
    floors: int
    arrows: int
    imports: int
    circles: list[set[str]]


def modules_of(root: Path) -> dict[str, Path]:
    """The modules of ``helix`` by their full names, packages among them."""
    found = {}
    for path in sorted((root / "helix").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(modules: Mapping[str, Path]) -> Graph:
    """Which module imports which other; a name that a package gives counts as the package."""
    graph: Graph = {}
    for name, path in modules.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    found.add(inner if inner in modules else node.module)
        graph[name] = (found & modules.keys()) - {name, "helix"}
    return graph


def between(graph: Graph, of: Mapping[str, str]) -> Graph:
    """The graph of larger things: ``of`` says of which each name is a part."""
    larger: Graph = {of[name]: set() for name in graph if name in of}
    for name, imported in graph.items():
        if name in of:
            larger[of[name]] |= {of[other] for other in imported if other in of} - {of[name]}
    return larger


def package_of(name: str) -> str:
    """``helix.log.edits`` -> ``log``, ``helix.tap`` -> ``tap``."""
    return name.split(".")[1]


def circles_of(graph: Graph) -> list[set[str]]:
    """Sets of names that import each other, also by way of others."""
    reached: Graph = {}
    for start in graph:
        seen, waiting = set(), [start]
        while waiting:
            for other in graph[waiting.pop()]:
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        reached[start] = seen
    circles = [
        {other for other in reached[name] if name in reached[other]}
        for name in graph
        if name in reached[name]
    ]
    return [circle for number, circle in enumerate(circles) if circle not in circles[:number]]


def floors_of(graph: Graph) -> dict[str, int]:
    """On which floor each stands: one above the highest that it imports; 1 is the lowest."""
    floors: dict[str, int] = {}
    waiting = set(graph)
    while waiting:
        ready = {name for name in waiting if not graph[name] & waiting}
        if not ready:
            raise ValueError(f"these import each other: {', '.join(sorted(waiting))}")
        for name in ready:
            floors[name] = 1 + max((floors[other] for other in graph[name]), default=0)
        waiting -= ready
    return floors


def direct(graph: Graph) -> Graph:
    """Only the arrows that no longer way stands for."""
    reached: Graph = {}
    for name in sorted(graph, key=floors_of(graph).__getitem__):
        reached[name] = set().union(*({other, *reached[other]} for other in graph[name]))
    return {
        name: {
            other
            for other in imported
            if not any(other in reached[way] for way in imported - {other})
        }
        for name, imported in graph.items()
    }


def figures(root: Path = ROOT) -> Figures:
    """Those of a checkout."""
    modules = modules_of(root)
    graph = imports_of(modules)
    own = [name for name, path in modules.items() if path.stem != "__init__"]
    folders = Counter(modules[name].parent.relative_to(root).as_posix() for name in own)
    packages = between(graph, {name: package_of(name) for name in graph if name != "helix"})
    circles = circles_of(graph)
    return Figures(
        modules=len(own),
        largest=folders.most_common(1)[0],
        floors=max(floors_of(packages).values()) if not circles_of(packages) else 0,
        arrows=sum(map(len, packages.values())),
        imports=sum(map(len, graph.values())),
        circles=circles,
    )


def picture(root: Path = ROOT) -> str:
    """
    The packages as SVG: each floor a row, and an arrow for each import that no longer way tells.

    Of the modules that stand beside them it has `DRAWN`; the others are what everybody may use.
    """
    modules = modules_of(root)
    counts = Counter(
        package_of(name)
        for name, path in modules.items()
        if name != "helix" and path.stem != "__init__"
    )
    drawn = {name for name, count in counts.items() if count > 1} | DRAWN
    packages = between(
        imports_of(modules),
        {name: at for name in modules if name != "helix" and (at := package_of(name)) in drawn},
    )
    floors = floors_of(packages)
    rows: dict[int, list[str]] = defaultdict(list)
    for name in sorted(packages):
        rows[floors[name]].append(name)
    widest = max(map(len, rows.values()))
    width = 2 * MARGIN + widest * BOX_WIDTH + (widest - 1) * GAP_X
    height = 2 * MARGIN + len(rows) * BOX_HEIGHT + (len(rows) - 1) * GAP_Y
    places = {}
    for floor, names in rows.items():
        y = MARGIN + (len(rows) - floor) * (BOX_HEIGHT + GAP_Y)
        taken = len(names) * BOX_WIDTH + (len(names) - 1) * GAP_X
        for number, name in enumerate(names):
            places[name] = ((width - taken) / 2 + number * (BOX_WIDTH + GAP_X), y)
    arrows = [
        _arrow(places[name], places[other], floors[name] - floors[other])
        for name, imported in sorted(direct(packages).items())
        for other in sorted(imported)
    ]
    boxes = [_box(name, counts[name], *places[name]) for name in sorted(places)]
    return "\n".join([*_head(width, height), *arrows, *boxes, "</svg>", ""])


def _head(width: float, height: float) -> list[str]:
    def rules(colours: Mapping[str, str]) -> str:
        return (
            f".ground{{fill:{colours['ground']}}}"
            f".box{{fill:{colours['box']};stroke:{colours['edge']}}}"
            f".arrow{{fill:none;stroke:{colours['edge']}}}.tip{{fill:{colours['edge']}}}"
            f"text{{fill:{colours['text']};font-family:system-ui,sans-serif;text-anchor:middle}}"
        )

    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>Helix's packages: each imports only what is below it</title>",
        f"<style>{rules(LIGHT)}@media(prefers-color-scheme:dark){{{rules(DARK)}}}</style>",
        MARKER,
        f'<rect class="ground" width="{width}" height="{height}"/>',
    ]


def _box(name: str, count: int, x: float, y: float) -> str:
    middle = x + BOX_WIDTH / 2
    what = f"{count} modules" if count > 1 else "a module"
    return (
        f'<rect class="box" x="{x:g}" y="{y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8"/>'
        f'<text x="{middle:g}" y="{y + 20:g}" font-size="15" font-weight="600">{name}</text>'
        f'<text x="{middle:g}" y="{y + 37:g}" font-size="12">{what}</text>'
    )


def _arrow(above: tuple[float, float], below: tuple[float, float], floors: int) -> str:
    start_x, start_y = above[0] + BOX_WIDTH / 2, above[1] + BOX_HEIGHT
    end_x, end_y = below[0] + BOX_WIDTH / 2, below[1]
    if floors == 1:
        bend = GAP_Y / 2
        way = (
            f"M{start_x:g} {start_y:g}"
            f"C{start_x:g} {start_y + bend:g} {end_x:g} {end_y - bend:g} {end_x:g} {end_y:g}"
        )
    else:  # around what stands between
        start_x, end_x = above[0] + BOX_WIDTH, below[0] + BOX_WIDTH
        start_y, end_y = above[1] + BOX_HEIGHT / 2, below[1] + BOX_HEIGHT / 2
        out = max(start_x, end_x) + 12 * floors + 12
        way = f"M{start_x:g} {start_y:g}C{out:g} {start_y:g} {out:g} {end_y:g} {end_x:g} {end_y:g}"
    return f'<path class="arrow" marker-end="url(#tip)" d="{way}"/>'


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the packages, and count floors and arrows.")
    parser.add_argument("--of", type=Path, help="only print the figures of this checkout")
    given = parser.parse_args()
    if given.of is None:
        PICTURE.write_text(picture(), encoding="utf-8")
    for name, value in figures(given.of or ROOT)._asdict().items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
