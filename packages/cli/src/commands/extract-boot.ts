import { constants } from "node:fs";
import { type FileHandle, mkdir, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { ImageError } from "@guestprobe/block";
import { bootVerdict, type GuestView, profileById } from "@guestprobe/boot";
import type { DialectName } from "@guestprobe/grub/script";
import { bootView } from "../boot-view.js";
import { EXIT, UsageError } from "../exit.js";
import { escapeGuestText } from "../output/escape.js";
import type { Run } from "../verbs.js";

/** Bytes of a kernel, and of all ramdisks together: what pygrub allows a file since XSA-443. */
const MAX_FILE = 128 << 20;
const PIECE = 1 << 20;

interface Part {
  readonly device: string;
  readonly path: string;
  readonly size: number;
}

export const extractBoot: Run = async (context, words, options) => {
  const { out, watch } = context;
  const images = words.slice(0, -1);
  const directory = words.at(-1);
  if (directory === undefined || images.length === 0) throw new UsageError("extract-boot takes IMAGE... and a DIR");
  const guest = await context.open(images, options);
  const view = bootView(guest, options, out);
  const profile = profileById(options.mode === "pygrub" ? "pygrub" : "direct-pv")!;
  const entry = options.entry as string | undefined;
  const verdict = await bootVerdict(view, { profile, entry, dialect: options.grub as DialectName });
  if (verdict.kernel === undefined || verdict.answer === "no") {
    out.remark(`nothing is taken out: ${escapeGuestText(verdict.summary)}`);
    return EXIT.no;
  }
  const { device, path, size } = verdict.kernel;
  const missing = verdict.initrds.find((each) => each.size === undefined);
  if (missing !== undefined) throw new ImageError("not-found", `the ramdisk ${missing.path} is not there`);
  await mkdir(directory, { recursive: true });
  const names = { kernel: join(directory, "boot_kernel"), ramdisk: join(directory, "boot_ramdisk") };
  const write = (name: string, parts: readonly Part[]) => writeParts(view, name, parts, () => watch.check());
  await write(names.kernel, [{ device, path, size }]);
  const ramdisks = verdict.initrds.map((each) => ({ device: each.device!, path: each.path, size: each.size! }));
  // Several ramdisks become one, as a boot loader hands them over.
  if (ramdisks.length > 0) {
    try {
      await write(names.ramdisk, ramdisks);
    } catch (error) {
      await unlink(names.kernel);
      throw error;
    }
  }
  const ramdisk = ramdisks.length > 0 ? names.ramdisk : undefined;
  out.bytes(Buffer.from(answer(options.outputFormat as string, names.kernel, ramdisk, verdict.cmdline ?? "")));
  return EXIT.yes;
};

/** What the toolstack reads of a boot loader's program. Xen 4.17, tools/pygrub/src/pygrub, format_sxp and format_simple. */
export function answer(format: string, kernel: string, ramdisk: string | undefined, args: string): string {
  if (format === "sxp") {
    const quoted = (value: string): string => pythonString(value);
    const rest = `${ramdisk === undefined ? "" : `(ramdisk ${quoted(ramdisk)})`}${args === "" ? "" : `(args ${quoted(args)})`}`;
    return `linux (kernel ${quoted(kernel)})${rest}\n`;
  }
  const end = format === "simple0" ? "\0" : "\n";
  const lines = [
    `kernel ${kernel}`,
    ...(ramdisk === undefined ? [] : [`ramdisk ${ramdisk}`]),
    ...(args === "" ? [] : [`args ${args}`]),
  ];
  for (const line of lines) {
    // A line end inside a value would be read as another answer (XSA-198).
    if (line.includes(end))
      throw new ImageError("corrupt", "a value holds the mark that ends it", { format: "extract-boot" });
  }
  return `${lines.map((line) => line + end).join("")}${end}`;
}

/** A string as Python's repr writes it, which the toolstack's parser expects. */
function pythonString(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  const escaped = value.replace(/[\\\u0000-\u001f\u007f]|['"]/g, (character) => {
    if (character === "'" || character === '"') return character === quote ? `\\${character}` : character;
    const short = ({ "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" } as const)[character];
    return short ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return `${quote}${escaped}${quote}`;
}

async function writeParts(view: GuestView, name: string, parts: readonly Part[], check: () => void): Promise<void> {
  const total = parts.reduce((sum, { size }) => sum + size, 0);
  if (total > MAX_FILE)
    throw new ImageError("limit", `${total} bytes for ${name}, ${MAX_FILE} at most`, { format: "extract-boot" });
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  let file: FileHandle;
  try {
    file = await open(name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600);
  } catch (cause) {
    throw new ImageError("io", `${name} cannot be made`, { cause });
  }
  let done = false;
  try {
    for (const { device, path, size } of parts) {
      for (let at = 0; at < size; ) {
        check();
        const bytes = await view.readRange(device, path, at, Math.min(PIECE, size - at));
        if (bytes === undefined || bytes.length === 0)
          throw new ImageError("past-end", `${path} ends at byte ${at} of ${size}`);
        await file.writeFile(bytes);
        at += bytes.length;
      }
    }
    done = true;
  } finally {
    await file.close();
    if (!done) await unlink(name);
  }
}
