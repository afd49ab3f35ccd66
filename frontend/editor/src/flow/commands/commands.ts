/** All commands: for keys, menus, the command palette, and the list of keyboard shortcuts. */

import type { UseFlowResult } from "helix-flows/react";
import {
  AlignCenterHorizontal, AlignCenterVertical, AlignEndHorizontal, AlignEndVertical, AlignHorizontalSpaceAround, AlignStartHorizontal,
  AlignStartVertical, AlignVerticalSpaceAround, ArchiveRestore, ArrowDown, ArrowLeft, ArrowRight, ArrowUp, BoxSelect, ClipboardPaste, Copy, FileJson,
  BringToFront, Focus, History as HistoryIcon, Image, Keyboard, LayoutTemplate, Lock, Maximize, Moon, PanelRight, Redo2, Scan, Scissors, Search, SendToBack, Share2, Spline,
  SquareDashed, SquarePlus, SquareX, TextCursorInput, Trash2, Undo2, UserPlus, Workflow, ZoomIn, ZoomOut,
} from "lucide-react";

import { go, HOME, isEmbedded } from "../../address";
import { toggleTheme } from "../../theme";
import type { Views } from "../canvas/useViews";
import { type Actions, KIND_KEYS } from "../edits/useActions";
import { isRestorable } from "../history/useDropped";
import { copyPicture, saveFile, savePicture, share } from "../sharing/outputs";
import { announce } from "../status/announce";
import type { Command, Sheet } from "./command";
import { groupCommandsOf } from "./groupCommands";

interface Surroundings {
  isReadOnly: boolean;
  /** Everybody may do everything. */
  isOpen: boolean;
  /** Who may do what with the flow can be seen and changed here. */
  isShared: boolean;
  /** There is a list of flows for this person. */
  hasHome: boolean;
  isLocked: boolean;
  setLocked: (isLocked: boolean) => void;
  isBoxing: boolean;
  setBoxing: (isBoxing: boolean) => void;
  show: (sheet: Sheet) => void;
  toggleHistory: () => void;
  /** Edit the label of the selected element on the canvas. */
  rename: () => void;
  openProperties: () => void;
}

/** How far an arrow key moves: nodes in the flow's units, with Shift, and the canvas in pixels. */
const [STEP, LONG_STEP, PAN] = [8, 32, 64];

const DIRECTIONS = [
  { direction: "left", key: "ArrowLeft", icon: ArrowLeft, x: -1, y: 0 },
  { direction: "right", key: "ArrowRight", icon: ArrowRight, x: 1, y: 0 },
  { direction: "up", key: "ArrowUp", icon: ArrowUp, x: 0, y: -1 },
  { direction: "down", key: "ArrowDown", icon: ArrowDown, x: 0, y: 1 },
] as const;

/** List the commands in their current state. */
export function commandsOf(actions: Actions, views: Views, flow: UseFlowResult, around: Surroundings): Command[] {
  const isEditable = !around.isReadOnly && !around.isLocked;
  return [...editsOf(actions, views, flow, around), ...groupCommandsOf(actions, { isEditable, show: around.show }), ...addsOf(actions, around), ...placesOf(actions, views, around), ...movesOf(actions, views, around), ...viewsOf(actions, views, around), ...outsOf(flow, around)];
}

function editsOf(actions: Actions, views: Views, flow: UseFlowResult, { isReadOnly, isLocked, rename, openProperties }: Surroundings): Command[] {
  const isEditable = !isReadOnly && !isLocked;
  const isChosen = actions.selected.length > 0;
  const areNodes = actions.selectedNodes > 0;
  const lost = flow.sync.state.dropped.filter(isRestorable);
  const group = "Edit" as const;
  const undo = (): void => {
    flow.undo();
    announce("Undone");
  };
  const redo = (): void => {
    flow.redo();
    announce("Redone");
  };
  return [
    { group, id: "undo", label: "Undo", icon: Undo2, keys: ["Mod+Z"], isEnabled: isEditable && flow.canUndo, run: undo },
    { group, id: "redo", label: "Redo", icon: Redo2, keys: ["Mod+Shift+Z", "Mod+Y"], isEnabled: isEditable && flow.canRedo, run: redo },
    { group, id: "restore", label: "Restore what others deleted, with my changes", icon: ArchiveRestore, keys: ["Alt+R"], isEnabled: !isReadOnly && lost.length > 0, run: () => { views.restore(lost); } },
    { group, id: "copy", label: "Copy", icon: Copy, keys: ["Mod+C"], isEnabled: areNodes, isNative: true, run: () => { actions.keep(actions.copy()); } },
    { group, id: "cut", label: "Cut", icon: Scissors, keys: ["Mod+X"], isEnabled: isEditable && areNodes, isNative: true, run: () => { actions.keep(actions.cut()); } },
    { group, id: "paste", label: "Paste", icon: ClipboardPaste, keys: ["Mod+V"], isEnabled: isEditable, isNative: true, run: actions.pasteKept },
    { group, id: "duplicate", label: "Duplicate", icon: SquarePlus, keys: ["Mod+D"], isEnabled: isEditable && areNodes, run: actions.duplicate },
    { group, id: "delete", label: "Delete", icon: Trash2, keys: ["Delete", "Backspace"], isEnabled: isEditable && isChosen, run: actions.remove },
    { group, id: "rename", label: "Edit the label", icon: TextCursorInput, keys: ["F2"], isEnabled: isEditable && actions.selected.length === 1, run: rename },
    { group, id: "properties", label: "Edit the properties", icon: PanelRight, keys: ["Alt+Enter"], isEnabled: isChosen, run: openProperties },
    { group, id: "connect", label: "Connect the selected nodes", icon: Spline, keys: ["Mod+E"], isEnabled: isEditable && actions.selectedNodes > 1, run: actions.connect },
    { group, id: "lock-nodes", label: "Lock or unlock the selected nodes", icon: Lock, keys: ["Mod+Shift+L", "Mod+L"], isEnabled: isEditable && areNodes, run: actions.toggleLock },
  ];
}

