import { bootVerdict, Kernels, type Verdict } from "@guestprobe/boot";
import type { DialectName } from "@guestprobe/grub/script";
import { bootView } from "../boot-view.js";
import { EXIT, type ExitCode } from "../exit.js";
import { kernelCache } from "../kernel-cache.js";
import { deviceText, escapeGuestText } from "../output/escape.js";
import { findingJson, type Output } from "../output/output.js";
import { formatBytes, table } from "../output/table.js";
import type { Run } from "../verbs.js";
import { readXlGuest } from "../xl.js";
import { hostsOf } from "./boot-hosts.js";
import { verdictJson } from "./boot-json.js";

const show = (text: string): string => escapeGuestText(text);
const EXIT_OF = { yes: EXIT.yes, no: EXIT.no, unknown: EXIT.cannotTell } as const;

export const boot: Run = async (context, words, options) => {
  const { out } = context;
  const guest = await context.open(words, options);
  const view = bootView(guest, options, out);
  const { cache } = context;
  const kernels = new Kernels(view, {
    signal: guest.signal,
    cache: cache === undefined ? undefined : kernelCache(cache),
  });
  const verdicts: Verdict[] = [];
  const xl = options.xl === undefined ? undefined : readXlGuest(options.xl as string);
  const extra = xl?.cmdline;
  for (const { profile, image } of hostsOf(options, xl)) {
    const entry = options.entry as string | undefined;
    const dialect = options.grub as DialectName;
    verdicts.push(await bootVerdict(view, { profile, image, entry, extra, dialect, kernels }));
  }
  if (out.options.json) {
    out.json({
      schema: "guestprobe/boot/1",
      verdicts: verdicts.map(verdictJson),
      findings: out.log.findings.map(findingJson),
    });
  } else if (verdicts.length > 1) showTable(out, verdicts);
  else showVerdict(out, verdicts[0]!);
  return exitOf(verdicts);
};

/** Of several hosts, the best answer. */
function exitOf(verdicts: readonly Verdict[]): ExitCode {
  for (const answer of ["yes", "unknown"] as const) {
    if (verdicts.some((verdict) => verdict.answer === answer)) return EXIT_OF[answer];
  }
  return EXIT.no;
}

function showTable(out: Output, verdicts: readonly Verdict[]): void {
  const rows = verdicts.map(({ profile, answer, summary }) => [profile, answer, show(summary)]);
  out.lines(table([{ title: "host" }, { title: "boots" }, { title: "", flexible: true }], rows, out.width));
}

function showVerdict(out: Output, verdict: Verdict): void {
  const style = { yes: "green", no: "red", unknown: "yellow" } as const;
  out.line(`${out.style(style[verdict.answer], verdict.answer)}: ${show(verdict.summary)}  (${verdict.profile})`);
  out.line();
  for (const { kind, rule, device, path, ok, reason } of verdict.attempts) {
    // What a search by UUID or label looked for is no path.
    const place = device === undefined ? "" : `${deviceText(device)}${path.startsWith("/") ? show(path) : ""}`;
    const what =
      kind === "search"
        ? `${show(rule)}${ok ? `: ${place}` : ""}`
        : `${show(rule.split(" ")[0] ?? "")} ${place || show(path)}`;
    out.line(`${ok ? "+" : "-"} ${what}${reason === undefined ? "" : `: ${show(reason)}`}`);
  }
  out.line();
  const line = (label: string, text: string): void => out.line(`${label.padEnd(9)} ${text}`);
  for (const { device, path } of verdict.chain) line("loader", `${deviceText(device)}${show(path)}`);
  if (verdict.entry !== undefined) line("entry", `${verdict.entry.path.join(">")}  ${show(verdict.entry.title)}`);
  const { kernel } = verdict;
  if (kernel !== undefined) {
    const { kind, compression, release, arch, pv, pvh } = kernel.kernel;
    const able = [pv === true ? "PV" : "", pvh === true ? "PVH" : ""].filter((word) => word !== "").join(" and ");
    const facts = [formatBytes(kernel.size), kind, compression, arch, release, able === "" ? undefined : able];
    line("kernel", `${deviceText(kernel.device)}${show(kernel.path)}`);
    line("", show(facts.filter((fact) => fact !== undefined).join(", ")));
  }
  for (const { device, path, size, initrd } of verdict.initrds) {
    const kinds = initrd?.parts.map(({ kind, microcode }) => (microcode ? `${kind} (microcode)` : kind)).join(" + ");
    line(
      "initrd",
      `${device === undefined ? "" : deviceText(device)}${show(path)}${size === undefined ? " is missing" : `, ${formatBytes(size)}, ${kinds}`}`,
    );
  }
  if (verdict.cmdline !== undefined) line("cmdline", show(verdict.cmdline));
  if (verdict.root !== undefined)
    line(
      "root",
      `${show(verdict.root.spec)} is ${verdict.root.device === undefined ? "not here" : deviceText(verdict.root.device)}`,
    );
  if (verdict.findings.length > 0) out.line();
  for (const { severity, code, message, next, path, device } of verdict.findings) {
    const where = `${device === undefined ? "" : deviceText(device)}${path === undefined ? "" : escapeGuestText(path)}`;
    out.line(`${severity}: ${where === "" ? "" : `${where}: `}${show(message)} [${code}]`);
    for (const step of next) out.line(`    ${step}`);
  }
}
