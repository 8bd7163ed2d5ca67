import { ImageError } from "@guestprobe/block";
import { parseXlDisk, type XlDisk } from "./xl-disk.js";
import { parseXlSyntax, type XlValue } from "./xl-syntax.js";

/** What an xl configuration says about booting. */
export interface XlGuest {
  readonly name: string | undefined;
  readonly type: "pv" | "pvh" | "hvm";
  readonly disks: readonly XlDisk[];
  /** Paths on the host. */
  readonly kernel: string | undefined;
  readonly ramdisk: string | undefined;
  /** `cmdline`, or what `root` and `extra` make of it; undefined when none is given. */
  readonly cmdline: string | undefined;
  readonly bootloader: string | undefined;
  readonly bootloaderArgs: readonly string[];
  readonly firmware: string | undefined;
}

/**
 * Reads an xl configuration. Xen 4.17, docs/man/xl.cfg.5.pod.in and tools/xl/xl_parse.c.
 *
 * @throws ImageError `corrupt` for what xl would refuse, `limit` for what is too large.
 */
export function parseXlGuest(bytes: Uint8Array): XlGuest {
  const values = parseXlSyntax(bytes);
  const fault = (key: string, reason: string): ImageError =>
    new ImageError("corrupt", `${key}: ${reason}`, { format: "xl.cfg", field: key });
  const text = (key: string): string | undefined => {
    const value = values.get(key);
    if (value === undefined) return undefined;
    if (typeof value === "object") throw fault(key, "a list where a string is expected");
    return String(value);
  };
  const list = (key: string): readonly XlValue[] => {
    const value = values.get(key);
    if (value === undefined) return [];
    if (typeof value !== "object") throw fault(key, "a list is expected");
    return value;
  };
  const disks = list("disk").map((spec) => {
    if (typeof spec !== "string") throw fault("disk", "a list of strings is expected");
    return parseXlDisk(spec);
  });
  for (const [index, { vdev }] of disks.entries()) {
    if (disks.findIndex((disk) => disk.vdev === vdev) < index) throw fault("disk", `${vdev} is given twice`);
  }
  const type = text("type") ?? ({ hvm: "hvm", generic: "pv" } as const)[text("builder") ?? "generic"];
  if (type !== "pv" && type !== "pvh" && type !== "hvm")
    throw fault("type", `there is no type ${type ?? text("builder")}`);
  const kernel = text("kernel");
  const bootloader = text("bootloader");
  const firmware = text("firmware");
  if (type !== "hvm" && kernel === undefined && bootloader === undefined && firmware === undefined) {
    throw fault("kernel", "neither kernel nor bootloader specified");
  }
  if (type !== "hvm" && kernel !== undefined && firmware !== undefined)
    throw fault("firmware", "not together with kernel");
  const args = values.get("bootloader_args");
  return {
    name: text("name"),
    type,
    disks,
    kernel,
    ramdisk: text("ramdisk"),
    cmdline: text("cmdline") ?? fromRootAndExtra(text("root"), text("extra")),
    bootloader,
    bootloaderArgs: typeof args === "object" ? args.map(String) : args === undefined ? [] : String(args).split(/\s+/),
    firmware,
  };
}

function fromRootAndExtra(root: string | undefined, extra: string | undefined): string | undefined {
  if (root === undefined) return extra;
  return extra === undefined ? `root=${root}` : `root=${root} ${extra}`;
}