function addsOf(actions: Actions, { isReadOnly, isLocked, show }: Surroundings): Command[] {
  const [group, isEnabled] = ["Add" as const, !isReadOnly && !isLocked];
  return [
    ...KIND_KEYS.map(({ kind, keys }) => ({
      group, id: `add-${kind.type}`, label: `Add ${kind.name}`, icon: kind.icon, keys: [keys], isEnabled, words: `${kind.category} ${kind.about}`,
      run: () => { actions.add(kind.type); },
    })),
    { group, id: "template", label: "Insert a template", icon: LayoutTemplate, keys: ["Alt+I"], isEnabled, run: () => { show("templates"); } },
  ];
}

function placesOf(actions: Actions, views: Views, { isReadOnly, isLocked, show }: Surroundings): Command[] {
  const isEditable = !isReadOnly && !isLocked;
  const group = "Arrange" as const;
  const areTwo = isEditable && actions.selectedNodes > 1;
  const areThree = isEditable && actions.selectedNodes > 2;
  const isChosen = isEditable && actions.selected.length > 0;
  return [
    { group, id: "front", label: "Bring to the front", icon: BringToFront, keys: ["]"], isEnabled: isChosen, run: () => { actions.send("front"); } },
    { group, id: "back", label: "Send to the back", icon: SendToBack, keys: ["["], isEnabled: isChosen, run: () => { actions.send("back"); } },
    { group, id: "layout", label: areTwo ? "Arrange the selected nodes" : "Arrange the flow", icon: Workflow, keys: ["Alt+Shift+F"], isEnabled: isEditable, run: () => { if (actions.selectedNodes > 1) { actions.layOut(views.fitSelected); } else { show("arrange"); } } },
    { group, id: "align-left", label: "Align left", icon: AlignStartVertical, keys: ["Alt+Shift+ArrowLeft"], isEnabled: areTwo, run: () => { actions.align("left"); } },
    { group, id: "align-center", label: "Align centre", icon: AlignCenterVertical, keys: ["Alt+Shift+C"], isEnabled: areTwo, run: () => { actions.align("center"); } },
    { group, id: "align-right", label: "Align right", icon: AlignEndVertical, keys: ["Alt+Shift+ArrowRight"], isEnabled: areTwo, run: () => { actions.align("right"); } },
    { group, id: "align-top", label: "Align top", icon: AlignStartHorizontal, keys: ["Alt+Shift+ArrowUp"], isEnabled: areTwo, run: () => { actions.align("top"); } },
    { group, id: "align-middle", label: "Align middle", icon: AlignCenterHorizontal, keys: ["Alt+Shift+M"], isEnabled: areTwo, run: () => { actions.align("middle"); } },
    { group, id: "align-bottom", label: "Align bottom", icon: AlignEndHorizontal, keys: ["Alt+Shift+ArrowDown"], isEnabled: areTwo, run: () => { actions.align("bottom"); } },
    { group, id: "spread-x", label: "Distribute horizontally", icon: AlignHorizontalSpaceAround, keys: ["Alt+Shift+H"], isEnabled: areThree, run: () => { actions.distribute("x"); } },
    { group, id: "spread-y", label: "Distribute vertically", icon: AlignVerticalSpaceAround, keys: ["Alt+Shift+V"], isEnabled: areThree, run: () => { actions.distribute("y"); } },
  ];
}

