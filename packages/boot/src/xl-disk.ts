import { ImageError } from "@guestprobe/block";

/** One disk of a guest, as `disk=` of xl describes it. */
export interface XlDisk {
  /** Path on the host; empty for an empty drive. */
  readonly target: string;
  readonly format: "raw" | "qcow" | "qcow2" | "vhd" | "qed" | "empty";
  /** As written: "xvda", "hda", "xvda1". */
  readonly vdev: string;
  readonly cdrom: boolean;
  readonly readonly: boolean;
}

const FORMATS = new Set(["raw", "qcow", "qcow2", "vhd", "qed", "empty"]);
const FORMAT_PREFIX = /^(raw|qcow2?|vhd):/;
const SCRIPT_PREFIX = /^(iscsi|nbd|enbd|drbd):/;
const DROPPED_PREFIX = /^(phy|file|tap2?|tapdisk|aio|ioemu):/;
const FLAGS = new Set(["cdrom", "direct-io-safe", "discard", "no-discard", "trusted", "untrusted", "devtype=cdrom"]);
const KEYS = new Set([
  "format",
  "vdev",
  "access",
  "devtype",
  "backend",
  "backendtype",
  "script",
  "specification",
  "trusted",
]);
const POSITIONS = ["target", "format", "vdev", "access"] as const;

/**
 * Reads a disk specification, in the positional form, as key=value, or in the old form with prefixes. Xen 4.17,
 * docs/man/xl-disk-configuration.5.pod, tools/libs/util/libxlu_disk_l.l.
 *
 * @throws ImageError `corrupt` for what xl would refuse.
 */
export function parseXlDisk(spec: string): XlDisk {
  const fault = (reason: string): ImageError =>
    new ImageError("corrupt", `disk "${spec}": ${reason}`, { format: "xl.cfg", field: "disk" });
  const found = new Map<string, string>();
  const set = (key: string, value: string): void => {
    if (found.has(key)) throw fault(`${key} is given twice`);
    found.set(key, value);
  };
  let rest = spec;
  let position = 0;
  let cdrom = false;
  const scheme = (): void => {
    for (;;) {
      const prefix = FORMAT_PREFIX.exec(rest) ?? SCRIPT_PREFIX.exec(rest) ?? DROPPED_PREFIX.exec(rest);
      if (prefix === null) return;
      rest = rest.slice(prefix[0].length);
      if (FORMAT_PREFIX.test(prefix[0])) set("format", prefix[1]!);
      else if (SCRIPT_PREFIX.test(prefix[0])) set("script", `block-${prefix[1]}`);
      else if (!rest.startsWith("/") && !/^\w+:/.test(rest))
        throw fault(`${prefix[0]} must be followed by a path from the root`);
      if (!found.has("format")) found.set("format", "");
    }
  };
  scheme();
  while (rest !== "") {
    rest = rest.replace(/^[ \t]+/, "");
    const target = /^target=/.exec(rest);
    if (target !== null) {
      // The target takes all that is left, commas too.
      set("target", rest.slice(target[0].length));
      break;
    }
    const comma = rest.indexOf(",");
    const word = (comma < 0 ? rest : rest.slice(0, comma)).trimEnd();
    rest = comma < 0 ? "" : rest.slice(comma + 1);
    const pair = /^([a-z]+)=(.*)$/.exec(word);
    if (pair !== null && KEYS.has(pair[1]!)) set(pair[1]!, pair[2]!);
    else if (FLAGS.has(word)) cdrom ||= word === "cdrom";
    else {
      while (position < POSITIONS.length && found.has(POSITIONS[position]!)) position += 1;
      const name = POSITIONS[position];
      if (name === undefined) throw fault(`nothing is known of "${word}"`);
      // "hdc:cdrom" is a vdev wherever it stands: the old form has no format.
      const drive = /^((?:xvd|sd|hd)[a-z]+[0-9]*):(cdrom|disk)$/.exec(word);
      cdrom ||= drive?.[2] === "cdrom";
      if (drive !== null) position = POSITIONS.indexOf("vdev");
      set(drive === null ? name : "vdev", drive?.[1] ?? word);
      position += 1;
    }
  }
  const format = found.get("format") || "raw";
  if (!FORMATS.has(format)) throw fault(`there is no format ${format}`);
  const access = found.get("access") || (cdrom || found.get("devtype") === "cdrom" ? "r" : "rw");
  if (!/^(r|ro|w|rw)$/.test(access)) throw fault(`there is no access ${access}`);
  const vdev = found.get("vdev") ?? "";
  if (vdev === "") throw fault("no vdev is given");
  if (!/^(xvd[a-z]+[0-9]*|sd[a-z]+[0-9]*|hd[a-z]+[0-9]*|d[0-9]+(p[0-9]+)?|0[xX][0-9a-fA-F]+|[0-9]+)$/.test(vdev)) {
    throw fault(`there is no virtual device ${vdev}`);
  }
  cdrom ||= found.get("devtype") === "cdrom";
  const named = found.get("target") ?? "";
  if (named === "" && !cdrom && format !== "empty") throw fault("no target is given");
  const isPath = named === "" || named.startsWith("/") || found.has("script");
  const target = isPath ? named : `/dev/${named}`;
  return { target, format: format as XlDisk["format"], vdev, cdrom, readonly: access === "r" || access === "ro" };
}
