/** What may import what; imports of types count, too. */
export default {
  forbidden: [
    {
      name: "no-circular",
      comment: "A circle has no beginning: what several need becomes a module of its own.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "model-is-pure",
      comment: "The client's model knows nothing of connections, storage or React.",
      severity: "error",
      from: { path: "^client/src/model/" },
      to: { path: ["^client/src/(sync|react)/", "(^|/)node_modules/(@types/)?(phoenix|react|@xyflow)/"] },
    },
    {
      name: "library-without-react",
      comment: "Only useFlow and what belongs to it is of React.",
      severity: "error",
      from: { path: "^client/src/(sync/|[^/]+$)" },
      to: { path: ["^client/src/react/", "(^|/)node_modules/(@types/)?(react|@xyflow)/"] },
    },
    {
      name: "home-without-flow",
      comment: "Who looks at the list of flows doesn't load what edits one.",
      severity: "error",
      from: { path: "^editor/src/home/" },
      to: { path: "^editor/src/flow/(?!commands/keys)" },
    },
    {
      name: "is-there",
      comment: "What can't be found isn't followed either.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.base.json" },
    enhancedResolveOptions: { conditionNames: ["helix-source", "import", "types", "default"], exportsFields: ["exports"] },
  },
};
