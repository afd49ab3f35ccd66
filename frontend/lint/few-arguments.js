/**
 * A rule of lint: lists of data aren't spread over the arguments of a call.
 *
 * Each item takes room on the stack: from some 100,000 items on, fewer in some browsers, the call throws a RangeError.
 */

import ts from "typescript";

const MESSAGE = "A list may be long, and each argument takes room on the stack: use a loop, or reduce.";

/** Functions of the language that take any number of arguments. */
const TAKING = new Set(["max", "min", "hypot", "push", "unshift", "splice"]);

export const fewArguments = {
  meta: { type: "problem", schema: [], messages: { few: MESSAGE } },
  create(context) {
    const { program, esTreeNodeToTSNodeMap } = context.sourceCode.parserServices;
    const checker = program.getTypeChecker();
    /** Tell whether a list has as many items as its type says. */
    const isTuple = (type) => checker.isTupleType(type) && (type.target.combinedFlags & ts.ElementFlags.Variable) === 0;
    return {
      CallExpression({ callee, arguments: given }) {
        if (callee.type === "MemberExpression" && !callee.computed && TAKING.has(callee.property.name)) {
          for (const one of given) {
            if (one.type === "SpreadElement" && !isTuple(checker.getTypeAtLocation(esTreeNodeToTSNodeMap.get(one.argument)))) {
              context.report({ node: one, messageId: "few" });
            }
          }
        }
      },
    };
  },
};
