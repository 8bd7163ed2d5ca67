import { joinPath, splitPath } from "@guestprobe/vfs";
import { isLabel, isUuid } from "./compare.js";
import type { GrubDevice } from "./enumerate.js";
import { FILE_ENCRYPTED, IN_SUBVOLUME, NESTED_NAME, TOO_MANY_LINKS } from "./findings.js";
import type { GrubMachine } from "./machine.js";
import type { HiddenHit, SearchQuery } from "./search.js";
import { findFile, type Obstacle, type Volume } from "./volume.js";

const SLASH = 0x2f;

/**
 * What a search would have found, had GRUB seen it: on volumes that its drivers refuse, in partitions that it does not
 * list or cannot open, at the end of chains of links that are too long for it.
 *
 * @param skip Names of devices for which there is no answer.
 */
export async function findHidden(
  machine: GrubMachine,
  query: SearchQuery,
  name: Uint8Array,
  skip: ReadonlySet<string>,
): Promise<readonly HiddenHit[]> {
  if (query.by === "file" && name[0] !== SLASH) return [];
  const hidden: HiddenHit[] = [];
  const look = async (device: string, volume: Volume, obstacle: Obstacle): Promise<void> => {
    const found = await isThere(machine, query, name, volume);
    if (found === undefined) return;
    hidden.push({ device, path: found.path, reason: obstacle.reason, code: obstacle.kind.code });
  };
  for (const device of await machine.devices()) {
    if (skip.has(device.name)) continue;
    const volume = await machine.volume(device);
    const obstacle = (await nestedObstacle(machine, device)) ?? volume.obstacle;
    if (obstacle !== undefined) {
      await look(device.name, volume, obstacle);
      continue;
    }
    if (query.by !== "file") continue;
    const answer = await findFile(volume, name, "grub", machine.version, machine.signal);
    if (answer.answer !== "miss") continue;
    const { error } = answer;
    if (error?.code === "symlink-loop") {
      await look(device.name, volume, { kind: TOO_MANY_LINKS, reason: TOO_MANY_LINKS.title });
    } else if (error?.code === "encrypted") {
      // Without the key nobody can tell what a directory holds: the path is the one that was asked for.
      hidden.push({ device: device.name, path: name, reason: error.reason, code: FILE_ENCRYPTED.code });
    } else {
      hidden.push(...(await inOtherRoots(machine, device.name, volume, name)));
    }
  }
  for (const lost of await machine.lostDevices()) {
    await look(lost.name, await machine.volume(lost), lost.obstacle);
  }
  return hidden;
}

/** The file in other roots of the volume: where Linux would find it if it mounted those. */
async function inOtherRoots(
  machine: GrubMachine,
  device: string,
  volume: Volume,
  name: Uint8Array,
): Promise<readonly HiddenHit[]> {
  const { version, signal } = machine;
  if (volume.fs === undefined || volume.gate?.otherRoots === undefined) return [];
  const found: HiddenHit[] = [];
  for (const { fs, path, title } of await volume.gate.otherRoots(volume.fs, signal)) {
    const answer = await findFile({ ...volume, fs, lookups: new Map() }, name, "linux", version, signal);
    if (answer.answer !== "hit") continue;
    const parts = path === undefined ? undefined : [...splitPath(path), ...splitPath(answer.path)];
    found.push({
      device,
      path: parts === undefined ? answer.path : joinPath(parts),
      reason: `the file exists in ${title}, which is not where GRUB begins`,
      code: IN_SUBVOLUME.code,
    });
  }
  return found;
}

/** Whether a volume that GRUB does not see has what is asked for, as Linux would find it. */
async function isThere(
  machine: GrubMachine,
  query: SearchQuery,
  name: Uint8Array,
  volume: Volume,
): Promise<{ readonly path: Uint8Array | undefined } | undefined> {
  if (volume.fs === undefined) return undefined;
  if (query.by === "label") return isLabel(volume.fs.label, name) ? { path: undefined } : undefined;
  if (query.by === "uuid") return isUuid(volume.fs.uuid, name) ? { path: undefined } : undefined;
  const found = await findFile(volume, name, "linux", machine.version, machine.signal);
  return found.answer === "hit" ? found : undefined;
}

async function nestedObstacle(machine: GrubMachine, device: GrubDevice): Promise<Obstacle | undefined> {
  if (device.partitions.length < 2 || (await machine.openDevice(device.name)) !== undefined) return undefined;
  return { kind: NESTED_NAME, reason: `GRUB lists ${device.name} and cannot open it` };
}
