import { menuLines, planLines } from "@guestprobe/grub/menu";
import { encodeText, parseUnits, runText, type SyntaxProblem, sourceFromFile } from "@guestprobe/grub/script";
import { textPair } from "@guestprobe/vfs";
import type { Context } from "../context.js";
import { EXIT, type ExitCode, UsageError } from "../exit.js";
import { guestWorld } from "../grub-world.js";
import { readHostFile } from "../host-file.js";
import { deviceText, escapeGuestText } from "../output/escape.js";
import { findingJson } from "../output/output.js";
import type { Options, Run } from "../verbs.js";
import { menuJson, planJson } from "./menu-json.js";

/** As much as GRUB's interpreter here reads of a file. */
const MAX_SCRIPT = 1 << 25;

const show = (text: string) => escapeGuestText(text);

export const grub: Run = async (context, words, options) => {
  const [action, script, ...rest] = words;
  if (action === "check" && script !== undefined && rest.length === 0) return check(context, script);
  if (action === "run" && script !== undefined) {
    const images = [...((options.image as readonly string[] | undefined) ?? []), ...rest];
    if (images.length === 0) throw new UsageError("grub run needs --image IMAGE");
    return run(context, script, images, options);
  }
  throw new UsageError("grub takes run SCRIPT --image IMAGE..., or check SCRIPT", [
    "guestprobe grub check grub.cfg",
    "guestprobe grub run host.cfg --image guest.img",
  ]);
};

/** As grub-script-check: is the syntax right, and is there anything to run. */
async function check({ out }: Context, path: string): Promise<ExitCode> {
  const bytes = readHostFile(path, MAX_SCRIPT);
  const problems: SyntaxProblem[] = [];
  let commands = 0;
  // grub-script-check hands every line to the parser, those that start with # too.
  for (const unit of parseUnits({ ...sourceFromFile(path, bytes), skipsHashLines: false })) {
    commands += unit.commands.length + unit.functions.length;
    if (unit.problem !== undefined) problems.push(unit.problem);
  }
  if (out.options.json) {
    out.json({
      schema: "guestprobe/grub-check/1",
      script: path,
      commands,
      problems: problems.map(({ message, at: { line, column, byte } }) => ({ message, line, column, byte })),
    });
  } else {
    for (const { message, at } of problems) out.line(`${path}:${at.line}:${at.column}: ${show(message)}`);
    if (problems.length === 0) out.line(`${path}: ${commands === 0 ? "nothing to run" : "no syntax errors"}`);
  }
  return problems.length === 0 ? EXIT.yes : EXIT.no;
}

async function run(context: Context, path: string, images: readonly string[], options: Options): Promise<ExitCode> {
  const { out } = context;
  const bytes = readHostFile(path, MAX_SCRIPT);
  const guest = await context.open(images, options);
  const { world, unread, dialect, platform } = guestWorld(guest, options);
  // Where a host's script runs there is no guest's directory: nothing is found through $prefix.
  const prefix = "(memdisk)/boot/grub";
  const result = await runText(path, bytes, { world, dialect, platform, root: "memdisk", prefix });
  const booted = result.menu === undefined ? undefined : await result.boot();
  const plan = result.plan ?? booted?.plan;
  const error = result.error ?? booted?.error;
  for (const [device, cause] of unread) out.remark(`cannot tell about ${deviceText(device)}: ${show(cause.message)}`);
  if (out.options.json) {
    out.json({
      schema: "guestprobe/grub-run/1",
      reason: result.reason,
      transcript: result.transcript.map(({ kind, text, at }) => ({
        kind,
        ...textPair("text", encodeText(text)),
        line: at?.line ?? null,
      })),
      variables: Object.fromEntries(result.variables),
      menu: result.menu === undefined ? null : menuJson(result.menu),
      plan: plan === undefined ? null : planJson(plan),
      doubts: result.doubts.map(({ kind, what, at }) => ({ kind, what, line: at?.line ?? null })),
      findings: out.log.findings.map(findingJson),
    });
  } else {
    for (const { kind, text } of result.transcript) {
      const shown = text.replace(/\n$/, "").split("\n").map(show);
      out.lines(kind === "error" ? [`error: ${shown.join("\n")}.`] : shown);
    }
    out.lines(["", "Variables:", ...[...result.variables].map(([name, value]) => `  ${show(name)}=${show(value)}`)]);
    if (result.menu !== undefined) out.lines(["", "Menu:", ...menuLines(result.menu, show)]);
    if (plan !== undefined) out.lines(["", "Boot:", ...planLines(plan, show)]);
    for (const { what, at } of result.doubts) {
      out.remark(`${at === undefined ? "" : `${show(at.file)}:${at.line}: `}${show(what)}`);
    }
  }
  if (error !== undefined) {
    out.error(error);
    return EXIT.damaged;
  }
  return EXIT.yes;
}
