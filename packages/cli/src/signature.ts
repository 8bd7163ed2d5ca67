import { finding, type Report } from "@guestprobe/block";
import { type BootCode, identify, identifyBootCode, SIGNATURE_DAMAGED, type Signature } from "@guestprobe/signature";
import type { FileSystem } from "@guestprobe/vfs";
import type { Context } from "./context.js";
import type { Guest, Volume } from "./guest.js";
import type { Watch } from "./limits.js";
import { escapeGuestText } from "./output/escape.js";

/**
 * What a volume that no reader opens holds, by its superblock; undefined where nothing is known. On a whole disk, what lies in
 * one of its partitions is that partition's: the superblock at the end of the last one is found from the end of the disk too.
 * Boot code that looks like a table can tell of a partition that begins with the disk, and that hides nothing.
 */
export async function signatureOf(
  { block, disk, partition, device }: Volume,
  report: Report,
  watch: Watch,
): Promise<Signature | undefined> {
  const parts = partition === undefined ? disk.partitions.partitions.filter(({ kind }) => kind !== "extended") : [];
  const all = await identify(block, {
    report: (entry) => {
      if (watch.over === undefined) report({ ...entry, device });
    },
  });
  // A read that met the run's limit looks like any that failed, and the run ends here all the same.
  if (watch.over !== undefined) throw watch.over;
  const first = all.find(
    ({ offset }) => !parts.some(({ start, length }) => start > 0 && offset >= start && offset < start + length),
  );
  if (first?.problem !== undefined) {
    const { offset } = first;
    report(finding(SIGNATURE_DAMAGED, `${first.title}: ${first.problem}`, { device, format: first.kind, offset }));
  }
  return first;
}

/** The code in the boot sector of each disk and partition that is marked bootable, by their device names. */
export async function bootCodeOf({ out, watch }: Context, guest: Guest): Promise<ReadonlyMap<string, BootCode>> {
  const codes = new Map<string, BootCode>();
  for (const { block, disk, device } of guest.volumes) {
    const report: Report = (entry) => {
      if (watch.over === undefined) out.log.report({ ...entry, device });
    };
    const code = await identifyBootCode(block, disk.device, { report });
    if (watch.over !== undefined) throw watch.over;
    if (code !== undefined) codes.set(device, code);
  }
  return codes;
}

/** Boot code for people: "GRUB 2, core image at sector 1, prefix (,msdos1)/boot/grub". */
export function bootCodeText({ title, kind, drive, next, prefix }: BootCode): string {
  const stage = kind === "grub2" ? "core image" : "next stage";
  return [
    title,
    ...(drive === undefined ? [] : [`drive 0x${drive.toString(16)}`]),
    ...(next === undefined ? [] : [`${stage} at sector ${next / 512}`]),
    ...(prefix === undefined ? [] : [`prefix ${escapeGuestText(prefix)}`]),
  ].join(", ");
}

/** As JSON. */
export function bootCodeJson(code: BootCode | undefined): Record<string, unknown> | null {
  if (code === undefined) return null;
  const { kind, title, drive, next, prefix } = code;
  return { kind, title, drive: drive ?? null, next: next ?? null, prefix: prefix ?? null };
}

/** What a volume holds: a file system that is read, or what its superblock says. */
export interface Content {
  readonly fs: FileSystem | undefined;
  readonly signature: Signature | undefined;
}

/** What the volumes of a guest hold, by their device names; a file system over several is listed under the first. */
export async function contentOf({ out, watch }: Context, guest: Guest): Promise<ReadonlyMap<string, Content>> {
  const held = new Map<string, Content>();
  for (const volume of guest.volumes) {
    if (await guest.isFurtherMember(volume)) continue;
    const fs = await guest.fileSystem(volume);
    const signature = fs === undefined ? await signatureOf(volume, out.log.report, watch) : undefined;
    held.set(volume.device, { fs, signature });
  }
  return held;
}
