/** A page with a board's panels as Grafana would show them. */

import React from "react";
import { createRoot } from "react-dom/client";
import { ThemeContext, createTheme } from "@grafana/data";
import { GlobalStyles, PanelChrome } from "@grafana/ui";
import "uplot/dist/uPlot.min.css";
import { answered, filled } from "./ask.mjs";
import { placed } from "./layout.mjs";
import { Drawn } from "./panels.jsx";

/** What a panel that cannot be drawn says instead. */
class Whole extends React.Component {
  state = {};
  static getDerivedStateFromError(error) {
    return { error };
  }
  render() {
    return this.state.error ? <pre>{String(this.state.error)}</pre> : this.props.children;
  }
}

function Placed({ place, theme, children }) {
  const { left, top, width, height } = place;
  return <div style={{ position: "absolute", left, top, width, height, color: theme.colors.text.primary }}>{children}</div>;
}

function Shown({ place, data, board, choice, theme }) {
  const { panel, width, height } = place;
  const title = filled(panel.title, choice);
  if (panel.type === "row") {
    return <div style={{ paddingTop: 8, fontWeight: 500 }}>▾ {title}</div>;
  }
  return (
    <PanelChrome title={title} width={width} height={height}>
      {(width, height) => (
        <Whole>
          <Drawn {...{ panel, board, choice, theme, data, width, height }} />
        </Whole>
      )}
    </PanelChrome>
  );
}

async function main() {
  const wanted = new URLSearchParams(location.search);
  const board = await (await fetch(`/board/${wanted.get("board")}`)).json();
  const choice = {
    account: wanted.get("account"),
    range: wanted.get("range") ?? undefined,
    variables: board.templating.list.filter(({ type }) => type === "custom"),
  };
  const theme = createTheme({ colors: { mode: wanted.get("theme") } });
  Object.assign(document.body.style, {
    background: theme.colors.background.canvas,
    fontFamily: theme.typography.fontFamily,
    margin: 0,
  });
  const now = Number(wanted.get("now"));
  const { panels, height } = placed(board, innerWidth);
  const all = [];
  for (const place of panels) {
    const isRow = place.panel.type === "row";
    const data = isRow ? undefined : await answered(place.panel, board, choice, Math.round(place.width), now);
    all.push(
      <Placed key={place.panel.id} place={place} theme={theme}>
        <Shown {...{ place, data, board, choice, theme }} />
      </Placed>,
    );
  }
  createRoot(document.getElementById("root")).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ position: "relative", height }}>{all}</div>
    </ThemeContext.Provider>,
  );
}

main().catch((error) => {
  document.body.textContent = String(error);
});