function movesOf(actions: Actions, views: Views, { isReadOnly, isLocked }: Surroundings): Command[] {
  const group = "Navigate" as const;
  const areNodes = actions.isMovable;
  const isFixed = isReadOnly || isLocked;
  const move = (x: number, y: number, keys: string): void => {
    const isLong = keys.startsWith("Shift");
    if (areNodes && !isFixed) {
      const step = isLong ? LONG_STEP : STEP;
      actions.nudge({ x: x * step, y: y * step });
    } else {
      const step = isLong ? 4 * PAN : PAN;
      views.pan({ x: x * step, y: y * step });
    }
  };
  return DIRECTIONS.flatMap(({ direction, key, icon, x, y }): Command[] => [
    { group, id: `move-${direction}`, label: areNodes ? `Move ${direction}` : `Pan ${direction}`, icon, keys: [key, `Shift+${key}`], isEnabled: true, run: (keys = "") => { move(x, y, keys); } },
    { group, id: `go-${direction}`, label: `Go to the next node ${direction}`, icon, keys: [`Mod+${key}`], isEnabled: true, run: () => { views.goTo(direction); } },
  ]);
}

function viewsOf(actions: Actions, views: Views, around: Surroundings): Command[] {
  const { isReadOnly, isLocked, setLocked, isBoxing, setBoxing, show } = around;
  const isChosen = actions.selected.length > 0;
  const group = "View" as const;
  const lock = (): void => {
    setLocked(!isLocked);
    announce(isLocked ? "Unlocked the canvas" : "Locked the canvas");
  };
  return [
    { group, id: "select-all", label: "Select all", icon: SquareDashed, keys: ["Mod+A"], isEnabled: true, run: actions.selectAll },
    { group, id: "select-none", label: "Clear the selection", icon: SquareX, keys: ["Escape"], isEnabled: isChosen, run: () => { actions.select([]); } },
    { group, id: "box", label: isBoxing ? "Move the canvas by dragging" : "Select by dragging", icon: BoxSelect, keys: ["B"], isEnabled: true, run: () => { setBoxing(!isBoxing); } },
    { group, id: "find", label: "Find in the flow", icon: Search, keys: ["Mod+F"], isEnabled: true, run: () => { show("find"); } },
    { group, id: "commands", label: "Commands", icon: Search, keys: ["Mod+K"], isEnabled: true, run: () => { show("commands"); } },
    { group, id: "zoom-in", label: "Zoom in", icon: ZoomIn, keys: ["Mod++", "Mod+="], isEnabled: true, run: views.zoomIn },
    { group, id: "zoom-out", label: "Zoom out", icon: ZoomOut, keys: ["Mod+-"], isEnabled: true, run: views.zoomOut },
    { group, id: "zoom-one", label: "Zoom to 100 %", icon: Scan, keys: ["Mod+0"], isEnabled: true, run: views.zoomToOne },
    { group, id: "fit", label: "Zoom to fit", icon: Maximize, keys: ["Shift+F"], isEnabled: true, run: views.fit },
    { group, id: "fit-selected", label: "Zoom to the selection", icon: Focus, keys: ["Shift+S"], isEnabled: isChosen, run: views.fitSelected },
    { group, id: "lock", label: isLocked ? "Unlock the canvas" : "Lock the canvas", icon: Lock, keys: ["Alt+L"], isEnabled: !isReadOnly, run: lock },
    { group, id: "history", label: "History", icon: HistoryIcon, keys: ["Mod+H"], isEnabled: true, run: around.toggleHistory },
    { group, id: "theme", label: "Switch the theme", icon: Moon, keys: ["Alt+T"], isEnabled: true, run: toggleTheme },
    { group, id: "keys", label: "Keyboard shortcuts", icon: Keyboard, keys: ["?"], isEnabled: true, run: () => { show("keys"); } },
    ...(isEmbedded ? [] : [{ group, id: "home", label: "All flows", icon: ArrowLeft, keys: ["Alt+H"], isEnabled: around.hasHome, run: () => { go(HOME); } }]),
  ];
}

function outsOf({ document }: UseFlowResult, { isOpen, isShared, show }: Surroundings): Command[] {
  const group = "Share" as const;
  return [
    ...(isShared && !isEmbedded ? [{ group, id: "access", label: "Share", icon: UserPlus, keys: ["Alt+Shift+S"], isEnabled: true, run: () => { show("share"); } }] : []),
    ...(isEmbedded ? [] : [{ group, id: "share", label: "Copy the link", icon: Share2, keys: ["Alt+S"], isEnabled: true, run: () => { share(isOpen); } }]),
    { group, id: "png", label: "Save as PNG", icon: Image, keys: ["Mod+Shift+E"], isEnabled: true, run: () => { savePicture(document, "png"); } },
    { group, id: "svg", label: "Save as SVG", icon: Image, keys: ["Alt+Shift+E"], isEnabled: true, run: () => { savePicture(document, "svg"); } },
    { group, id: "json", label: "Save as a file", icon: FileJson, keys: ["Mod+S"], isEnabled: true, run: saveFile },
    { group, id: "copy-picture", label: "Copy as a picture", icon: Image, keys: ["Mod+Shift+C"], isEnabled: true, run: () => { copyPicture(document); } },
  ];
}
