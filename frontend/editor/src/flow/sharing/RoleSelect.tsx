import type { Role } from "../../api";
import { roleName } from "./roles";

interface Props {
  label: string;
  role: Role;
  roles: readonly Role[];
  onRole: (role: Role) => void;
}

/** Chooses a role. */
export function RoleSelect({ label, role, roles, onRole }: Props) {
  return (
    <select aria-label={label} value={role} onChange={({ target }) => { onRole(target.value as Role); }}>
      {roles.map((one) => <option key={one} value={one}>{roleName(one)}</option>)}
    </select>
  );
}
