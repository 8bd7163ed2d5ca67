/** How cost grows with the entries of a directory and with the size of a volume. */
import { summary, timeWork } from "./measure.mjs";
import { list, probe } from "./ours.mjs";

const ENTRIES = [1_000, 10_000, 100_000];
const SIZES_GIB = [1, 16, 256];

/** Milliseconds, reads and bytes of a probe and of a listing, for each size of directory and of volume. */
export async function growth(images, runs) {
  const cases = [
    ...ENTRIES.map((entries) => ({ axis: "entries", gib: 1, entries })),
    ...SIZES_GIB.map((gib) => ({ axis: "GiB", gib, entries: 1_000 })),
  ];
  const rows = [];
  for (const { axis, gib, entries } of cases) {
    const image = images.grown(gib, entries);
    for (const [work, run] of Object.entries({ probe, list })) {
      const times = [];
      let cost;
      for (let n = -1; n < runs; n += 1) {
        const time = await timeWork(async () => {
          cost = await run(image);
        });
        if (n >= 0) times.push(time);
      }
      const { median, least, most } = summary(times);
      rows.push({ axis, gib, entries, work, median, least, most, reads: cost.reads, bytes: cost.bytes });
    }
  }
  return rows;
}

const PANEL = { width: 320, height: 220, left: 56, top: 34 };

/** Device reads, which no other program on the machine disturbs, on logarithmic axes: one panel for each axis. */
export function growthPlot(rows) {
  const panels = ["entries", "GiB"].map((axis, n) =>
    panel(
      axis,
      n * (PANEL.width + 40),
      rows.filter((row) => row.axis === axis),
    ),
  );
  const width = 2 * PANEL.width + 40;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${PANEL.height + 70}" font-family="sans-serif" font-size="11">
<title>Device reads of a search, by entries of a directory and by size of the volume</title>
<rect width="100%" height="100%" fill="white"/>
${panels.join("\n")}
</svg>
`;
}

function panel(axis, x, rows) {
  const placeOn = (row) => (axis === "entries" ? row.entries : row.gib);
  const xs = [...new Set(rows.map(placeOn))];
  const most = Math.max(...rows.map(({ reads }) => reads));
  const plotWidth = PANEL.width - PANEL.left - 16;
  const place = (row) => [
    (x + PANEL.left + (xs.indexOf(placeOn(row)) / (xs.length - 1)) * plotWidth).toFixed(1),
    (PANEL.top + PANEL.height * (1 - Math.log10(row.reads + 1) / Math.log10(most * 1.5))).toFixed(1),
  ];
  const lines = ["probe", "list"].map((work, n) => {
    const points = rows.filter((row) => row.work === work);
    const colour = ["#1f77b4", "#d62728"][n];
    const dots = points.map((row) => {
      const [px, py] = place(row);
      return `<circle cx="${px}" cy="${py}" r="3" fill="${colour}"/><text x="${px}" y="${py - 7}" text-anchor="middle">${row.reads}</text>`;
    });
    const path = points.map((row) => place(row).join(",")).join(" ");
    const label = `<text x="${x + PANEL.left + 90 * n}" y="${PANEL.top - 16}" fill="${colour}">${work}</text>`;
    return `<polyline points="${path}" fill="none" stroke="${colour}"/>${dots.join("")}${label}`;
  });
  const ticks = xs.map(
    (value, n) =>
      `<text x="${x + PANEL.left + (n / (xs.length - 1)) * plotWidth}" y="${PANEL.top + PANEL.height + 18}" text-anchor="middle">${value.toLocaleString("en")}</text>`,
  );
  const title = axis === "entries" ? "entries in a directory, 1 GiB volume" : "GiB of the volume, 1,000 entries";
  return `<g>${lines.join("")}${ticks.join("")}<text x="${x + PANEL.left}" y="${PANEL.top + PANEL.height + 34}">${title}; device reads</text></g>`;
}
