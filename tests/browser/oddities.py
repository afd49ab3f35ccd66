"""What other programs may write into a flow, and say of themselves: odd, but drawn from a seed."""

from __future__ import annotations

from random import Random
from typing import Any

INHERITED = [
    "toString",
    "valueOf",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "__defineGetter__",
    "__lookupGetter__",
]
"""Names that every object has in JavaScript, and the server takes as ids."""

PROTOTYPE = ("__proto__", "constructor", "prototype")
"""Names that can't be keys of a document; as values they can stand anywhere."""

TEXTS = (
    *INHERITED,
    *PROTOTYPE,
    "",
    " ",
    "x" * 5_000,
    "\u0000\u0007\u001b[2J",
    "\u202egnp.exe",
    "a\u0300" * 50,
    "\U0001f469\u200d\U0001f680",
    "<b onclick=x>x</b><img src=x onerror=x>",
    "</script><script>x</script>",
    "[[[",
    '"]\\',
    "'#a, .b > c",
    "a,b",
    "line\nline",
    "javascript:x",
    "url(//elsewhere.test/x)",
    "red;position:fixed",
    "NaN",
    "-1px",
    "{{x}}",
    "%00%ff",
)

NUMBERS = (0, -0.0, -1, 5, 0.1, 1e-300, 2**53, -(2**53), 1e15, 255, 65_536)

NODE_FIELDS = [
    "parentNode",
    "extent",
    "expandParent",
    "style",
    "className",
    "domAttributes",
    "measured",
    "handles",
    "origin",
    "zIndex",
    "hidden",
    "selected",
    "dragging",
    "resizing",
    "draggable",
    "selectable",
    "connectable",
    "deletable",
    "focusable",
    "dragHandle",
    "width",
    "height",
    "initialWidth",
    "initialHeight",
    "sourcePosition",
    "targetPosition",
    "ariaLabel",
    "ariaRole",
    "internals",
    "onClick",
    "positionAbsolute",
    "ref",
    "key",
    "children",
]

EDGE_FIELDS = [
    "type",
    "sourceHandle",
    "targetHandle",
    "style",
    "className",
    "domAttributes",
    "animated",
    "hidden",
    "selected",
    "selectable",
    "deletable",
    "focusable",
    "reconnectable",
    "markerStart",
    "markerEnd",
    "zIndex",
    "ariaLabel",
    "ariaRole",
    "interactionWidth",
    "label",
    "labelStyle",
    "labelShowBg",
    "labelBgStyle",
    "labelBgPadding",
    "pathOptions",
    "data",
    "key",
    "children",
]

DATA_FIELDS = [
    "label",
    "color",
    "description",
    "type",
    "prompt",
    "model",
    "tools",
    "memory",
    "skills",
    "condition",
    "url",
    "headers",
    "code",
    "schema",
    "options",
    "toString",
    "#locked",
    "#group",
    "#level",
    "#lane",
]

META_FIELDS = ("name", "color", "selection", "selected", "editing", "view", "following", "toString")

GOOD = "good"
"""What the nodes are called by which a flow is seen to be usable."""


class Oddities:
    """
    Makes odd things.

    :param seed: the same seed makes the same things.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def value(self, room: int = 3) -> Any:
        """Any JSON value, but null where no array is around it."""
        random = self._random
        kind = random.randrange(8 if room else 5)
        if kind < 2:
            return random.choice(TEXTS)
        if kind < 4:
            return random.choice(NUMBERS)
        if kind == 4:
            return random.choice((True, False))
        if kind == 5:
            return [self.value(room - 1) for _ in range(random.randrange(4))]
        if kind == 6:
            return self._deep()
        names = (*INHERITED, "x", "y", "width", "type", "__html", "length", "0", "color", "node")
        return {random.choice(names): self.value(room - 1) for _ in range(random.randrange(4))}

    def _deep(self) -> Any:
        value: Any = self._random.choice(TEXTS)
        for _ in range(20):
            value = [value] if self._random.random() < 0.5 else {"a": value}
        return value

    def _id(self, number: int) -> str:
        text = self._random.choice((*TEXTS, *INHERITED))[:60]
        return text if text and text not in PROTOTYPE else f"n{number}"

    def _place(self) -> dict[str, Any]:
        random = self._random
        near = random.random() < 0.7
        pick = (lambda: random.randint(-900, 900)) if near else (lambda: random.choice(NUMBERS))
        return {"x": pick(), "y": pick()}

    def _node(self, node_id: str) -> dict[str, Any]:
        random = self._random
        data = {random.choice(DATA_FIELDS): self.value() for _ in range(random.randrange(4))}
        made = {name: self.value() for name in random.sample(NODE_FIELDS, random.randint(1, 5))}
        if random.random() < 0.4:
            made["type"] = random.choice(TEXTS)  # the server takes nothing else
        return {**made, "id": node_id, "position": self._place(), "data": data}

    def _edge(self, edge_id: str, ids: list[str]) -> dict[str, Any]:
        random = self._random
        made = {name: self.value() for name in random.sample(EDGE_FIELDS, random.randint(1, 5))}
        if not isinstance(made.get("type", ""), str):
            del made["type"]  # the server takes nothing else
        return {**made, "id": edge_id, "source": random.choice(ids), "target": random.choice(ids)}

    def document(self) -> dict[str, Any]:
        """A document that the server takes: two good nodes, and some odd nodes and edges."""
        random = self._random
        odd = {self._id(number) for number in range(random.randint(1, 6))}
        ids = [f"{GOOD} 1", f"{GOOD} 2", *sorted(odd)]
        nodes = {one: self._node(one) for one in sorted(odd)}
        for number, one in enumerate(ids[:2]):
            place = {"x": 480 * number, "y": 0}
            nodes[one] = {"id": one, "type": "agent", "position": place, "data": {"label": one}}
        edges = {one: self._edge(one, ids) for one in {self._id(number) for number in range(4)}}
        document: dict[str, Any] = {"nodes": nodes, "edges": edges}
        if random.random() < 0.3:
            document["title"] = random.choice(TEXTS)[:400]
        if random.random() < 0.3:
            document["data"] = {"x": self.value()}
        return document

    def parents(self, document: dict[str, Any]) -> dict[str, Any]:
        """A patch that has odd nodes lie in others, of which the server drops what can't be."""
        ids = list(document["nodes"])
        chosen = {one: self._random.choice((*ids, *TEXTS)) for one in ids[2:]}
        return {"nodes": {one: {"parentId": parent} for one, parent in chosen.items()}}

    def meta(self) -> dict[str, Any]:
        """What somebody says of themselves, which the server may refuse."""
        chosen = self._random.sample(META_FIELDS, self._random.randint(1, 5))
        return {name: self._random.choice((None, self.value())) for name in chosen}

    def cursor(self) -> dict[str, Any]:
        """Where somebody points, and what they have there, likewise."""
        random = self._random
        place = {"x": random.choice(NUMBERS), "y": self.value() if random.random() < 0.3 else 5}
        moving = {f"{GOOD} 2": self.value(), random.choice(TEXTS): {"x": 5, "y": self.value()}}
        return {**place, "moving": moving if random.random() < 0.7 else self.value()}
