import type { FlowDocument } from "helix-flows";
import { LayoutTemplate } from "lucide-react";
import { useEffect, useState } from "react";

import { api, type ListedTemplate, reasonOf } from "../../api";
import { Choices } from "../commands/Choices";
import { carryOut } from "../sharing/outputs";

interface Props {
  /** A template was chosen; this is its content. */
  onInsert: (name: string, document: FlowDocument) => void;
  onClose: () => void;
}

/** The choice of a template to insert into the open flow. */
export function TemplateChoices({ onInsert, onClose }: Props) {
  const [templates, setTemplates] = useState<ListedTemplate[]>([]);
  const [told, setTold] = useState("Loading templates");
  useEffect(() => {
    let isCurrent = true;
    api.templates().then(
      (found) => {
        if (isCurrent) {
          setTemplates(found);
          setTold("No templates match.");
        }
      },
      (error: unknown) => {
        if (isCurrent) {
          setTold(`Couldn't load the templates: ${reasonOf(error)}`);
        }
      },
    );
    return () => { isCurrent = false; };
  }, []);
  return (
    <Choices
      title="Insert a template"
      placeholder="A template's name, category or description"
      empty={told}
      choices={templates.map(({ id, name, category, description }) => ({
        id,
        label: name,
        hint: category,
        icon: LayoutTemplate,
        words: description,
        run: () => void carryOut(`insert “${name}”`, async () => { onInsert(name, (await api.template(id)).document); }),
      }))}
      onClose={onClose}
    />
  );
}
