/** Wires the parts of the page. */
import { startClassList } from "./class_list.js";
import { byId, setText } from "./dom.js";
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
  connected: "",
  lost: "The program has stopped. Start it again; all that was added is saved.",
  refused: "This page may not use the program. Open the address that the program printed.",
};
let connection = "connected";

const showConnection = (status) => {
  if (status === connection) return;
  connection = status;
  byId("banner").hidden = status === "connected";
  setText(byId("banner"), BANNERS[status]);
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
