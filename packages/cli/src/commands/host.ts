import { type HostImage, hostScript, parseHostImage } from "@guestprobe/boot";
import { encodeText } from "@guestprobe/grub/script";
import { textPair } from "@guestprobe/vfs";
import { EXIT, UsageError } from "../exit.js";
import { readHostFile } from "../host-file.js";
import { escapeGuestText } from "../output/escape.js";
import { wrap } from "../output/wrap.js";
import type { Run } from "../verbs.js";

/** A GRUB image is a few megabytes. */
const MAX_IMAGE = 64 << 20;

/** Reads a GRUB image from the host's disk. */
export function readHostImage(path: string): HostImage {
  return parseHostImage(readHostFile(path, MAX_IMAGE));
}

const show = (text: string): string => escapeGuestText(text);

/** A script's lines, each made harmless. */
const scriptLines = (text: string): string[] =>
  text
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => `  ${show(line.replaceAll("\t", "    "))}`);

export const host: Run = async ({ out }, words) => {
  const [path] = words;
  if (path === undefined || words.length > 1) throw new UsageError("host takes one ELF file");
  const image = readHostImage(path);
  const script = hostScript(image);
  const names = image.modules.map(({ name }) => name).toSorted();
  if (out.options.json) {
    const maybe = (key: string, text: string | undefined) =>
      text === undefined ? { [key]: null } : textPair(key, encodeText(text));
    out.json({
      schema: "guestprobe/host/1",
      file: path,
      arch: image.arch,
      platform: image.platform,
      notes: Object.fromEntries(
        Object.entries(image.notes ?? {}).map(([key, value]) => [
          key,
          typeof value === "bigint" ? String(value) : value,
        ]),
      ),
      modulesAt: image.modulesAt,
      modules: names,
      ...maybe("prefix", image.prefix),
      ...maybe("config", image.config),
      memdisk: image.memdisk.map(({ name, bytes }) => ({ ...textPair("name", encodeText(name)), bytes: bytes.length })),
      objects: image.objects
        .filter(({ type }) => type !== "elf")
        .map(({ type, offset, size }) => ({ type, offset, bytes: size })),
      ...maybe("script", script?.text),
      findings: [],
    });
    return EXIT.yes;
  }
  const platform = image.platform === "xen" ? "PV" : "PVH";
  out.line(`${path}: GRUB for Xen ${platform}, ${image.arch}, ${names.length} modules`);
  out.line(`prefix    ${show(image.prefix ?? "none")}`);
  out.line(`notes     ${notesText(image)}`);
  out.line(`config    ${show((image.config ?? "none").trimEnd())}`);
  for (const { name, bytes } of image.memdisk) out.line(`memdisk   ${show(name)}, ${bytes.length} bytes`);
  out.line();
  out.lines(wrap(`Modules: ${names.map(show).join(" ")}`, Math.min(out.width ?? 80, 100)));
  if (script !== undefined) out.lines(["", `Script ${show(script.name)}:`, ...scriptLines(script.text)]);
  return EXIT.yes;
};

function notesText({ notes }: HostImage): string {
  if (notes === undefined) return "none";
  const parts = Object.entries(notes)
    .filter(([key]) => key !== "source" && key !== "truncated")
    .map(([key, value]) => `${key}=${typeof value === "bigint" ? `0x${value.toString(16)}` : show(String(value))}`);
  return `${parts.join(" ")}${notes.truncated ? " (the last one is cut off)" : ""}`;
}
