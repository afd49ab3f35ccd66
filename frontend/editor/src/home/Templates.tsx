import type { FlowDocument } from "helix-flows";
import { useEffect, useState } from "react";

import { api, type ListedTemplate } from "../api";
import { Dialog } from "../ui/Dialog";
import { Miniature } from "./Miniature";
import { useSeen } from "./useSeen";

/** What to begin a flow from. */
export function Templates({ onChoose }: { onChoose: (id: string) => void }) {
  const [templates, setTemplates] = useState<ListedTemplate[]>([]);
  const [looked, setLooked] = useState<{ template: ListedTemplate; document: FlowDocument | undefined } | null>(null);
  useEffect(() => {
    api.templates().then(setTemplates, () => undefined);
  }, []);
  if (templates.length === 0) {
    return null;
  }
  return (
    <>
      <div className="heading">
        <h2>Start from a template</h2>
      </div>
      <ul className="cards">
        {templates.map((template) => (
          <Template key={template.id} template={template} onLook={(document) => { setLooked({ template, document }); }} />
        ))}
      </ul>
      {looked !== null && (
        <Dialog title={looked.template.name} isWide onClose={() => { setLooked(null); }}>
          <div className="body preview">
            <Miniature document={looked.document} />
            <p>{looked.template.description}</p>
            <p className="muted">
              {Object.keys(looked.document?.nodes ?? {}).length} nodes · {looked.template.category}
            </p>
            <button className="button primary" onClick={() => { onChoose(looked.template.id); }}>
              Use this template
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}

interface Props {
  template: ListedTemplate;
  onLook: (document: FlowDocument | undefined) => void;
}

function Template({ template, onLook }: Props) {
  const [element, isSeen] = useSeen<HTMLLIElement>();
  const [document, setDocument] = useState<FlowDocument>();
  useEffect(() => {
    if (isSeen) {
      api.template(template.id).then((found) => { setDocument(found.document); }, () => undefined);
    }
  }, [isSeen, template.id]);
  return (
    <li className="card" ref={element}>
      <Miniature document={document} />
      <div className="words">
        <button className="open" onClick={() => { onLook(document); }}>{template.name}</button>
        <div className="muted">{template.category}</div>
      </div>
    </li>
  );
}
