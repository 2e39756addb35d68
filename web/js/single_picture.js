// With Nodes 2.0, the last picture that a node showed during the run stays beside its result. For the nodes of this pack
// both are the same picture, so only one is shown.
import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { findNode, isOwn } from "./own_nodes.js";

app.registerExtension({
  name: "StyleSwap.SinglePicture",
  setup() {
    api.addEventListener("executed", ({ detail }) => update(findNode(detail.display_node ?? detail.node)));
  },
  // Another workflow was opened; pages keep the pictures of each.
  onNodeOutputsUpdated: () => (app.canvas?.graph?.nodes ?? []).forEach(update),
});

function update(node) {
  if (!isOwn(node)) return;
  const subgraph = node.graph?.isRootGraph === false ? `${node.graph.id}:` : "";
  const shown = app.nodePreviewImages?.[`${subgraph}${node.id}`];
  node.hideOutputImages = Boolean(LiteGraph.vueNodesMode && shown?.length);
}
