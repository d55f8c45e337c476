/** Wires the parts of the page. */
import { startClassList } from "./class_list.js";
import { byId, h, setText } from "./dom.js";
import { startDropAndPaste } from "./drop.js";
import { startExporting } from "./exporting.js";
import { startFit } from "./fit.js";
import { startHistory } from "./history.js";
import { fillIcons } from "./icons.js";
import { startKept } from "./kept.js";
import { startLive, tryPhoto } from "./live.js";
import { startMessages } from "./messages.js";
import { startQuality } from "./quality.js";
import { onConnection, onProject, startEvents } from "./state.js";
import { startUploadView } from "./upload_view.js";

const BANNERS = {
  connected: () => [],
  lost: () => [
    "The server is not running. Start it again with ",
    h("code", { text: "imprinting app" }),
    "; nothing is lost.",
  ],
  refused: () => [
    "The server was started again. Use the new page that it has opened; nothing is lost.",
  ],
};
let connection = "connected";

const showConnection = (status) => {
  if (status === connection) return;
  connection = status;
  byId("banner").hidden = status === "connected";
  byId("banner").replaceChildren(...BANNERS[status]());
};

const showFolder = ({ project }) => setText(byId("saved"), `Saved in ${project}`);

fillIcons();
startMessages();
startUploadView();
startHistory();
startClassList();
startLive();
startKept();
startFit();
startQuality();
startExporting();
startDropAndPaste(tryPhoto);
onProject(showFolder);
onConnection(showConnection);
startEvents();
