import { decodeText } from "@guestprobe/block";
import type { GuestVolume } from "./guest.js";
import type { Reference } from "./verdict-types.js";

/** The value of an option of the kernel's command line; the last one counts. */
export function kernelOption(cmdline: string, name: string): string | undefined {
  const found = cmdline
    .split(/\s+/)
    .map((word) => word.replace(/^"(.*)"$/, "$1"))
    .findLast((word) => word.startsWith(`${name}=`));
  return found?.slice(name.length + 1).replace(/^"(.*)"$/, "$1");
}

/** The volume that root=, resume= or a line of fstab names. Linux, Documentation/admin-guide/kernel-parameters.txt. */
export function resolveReference(spec: string, volumes: readonly GuestVolume[]): Reference {
  const value = spec.replace(/^(\w+)="(.*)"$/, "$1=$2");
  // A volume that could not be read may be the one that is meant, or hold it.
  const isAllRead = volumes.every(({ error }) => error === undefined);
  const by = (test: (volume: GuestVolume) => boolean): Reference => {
    const device = volumes.find(test)?.device;
    return { spec, device, known: device !== undefined || isAllRead };
  };
  const tagged =
    /^(UUID|LABEL|PARTUUID)=(.*)$/.exec(value) ?? /^\/dev\/disk\/by-(uuid|label|partuuid)\/(.*)$/.exec(value);
  if (tagged !== null) {
    const kind = tagged[1]!.toUpperCase();
    const wanted = tagged[2]!;
    if (kind === "LABEL") return by(({ label }) => label === wanted);
    const lower = wanted.toLowerCase();
    return by(({ uuid, partUuid }) => (kind === "UUID" ? uuid : partUuid)?.toLowerCase() === lower);
  }
  const disk = /^\/dev\/((?:xvd|sd|hd)[a-z]+)([0-9]*)$/.exec(value);
  if (disk !== null) {
    const [, name, number] = disk;
    return by(({ device }) => {
      const [whole, part] = device.replace(/^xen\//, "").split(",");
      // A virtual disk may itself be called xvda1.
      if (part === undefined) return whole === `${name}${number}`;
      return whole === name && number !== "" && /[0-9]+$/.exec(part)?.[0] === number;
    });
  }
  const named = volumes.find(({ linuxNames }) => linuxNames?.includes(value) ?? false);
  if (named !== undefined) return { spec, device: named.device, known: true };
  // Where groups were put together, a name that none has is nobody's. LUKS is behind other names; arrays get any number.
  if (LVM_NODE.test(value)) {
    return { spec, device: undefined, known: isAllRead && volumes.some(({ device }) => device.startsWith("lvm/")) };
  }
  return { spec, device: undefined, known: false };
}

/** "/dev/mapper/vg-lv", "/dev/vg/lv". */
const LVM_NODE = /^\/dev\/(mapper\/[^/]+|(?!disk\/|md\/)[^/]+\/[^/]+)$/;

/** Lines of an fstab that Linux would wait for. fstab(5). */
export function fstabSpecs(bytes: Uint8Array): { readonly spec: string; readonly line: number }[] {
  const found: { spec: string; line: number }[] = [];
  for (const [index, text] of decodeText(bytes.subarray(0, 1 << 16))
    .split("\n")
    .entries()) {
    const [spec, directory, type, options = ""] = text.trim().split(/\s+/);
    if (spec === undefined || spec === "" || spec.startsWith("#") || directory === undefined || type === undefined)
      continue;
    if (!/^(UUID|LABEL|PARTUUID)=|^\/dev\//.test(spec)) continue;
    if (/(^|,)(noauto|nofail)(,|$)/.test(options)) continue;
    if (found.length < 200) found.push({ spec, line: index + 1 });
  }
  return found;
}
