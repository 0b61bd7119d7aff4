import "./styles/page.css";
import { render } from "preact";
import { App } from "./app.tsx";
import { BoardContext, createBoard } from "./bus/board.ts";
import { applyTheme } from "./parts/theme.tsx";

applyTheme();

const board = createBoard();
const page = document.getElementById("page");
if (page !== null) {
  page.replaceChildren();
  render(
    <BoardContext.Provider value={board}>
      <App />
    </BoardContext.Provider>,
    page,
  );
}
board.start();
