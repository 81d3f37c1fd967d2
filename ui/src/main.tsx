import { render } from "preact";
import { App } from "./app";
import { Desk } from "./desk";
import { restoreTheme } from "./state/theme";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/sidebar.css";
import "./styles/composer.css";
import "./styles/attachments.css";
import "./styles/overlays.css";

restoreTheme();
const root = document.getElementById("app");
if (root) render(<App desk={new Desk()} />, root);
