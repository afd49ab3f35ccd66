import { Moon, Sun } from "lucide-react";

import { toggleTheme, useTheme } from "../theme";

/** A button that switches the theme. */
export function ThemeButton() {
  const isDark = useTheme() === "dark";
  const label = isDark ? "Light theme" : "Dark theme";
  return (
    <button className="icon-button" aria-label={label} title={label} onClick={toggleTheme}>
      {isDark ? <Sun size={16} /> : <Moon size={16} />}
    </button>
  );
}
