import type { FlowDocument } from "helix-flows";
import { useEffect, useState } from "react";

import { api, type ListedTemplate } from "../api";
import { Dialog } from "../ui/Dialog";
import { Miniature } from "./Miniature";
import { useSeen } from "./useSeen";

interface Props {
  onChoose: (id: string) => void;
  /** Whether the server answers. When it does again, failed requests are repeated. */
  isReachable: boolean;
}

/** The templates for new flows. */
export function Templates({ onChoose, isReachable }: Props) {
  const [templates, setTemplates] = useState<ListedTemplate[]>([]);
  const [looked, setLooked] = useState<ListedTemplate | null>(null);
  const isMissing = templates.length === 0;
  useEffect(() => {
    if (isReachable && isMissing) {
      api.templates().then(setTemplates, () => undefined);
    }
  }, [isReachable, isMissing]);
  if (isMissing) {
    return null;
  }
  return (
    <>
      <div className="heading">
        <h2>Start from a template</h2>
      </div>
      <ul className="cards" aria-label="Templates">
        {templates.map((template) => (
          <Template key={template.id} template={template} onLook={() => { setLooked(template); }} />
        ))}
      </ul>
      {looked !== null && (
        <Dialog title={looked.name} isWide onClose={() => { setLooked(null); }}>
          <Preview template={looked} onChoose={() => { onChoose(looked.id); }} />
        </Dialog>
      )}
    </>
  );
}

function useDocument(id: string, isWanted: boolean): FlowDocument | undefined {
  const [document, setDocument] = useState<FlowDocument>();
  useEffect(() => {
    if (isWanted) {
      api.template(id).then((found) => { setDocument(found.document); }, () => undefined);
    }
  }, [id, isWanted]);
  return document;
}

function Preview({ template, onChoose }: { template: ListedTemplate; onChoose: () => void }) {
  const document = useDocument(template.id, true);
  return (
    <div className="body preview">
      <Miniature document={document} />
      <p>{template.description}</p>
      <p className="muted">
        {document !== undefined && `${Object.keys(document.nodes).length} nodes · `}
        <span className="category">{template.category}</span>
      </p>
      <button className="button primary" onClick={onChoose}>
        Use this template
      </button>
    </div>
  );
}

function Template({ template, onLook }: { template: ListedTemplate; onLook: () => void }) {
  const [element, isSeen] = useSeen<HTMLLIElement>();
  const document = useDocument(template.id, isSeen);
  return (
    <li className="card" ref={element}>
      <Miniature document={document} />
      <div className="words">
        <button className="open" aria-haspopup="dialog" onClick={onLook}>{template.name}</button>
        <div className="muted category">{template.category}</div>
      </div>
    </li>
  );
}
