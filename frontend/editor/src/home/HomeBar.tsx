import { Plus, Search, Upload } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";

import { AccountMenu } from "../access/AccountMenu";
import { useMayCreate } from "../access/creating";
import { personOf, useIdentity } from "../access/identity";
import { colorsOf, initials } from "../badge";
import { Mark } from "../ui/Mark";
import { ThemeButton } from "../ui/ThemeButton";

interface Props {
  search: string;
  onSearch: (text: string) => void;
  onImport: (files: readonly File[]) => void;
  onCreate: () => void;
}

/** The top bar of home: searches, imports and creates flows. */
export function HomeBar({ search, onSearch, onImport, onCreate }: Props) {
  const identity = useIdentity();
  const { me } = identity;
  const person = personOf(identity);
  const mayCreate = useMayCreate();
  return (
    <header className="bar">
      <span className="brand">
        <Mark /> Helix
      </span>
      <SearchField search={search} onSearch={onSearch} />
      <span className="end">
        {me === null && <ThemeButton />}
        {mayCreate && (
          <>
            <ImportButton className="icon-button" onImport={onImport}>
              <Upload size={16} />
            </ImportButton>
            <button className="button primary" onClick={onCreate}>
              <Plus size={16} aria-hidden /> New flow
            </button>
          </>
        )}
        {me !== null && <AccountMenu className="avatar" style={colorsOf(person)} name={person.name}>{initials(person.name)}</AccountMenu>}
      </span>
    </header>
  );
}

function SearchField({ search, onSearch }: Pick<Props, "search" | "onSearch">) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      const isSlash = event.key === "/" && !(event.target instanceof HTMLInputElement);
      const isFind = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
      if (isSlash || isFind) {
        event.preventDefault();
        // Not every browser focuses a field when its text is selected.
        field.current?.focus();
        field.current?.select();
      }
    };
    addEventListener("keydown", press);
    return () => {
      removeEventListener("keydown", press);
    };
  }, []);
  return (
    <label className="find">
      <Search size={14} aria-hidden />
      <span className="hidden">Search flows</span>
      <input
        ref={field}
        className="search"
        type="search"
        placeholder="Search flows"
        title="Search by words, or by nodes:>10, edges:<5, updated:<7d, older:30d"
        aria-keyshortcuts="/ Control+K"
        value={search}
        onChange={(event) => { onSearch(event.target.value); }}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            onSearch("");
            event.currentTarget.blur();
          }
        }}
      />
      {search === "" && <kbd aria-hidden>/</kbd>}
    </label>
  );
}

interface ImportProps {
  className: string;
  onImport: (files: readonly File[]) => void;
  children: ReactNode;
}

/** A button that asks for files to import. */
export function ImportButton({ className, onImport, children }: ImportProps) {
  const files = useRef<HTMLInputElement>(null);
  return (
    <>
      <button className={className} aria-label="Import files" title="Import files" onClick={() => files.current?.click()}>
        {children}
      </button>
      <input
        ref={files}
        hidden
        type="file"
        multiple
        accept="application/json,.json"
        aria-label="Files to import"
        onChange={({ target }) => {
          onImport([...(target.files ?? [])]);
          // The same file may be chosen again.
          target.value = "";
        }}
      />
    </>
  );
}
