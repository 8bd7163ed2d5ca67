import { finding, type Report } from "@guestprobe/block";
import { identify, SIGNATURE_DAMAGED, type Signature } from "@guestprobe/signature";
import type { FileSystem } from "@guestprobe/vfs";
import type { Context } from "./context.js";
import type { Guest, Volume } from "./guest.js";
import type { Watch } from "./limits.js";

/**
 * What a volume that no reader opens holds, by its superblock; undefined where nothing is known. On a whole disk, what lies in
 * one of its partitions is that partition's: the superblock at the end of the last one is found from the end of the disk too.
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
    ({ offset }) => !parts.some(({ start, length }) => offset >= start && offset < start + length),
  );
  if (first?.problem !== undefined) {
    const { offset } = first;
    report(finding(SIGNATURE_DAMAGED, `${first.title}: ${first.problem}`, { device, format: first.kind, offset }));
  }
  return first;
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
