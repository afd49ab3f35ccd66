// A node graph as tldraw's records, validated as its own shapes are.

import { createRecordType, StoreSchema } from "@tldraw/store";
import { T } from "@tldraw/validate";

const Node = createRecordType("node", {
  scope: "document",
  validator: T.object({
    id: T.string,
    typeName: T.literal("node"),
    type: T.string,
    x: T.number,
    y: T.number,
    data: T.object({ label: T.string, description: T.string }),
  }),
});

const Presence = createRecordType("presence", {
  scope: "presence",
  validator: T.object({
    id: T.string,
    typeName: T.literal("presence"),
    x: T.number,
    y: T.number,
  }),
});

export const schema = StoreSchema.create({ node: Node, presence: Presence });
