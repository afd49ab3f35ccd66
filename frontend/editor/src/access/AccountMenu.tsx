import { LogOut, Moon, Sun, UserPen } from "lucide-react";
import type { CSSProperties, ReactNode } from "react";

import { api, reasonOf } from "../api";
import { toggleTheme, useTheme } from "../theme";
import { Menu } from "../ui/Menu";
import { tell } from "../ui/Toasts";
import { isSelfNamed, useIdentity } from "./identity";
import { useWays } from "./SignIn";

interface Props {
  className: string;
  style: CSSProperties;
  /** What others see. */
  name: string;
  /** Asks for another name, where one may have any. */
  onRename?: () => void;
  children: ReactNode;
}

/** Leave here, and where one has signed in. */
async function signOut(path: string): Promise<void> {
  try {
    location.assign((await api.signOut(path)) ?? location.href);
  } catch (error) {
    tell(`Couldn't sign out: ${reasonOf(error)}`);
  }
}

/** The menu of who uses the page. */
export function AccountMenu({ className, style, name, onRename, children }: Props) {
  const identity = useIdentity();
  const { me, guest } = identity;
  const isDark = useTheme() === "dark";
  const out = useWays()?.oidc?.sign_out;
  const said = guest === null ? me?.id : "Guest";
  return (
    <Menu
      label={`You are ${name}${guest === null ? "" : ", a guest"}. Account`}
      className={className}
      style={style}
      head={<><b>{name}</b>{said !== name && <small>{said}</small>}</>}
      items={[
        ...(onRename !== undefined && isSelfNamed(identity) ? [{ label: "Change your name", icon: UserPen, run: onRename }] : []),
        { label: isDark ? "Light theme" : "Dark theme", icon: isDark ? Sun : Moon, run: toggleTheme },
        ...(guest === null && out !== undefined ? [{ label: "Sign out", icon: LogOut, run: () => void signOut(out) }] : []),
      ]}
    >
      {children}
    </Menu>
  );
}
