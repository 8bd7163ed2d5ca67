import { existsSync } from "node:fs";
import { ImageError } from "@guestprobe/block";
import {
  bootVerdict,
  type HostProfile,
  Kernels,
  PROFILES,
  profileById,
  setupOfImage,
  type Verdict,
  type XlGuest,
} from "@guestprobe/boot";
import type { DialectName } from "@guestprobe/grub/script";
import { bootView } from "../boot-view.js";
import { EXIT, type ExitCode, UsageError } from "../exit.js";
import { escapeGuestText } from "../output/escape.js";
import { findingJson, type Output } from "../output/output.js";
import { formatBytes, table } from "../output/table.js";
import type { Options, Run } from "../verbs.js";
import { readXlGuest } from "../xl.js";
import { verdictJson } from "./boot-json.js";
import { readHostImage } from "./host.js";

const show = (text: string): string => escapeGuestText(text);
const EXIT_OF = { yes: EXIT.yes, no: EXIT.no, unknown: EXIT.cannotTell } as const;

export const boot: Run = async (context, words, options) => {
  const { out } = context;
  const guest = await context.open(words, options);
  const view = bootView(guest, options, out);
  const kernels = new Kernels(view);
  const verdicts: Verdict[] = [];
  const xl = options.xl === undefined ? undefined : readXlGuest(options.xl as string);
  const extra = xl?.cmdline;
  for (const { profile, image } of await hostsOf(options, xl)) {
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

interface Host {
  readonly profile: HostProfile;
  readonly image?: ReturnType<typeof setupOfImage>;
}

async function hostsOf(options: Options, xl: XlGuest | undefined): Promise<readonly Host[]> {
  const name = options.host as string | undefined;
  const mode = options.mode as string | undefined;
  if (options.allHosts === true) {
    if (name !== undefined) throw new UsageError("--all-hosts and --host do not go together");
    return PROFILES.filter((profile) => mode === undefined || profile.mode === mode).map((profile) => ({ profile }));
  }
  if (name === undefined && mode === undefined && xl !== undefined) return [await hostOfXl(xl, options)];
  if (name === undefined) return [{ profile: PROFILES.find((profile) => profile.mode === (mode ?? "pv"))! }];
  const known = profileById(name);
  if (known !== undefined) {
    if (mode !== undefined && mode !== known.mode) throw new UsageError(`--host ${name} is of the mode ${known.mode}`);
    return [{ profile: known }];
  }
  if (!/[./]/.test(name)) {
    throw new UsageError(
      `--host ${name}: neither a file nor a known host`,
      PROFILES.map(({ id }) => `--host ${id}`),
    );
  }
  const host = await hostOfImage(name, options);
  if (mode !== undefined && mode !== host.profile.mode) {
    throw new UsageError(`${name} is an image for the mode ${host.profile.mode}`);
  }
  return [host];
}

async function hostOfImage(name: string, options: Options): Promise<Host> {
  const image = await readHostImage(name);
  const like = PROFILES.find(
    ({ loader, arch, container }) =>
      loader === "grub" && arch === image.arch && container === (image.platform === "xen_pvh" ? "pvh" : "pv"),
  )!;
  return { profile: { ...like, id: name, title: name }, image: setupOfImage(image, options.grub as DialectName) };
}

/** Names of loaders in kernel=, where the file itself is not at hand. */
const LOADERS: readonly (readonly [RegExp, string])[] = [
  [/pv-grub[^/]*$/, "pv-grub"],
  [/grub-x86_64-xen\.bin$|pvgrub64(\.bin)?$/, "debian-pv"],
  [/grub-i386-xen\.bin$|pvgrub32(\.bin)?$/, "debian-pv-i386"],
  [/grub-i386-xen_pvh\.bin$/, "debian-pvh"],
];

/** The loader that a Xen guest configuration asks for. */
async function hostOfXl(xl: XlGuest, options: Options): Promise<Host> {
  if (xl.type === "hvm")
    throw new ImageError("unsupported", "an HVM guest boots by its own firmware", { format: "xl.cfg" });
  if (xl.bootloader !== undefined) {
    if (!/(^|\/)pygrub$/.test(xl.bootloader)) {
      throw new ImageError("unsupported", `bootloader=${xl.bootloader} is not known`, { format: "xl.cfg" });
    }
    const pygrub = profileById("pygrub")!;
    return { profile: { ...pygrub, container: xl.type } };
  }
  const kernel = xl.kernel ?? xl.firmware ?? "";
  const known = LOADERS.find(([pattern]) => pattern.test(kernel))?.[1];
  if (known !== "pv-grub" && existsSync(kernel)) return hostOfImage(kernel, options);
  if (known !== undefined) return { profile: profileById(known)! };
  throw new ImageError("unsupported", `${kernel} is no loader that is known; --host names one`, { format: "xl.cfg" });
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
    const place = device === undefined ? "" : `(${device})${show(path)}`;
    const what =
      kind === "search"
        ? `${show(rule)}${ok ? `: ${place}` : ""}`
        : `${show(rule.split(" ")[0] ?? "")} ${place || show(path)}`;
    out.line(`${ok ? "+" : "-"} ${what}${reason === undefined ? "" : `: ${show(reason)}`}`);
  }
  out.line();
  const line = (label: string, text: string): void => out.line(`${label.padEnd(9)} ${text}`);
  for (const { device, path } of verdict.chain) line("loader", `(${device})${show(path)}`);
  if (verdict.entry !== undefined) line("entry", `${verdict.entry.path.join(">")}  ${show(verdict.entry.title)}`);
  const { kernel } = verdict;
  if (kernel !== undefined) {
    const { kind, compression, release, arch, pv, pvh } = kernel.kernel;
    const able = [pv === true ? "PV" : "", pvh === true ? "PVH" : ""].filter((word) => word !== "").join(" and ");
    const facts = [formatBytes(kernel.size), kind, compression, arch, release, able === "" ? undefined : able];
    line("kernel", `(${kernel.device})${show(kernel.path)}`);
    line("", show(facts.filter((fact) => fact !== undefined).join(", ")));
  }
  for (const { device, path, size, initrd } of verdict.initrds) {
    const kinds = initrd?.parts.map(({ kind, microcode }) => (microcode ? `${kind} (microcode)` : kind)).join(" + ");
    line(
      "initrd",
      `${device === undefined ? "" : `(${device})`}${show(path)}${size === undefined ? " is missing" : `, ${formatBytes(size)}, ${kinds}`}`,
    );
  }
  if (verdict.cmdline !== undefined) line("cmdline", show(verdict.cmdline));
  if (verdict.root !== undefined)
    line(
      "root",
      `${show(verdict.root.spec)} is ${verdict.root.device === undefined ? "not here" : `(${verdict.root.device})`}`,
    );
  if (verdict.findings.length > 0) out.line();
  for (const { severity, code, message, next, path, device } of verdict.findings) {
    const where = `${device === undefined ? "" : `(${device})`}${path === undefined ? "" : escapeGuestText(path)}`;
    out.line(`${severity}: ${where === "" ? "" : `${where}: `}${show(message)} [${code}]`);
    for (const step of next) out.line(`    ${step}`);
  }
}
