import type { Member } from "helix-flows";

import { inkOn } from "../person";

interface Props {
  members: readonly Member[];
  followed: string | null;
  onFollow: (clientId: string | null) => void;
  onRename: () => void;
}

function initials(name: string): string {
  const words = name.split(/\s+/).filter(Boolean);
  return words.slice(0, 2).map((word) => String.fromCodePoint(word.codePointAt(0) ?? 0).toUpperCase()).join("");
}

/** Who is here. A click follows somebody; on oneself, it asks for one's name. */
export function People({ members, followed, onFollow, onRename }: Props) {
  return (
    <div className="people" role="group" aria-label="People here">
      {members.slice(0, 8).map(({ clientId, name, color, isSelf }) => {
        const isFollowed = followed === clientId;
        const label = isSelf ? `You are ${name}. Change your name` : `${isFollowed ? "Stop following" : "Follow"} ${name}`;
        return (
          <button
            key={clientId}
            className={isFollowed ? "avatar followed" : "avatar"}
            style={{ background: color, color: inkOn(color) }}
            aria-label={label}
            title={label}
            {...(isSelf ? {} : { "aria-pressed": isFollowed })}
            onClick={isSelf ? onRename : () => { onFollow(isFollowed ? null : clientId); }}
          >
            {isSelf ? "You" : initials(name)}
          </button>
        );
      })}
    </div>
  );
}
