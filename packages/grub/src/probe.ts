import { type BlockDevice, isImageError } from "@guestprobe/block";
import { endsProbe, grubErrorOf } from "./errno.js";
import type { Gate, GateVerdict } from "./gate/types.js";
import type { GrubVersion } from "./versions.js";

/** Which of GRUB's drivers takes a device. */
export interface DriverClaim {
  readonly gate: Gate | undefined;
  readonly label: Uint8Array | undefined;
  readonly uuid: string | undefined;
  /** Drivers that know the device and will not read it, with the reason of each. */
  readonly refusals: readonly { readonly gate: Gate; readonly reason: string }[];
  /** Whether an error of a driver kept those after it from being asked. */
  readonly ended: boolean;
}

/**
 * Asks GRUB's drivers in turn, as grub_fs_probe does (kern/fs.c).
 *
 * @param gates In GRUB's order, see `GATES`.
 */
export async function probeDriver(
  device: BlockDevice,
  gates: readonly Gate[],
  version: GrubVersion,
  signal?: AbortSignal,
): Promise<DriverClaim> {
  const refusals: { gate: Gate; reason: string }[] = [];
  for (const gate of gates) {
    const answer = await ask(gate, device, version, signal);
    if (answer.verdict === "accept") {
      return { gate, label: answer.label, uuid: answer.uuid, refusals, ended: false };
    }
    if (answer.verdict === "not-mine") continue;
    refusals.push({ gate, reason: answer.reason });
    if (endsProbe(answer.error)) return { ...NOBODY, refusals, ended: true };
  }
  return { ...NOBODY, refusals, ended: false };
}

const NOBODY = { gate: undefined, label: undefined, uuid: undefined } as const;

async function ask(
  gate: Gate,
  device: BlockDevice,
  version: GrubVersion,
  signal: AbortSignal | undefined,
): Promise<GateVerdict> {
  try {
    return await gate.probe(device, version, signal);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    return { verdict: "refuse", error: grubErrorOf(error.code), reason: error.reason };
  }
}
