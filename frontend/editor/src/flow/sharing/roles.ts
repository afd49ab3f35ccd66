/** Roles and grants in words. Pure functions. */

import { type Grant, type Role, ROLES } from "../../api";

const NAMES: Readonly<Record<Role, string>> = {
  viewer: "Viewer",
  commenter: "Commenter",
  proposer: "Proposer",
  editor: "Editor",
  owner: "Owner",
};

export const roleName = (role: Role): string => NAMES[role];

/** The roles that links and general access may give. */
export const ROLES_FOR_MANY: readonly Role[] = ROLES.filter((role) => role !== "owner");

export const roleOf = (grant: Grant): Role => (typeof grant === "string" ? grant : grant.role);

/** Say to what a grant is narrowed; empty for all of the flow. */
export function limitsOf(grant: Grant): string[] {
  if (typeof grant === "string") {
    return [];
  }
  const { paths, tags = {} } = grant;
  const marks = Object.entries(tags).map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  return [
    ...(paths === undefined ? [] : [paths.length === 0 ? "May change no part" : `May change only ${paths.join(", ")}`]),
    ...(marks.length === 0 ? [] : [`Marked ${marks.join(", ")}`]),
  ];
}

/** Give the same grant with another role: what it is narrowed to stays. */
export const withRole = (grant: Grant, role: Role): Role | { role: Role } => (typeof grant === "string" ? role : { role });
