import { EXIT, UsageError } from "../exit.js";
import { EXPLANATIONS } from "../explanations.js";
import { nearest } from "../nearest.js";
import { wrap } from "../output/wrap.js";
import type { Run } from "../verbs.js";

export const explain: Run = async (context, words) => {
  const { out } = context;
  if (words.length === 0) {
    const rows = [...EXPLANATIONS.values()].toSorted((a, b) => (a.code < b.code ? -1 : 1));
    if (out.options.json) {
      out.json({ schema: "guestprobe/explain/1", codes: rows });
      return EXIT.yes;
    }
    const width = Math.max(...rows.map((row) => row.code.length));
    for (const row of rows) out.line(`${row.code.padEnd(width)}  ${row.title}`);
    return EXIT.yes;
  }
  if (words.length > 1) throw new UsageError("explain takes one CODE");
  const code = words[0]!;
  const found = EXPLANATIONS.get(code);
  if (found === undefined) {
    const near = nearest(code, [...EXPLANATIONS.keys()]);
    throw new UsageError(`"${code}" is no finding code`, [`guestprobe explain${near === undefined ? "" : ` ${near}`}`]);
  }
  if (out.options.json) {
    out.json({ schema: "guestprobe/explain/1", codes: [found] });
    return EXIT.yes;
  }
  const width = Math.min(out.width ?? 80, 100);
  out.line(`${out.style("bold", found.code)} (${found.severity}): ${found.title}`);
  out.line();
  out.lines(wrap(found.explanation, width));
  if (found.next.length > 0) {
    out.line();
    out.line("What to do:");
    for (const step of found.next)
      out.lines(wrap(step, width - 4).map((line, at) => (at === 0 ? `  - ${line}` : `    ${line}`)));
  }
  return EXIT.yes;
};
