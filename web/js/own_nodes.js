import { app } from "../../../scripts/app.js";

const PREFIX = "StyleSwap_";

/** Whether a node is one of this pack's. */
export const isOwn = (node) => Boolean(node?.comfyClass?.startsWith(PREFIX));

/** The node with an id as the server names it: "5", or "3:5" for node 5 of the subgraph that node 3 stands for. */
export function findNode(executionId) {
  let graph = app.rootGraph ?? app.graph;
  let node;
  for (const id of String(executionId).split(":")) {
    node = graph?.getNodeById(id) ?? graph?.getNodeById(Number(id));
    graph = node?.subgraph;
  }
  return node;
}
