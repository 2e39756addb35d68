// Newer pages remove the text that a node shows while it runs (`send_progress_text`) when the run ends. What the nodes
// of this pack say last is their result, so it is shown again.
import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { findNode, isOwn } from "./own_nodes.js";

const texts = new Map();

app.registerExtension({
  name: "StyleSwap.LastingText",
  setup() {
    api.addEventListener("progress_text", ({ detail }) => {
      if (isOwn(findNode(detail.nodeId))) texts.set(String(detail.nodeId), detail.text);
    });
    for (const end of ["execution_success", "execution_error", "execution_interrupted"]) {
      // After the page's own listeners.
      api.addEventListener(end, () => setTimeout(showAgain));
    }
  },
  // Ids belong to the workflow that was open.
  beforeConfigureGraph: () => texts.clear(),
});

function showAgain() {
  for (const [nodeId, text] of [...texts]) {
    if (isOwn(findNode(nodeId))) api.dispatchEvent(new CustomEvent("progress_text", { detail: { nodeId, text } }));
  }
}
