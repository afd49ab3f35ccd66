/** Everything that can be done, once: for keys, the palette of commands, and the sheet of keys. */

import type { UseFlowResult } from "helix-flows/react";
import {
  ArrowLeft, ClipboardPaste, Copy, FileJson, History as HistoryIcon, Image, Keyboard, Lock, LogIn, Maximize, Moon, Redo2, Scissors,
  Search, Share2, Spline, SquareDashed, SquarePlus, Trash2, Undo2, Workflow,
} from "lucide-react";

import { go } from "../address";
import { toggleTheme } from "../theme";
import type { Choice } from "./Choices";
import type { Sheet } from "./Editor";
import { type Actions, KIND_KEYS } from "./useActions";

export interface Command extends Choice {
  /** As `keysOf` writes them; the first is shown. */
  keys: readonly string[];
  isEnabled: boolean;
  /** It changes nothing by itself when its keys are pressed: the browser's own event does it. */
  isNative?: boolean;
}

interface Surroundings {
  isReadOnly: boolean;
  isLocked: boolean;
  setLocked: (isLocked: boolean) => void;
  show: (sheet: Sheet) => void;
  fit: () => void;
  toggleHistory: () => void;
}

/** List the commands, as they are now. */
export function commandsOf(actions: Actions, flow: UseFlowResult, around: Surroundings): Command[] {
  const { isReadOnly, isLocked, setLocked, show } = around;
  const isEditable = !isReadOnly;
  const isChosen = actions.selected.length > 0;
  const edits: Command[] = [
    { id: "undo", label: "Undo", icon: Undo2, keys: ["Mod+Z"], isEnabled: isEditable && flow.canUndo, run: flow.undo },
    { id: "redo", label: "Redo", icon: Redo2, keys: ["Mod+Shift+Z", "Mod+Y"], isEnabled: isEditable && flow.canRedo, run: flow.redo },
    { id: "copy", label: "Copy", icon: Copy, keys: ["Mod+C"], isEnabled: isChosen, isNative: true, run: () => { actions.keep(actions.copy()); } },
    { id: "cut", label: "Cut", icon: Scissors, keys: ["Mod+X"], isEnabled: isEditable && isChosen, isNative: true, run: () => { actions.keep(actions.cut()); } },
    { id: "paste", label: "Paste", icon: ClipboardPaste, keys: ["Mod+V"], isEnabled: isEditable, isNative: true, run: actions.pasteKept },
    { id: "duplicate", label: "Duplicate", icon: SquarePlus, keys: ["Mod+D"], isEnabled: isEditable && isChosen, run: actions.duplicate },
    { id: "delete", label: "Delete", icon: Trash2, keys: ["Delete", "Backspace"], isEnabled: isEditable && isChosen, run: actions.remove },
    { id: "connect", label: "Connect the selected nodes", icon: Spline, keys: ["Mod+E"], isEnabled: isEditable && actions.selected.length > 1, run: actions.connect },
    { id: "lock-nodes", label: "Lock or unlock the selected nodes", icon: Lock, keys: ["Mod+L"], isEnabled: isEditable && isChosen, run: actions.toggleLock },
    { id: "layout", label: "Arrange the flow", icon: Workflow, keys: ["Mod+Shift+L"], isEnabled: isEditable, run: actions.layOut },
  ];
  const adds = KIND_KEYS.map(({ kind, keys }): Command => ({
    id: `add-${kind.type}`, label: `Add ${kind.name}`, icon: kind.icon, keys: [keys], isEnabled: isEditable,
    run: () => { actions.add(kind.type); },
  }));
  const views: Command[] = [
    { id: "select-all", label: "Select everything", icon: SquareDashed, keys: ["Mod+A"], isEnabled: true, run: actions.selectAll },
    { id: "select-none", label: "Select nothing", icon: LogIn, keys: ["Escape"], isEnabled: isChosen, run: () => { actions.select([]); } },
    { id: "find", label: "Find in the flow", icon: Search, keys: ["Mod+F"], isEnabled: true, run: () => { show("find"); } },
    { id: "commands", label: "Commands", icon: Search, keys: ["Mod+K"], isEnabled: true, run: () => { show("commands"); } },
    { id: "fit", label: "See everything", icon: Maximize, keys: ["Shift+F"], isEnabled: true, run: around.fit },
    { id: "lock", label: isLocked ? "Unlock the canvas" : "Lock the canvas", icon: Lock, keys: ["Alt+L"], isEnabled: isEditable, run: () => { setLocked(!isLocked); } },
    { id: "history", label: "History", icon: HistoryIcon, keys: ["Mod+H"], isEnabled: true, run: around.toggleHistory },
    { id: "theme", label: "The other theme", icon: Moon, keys: ["Alt+T"], isEnabled: true, run: toggleTheme },
    { id: "keys", label: "Keys", icon: Keyboard, keys: ["?"], isEnabled: true, run: () => { show("keys"); } },
    { id: "home", label: "All flows", icon: ArrowLeft, keys: ["Alt+H"], isEnabled: true, run: () => { go("/"); } },
  ];
  const outs: Command[] = [
    { id: "share", label: "Copy the link", icon: Share2, keys: ["Alt+S"], isEnabled: true, run: actions.share },
    { id: "png", label: "Save as PNG", icon: Image, keys: ["Mod+Shift+E"], isEnabled: true, run: () => { actions.savePicture("png"); } },
    { id: "svg", label: "Save as SVG", icon: Image, keys: ["Alt+Shift+E"], isEnabled: true, run: () => { actions.savePicture("svg"); } },
    { id: "json", label: "Save as a file", icon: FileJson, keys: ["Mod+S"], isEnabled: true, run: actions.saveFile },
    { id: "copy-picture", label: "Copy as a picture", icon: Image, keys: ["Mod+Shift+C"], isEnabled: true, run: actions.copyPicture },
  ];
  return [...edits, ...adds, ...views, ...outs];
}
