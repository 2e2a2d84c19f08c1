/** Where panels lie, as Grafana places them: 24 columns, and on a telephone one under the other. */

/** Pixels of a row of the grid, with the space under it. */
const ROW = 38;
const SPACE = 8;
const COLUMNS = 24;
/** Narrower than this, Grafana gives each panel the whole width. */
const TELEPHONE = 769;

/** The panels with their places in pixels, and how high all of them are. */
export function placed(board, width) {
  const isTelephone = width < TELEPHONE;
  const column = (width - 2 * SPACE) / COLUMNS;
  let below = 0;
  const panels = board.panels.map((panel) => {
    const { x, y, w, h } = panel.gridPos;
    const top = isTelephone ? below : y * ROW;
    below = Math.max(below, top + h * ROW);
    const left = isTelephone ? SPACE : SPACE + x * column;
    const wide = isTelephone ? width - 2 * SPACE : w * column;
    return { panel, left, top, width: wide - SPACE, height: h * ROW - SPACE };
  });
  return { panels, height: below + SPACE };
}
