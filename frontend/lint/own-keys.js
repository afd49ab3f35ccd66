/**
 * A rule of lint: what data names is looked up among an object's own members.
 *
 * An object that is used as a dictionary has what all objects inherit: of `{}`, `toString` is there, and whoever
 * writes a document chooses the names.
 */

import ts from "typescript";

const MESSAGE = "An object inherits members: read it by `own(object, name)`, or use a Map.";

/** Tell whether a name may be any text. */
function isOpen(type) {
  return type.isUnion() ? type.types.some(isOpen) : (type.flags & (ts.TypeFlags.String | ts.TypeFlags.Any | ts.TypeFlags.Unknown)) !== 0;
}

/** Tell whether members are found by any text. */
function isDictionary(checker, type) {
  return type.isUnionOrIntersection()
    ? type.types.some((one) => isDictionary(checker, one))
    : checker.getIndexInfoOfType(checker.getApparentType(type), ts.IndexKind.String) !== undefined;
}

/** Tell whether a condition around it has asked for an own member of that name. */
function isGuarded(node, source) {
  const asked = `Object.hasOwn(${source.getText(node.object)}, ${source.getText(node.property)})`;
  for (let at = node; at.parent && !/Statement|Declaration/.test(at.type); at = at.parent) {
    const { parent } = at;
    const test = parent.type === "LogicalExpression" && parent.right === at ? parent.left : parent.type === "ConditionalExpression" && parent.consequent === at ? parent.test : null;
    if (test !== null && source.getText(test).includes(asked)) {
      return true;
    }
  }
  return false;
}

/** Tell whether a member is only written. */
function isWritten(node) {
  const { parent } = node;
  return (parent.type === "AssignmentExpression" && parent.operator === "=" && parent.left === node) || (parent.type === "UnaryExpression" && parent.operator === "delete");
}

export const ownKeys = {
  meta: { type: "problem", schema: [], messages: { own: MESSAGE } },
  create(context) {
    const { sourceCode } = context;
    const { program, esTreeNodeToTSNodeMap } = sourceCode.parserServices;
    const checker = program.getTypeChecker();
    const typeOf = (node) => checker.getTypeAtLocation(esTreeNodeToTSNodeMap.get(node));
    return {
      MemberExpression(node) {
        const isNamed = !node.computed || node.property.type === "Literal";
        if (!isNamed && !isWritten(node) && isOpen(typeOf(node.property)) && isDictionary(checker, typeOf(node.object)) && !isGuarded(node, sourceCode)) {
          context.report({ node, messageId: "own" });
        }
      },
      BinaryExpression(node) {
        if (node.operator === "in" && !["Literal", "PrivateIdentifier"].includes(node.left.type)) {
          context.report({ node, messageId: "own" });
        }
      },
    };
  },
};
