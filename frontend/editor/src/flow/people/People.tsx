import type { Member } from "helix-flows";
import { User } from "lucide-react";

import { AccountMenu } from "../../access/AccountMenu";
import { isKnown, useIdentity } from "../../access/identity";
import { colorsOf, initials } from "../../badge";
import { Menu } from "../../ui/Menu";
import { useNarrow } from "../canvas/fit";
import { peopleOf, type Somebody } from "./people";

/** How many people are shown one by one; the others are in a list. */
const MOST = 5;
const MOST_IF_NARROW = 1;

interface Props {
  members: readonly Member[];
  /** The key of the followed person. */
  followed: string | null;
  onFollow: (key: string | null) => void;
  onRename: () => void;
}

/** The people in the flow. A click follows somebody; a click on oneself changes the name. */
export function People({ members, followed, onFollow, onRename }: Props) {
  const people = peopleOf(members);
  const most = useNarrow() ? MOST_IF_NARROW : MOST;
  const others = people.filter(({ isSelf }) => !isSelf);
  // One place is for the number of the others.
  const shown = others.length > most ? others.slice(0, most - 1) : others;
  const rest = others.slice(shown.length);
  const identity = useIdentity();
  const label = ({ key, name, isGuest }: Somebody): string => `${followed === key ? "Stop following" : "Follow"} ${name}${isGuest ? " (guest)" : ""}`;
  const title = (person: Somebody): string => (person.selected > 0 ? `${label(person)}: ${person.selected} selected` : label(person));
  const toggle = ({ key }: Somebody): void => { onFollow(followed === key ? null : key); };
  return (
    <div className="people" role="group" aria-label={`People here: ${people.length}`}>
      {shown.map((person) => (
        <button
          key={person.key}
          className={followed === person.key ? "avatar followed" : "avatar"}
          style={colorsOf(person)}
          aria-label={label(person)}
          title={title(person)}
          aria-pressed={followed === person.key}
          onClick={() => { toggle(person); }}
        >
          {initials(person.name)}
        </button>
      ))}
      {rest.length > 0 && (
        <Menu
          label={`${rest.length} more people`}
          className="avatar rest"
          items={rest.map((person) => ({ id: person.key, label: title(person), icon: User, run: () => { toggle(person); } }))}
        >
          +{rest.length}
        </Menu>
      )}
      {people.filter(({ isSelf }) => isSelf).map((person) => (isKnown(identity) ? (
        <AccountMenu key={person.key} className="avatar" style={colorsOf(person)} name={person.name} onRename={onRename}>You</AccountMenu>
      ) : (
        <button
          key={person.key}
          className="avatar"
          style={colorsOf(person)}
          aria-label={`You are ${person.name}. Change your name`}
          title={`You are ${person.name}. Change your name`}
          onClick={onRename}
        >
          You
        </button>
      )))}
    </div>
  );
}

interface FollowedProps {
  members: readonly Member[];
  followed: string | null;
  onStop: () => void;
}

/** Shows who is followed. */
export function Followed({ members, followed, onStop }: FollowedProps) {
  const person = peopleOf(members).find(({ key }) => key === followed);
  return (
    <div role="status">
      {person !== undefined && (
        <div className="followed-frame" style={colorsOf(person)}>
          <span className="tag">
            Following {person.name}
            <button onClick={onStop}>Stop</button>
          </span>
        </div>
      )}
    </div>
  );
}
