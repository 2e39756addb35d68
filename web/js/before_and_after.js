// The slider over the images before and after a swap: with Nodes 2.0 only, which can draw it.
import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { isOwn } from "./own_nodes.js";

const SMALLEST = [340, 560];

app.registerExtension({
  name: "StyleSwap.BeforeAndAfter",
  nodeCreated(node) {
    const slider = isOwn(node) && node.widgets?.find((widget) => widget.type === "imagecompare");
    if (!slider) return;
    // What it shows is no input: it must not make the node run again.
    slider.options.serialize = false;
    if (!LiteGraph.vueNodesMode) {
      slider.hidden = true;
      slider.computeSize = () => [0, -4];
      return;
    }
    node.setSize(node.size.map((side, axis) => Math.max(side, SMALLEST[axis])));
    const onExecuted = node.onExecuted;
    node.onExecuted = function (output) {
      onExecuted?.call(this, output);
      // Newer frontends look at the output; older ones give images to the slider of ComfyUI's own node only.
      const [beforeImages, afterImages] = [output.a_images, output.b_images].map((images) => (images ?? []).map(toUrl));
      slider.value = { beforeImages, afterImages };
      slider.callback?.(slider.value);
    };
  },
});

const toUrl = (image) => api.apiURL(`/view?${new URLSearchParams(image)}`);
