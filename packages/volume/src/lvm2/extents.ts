import { type BlockDevice, ImageError, type Run } from "@guestprobe/block";

/** Bytes that cannot be had, and why. */
export function failingRun(length: number, error: ImageError): Run {
  return { kind: "decoded", length, skip: 0, load: () => Promise.reject(error) };
}

/**
 * `length` bytes of a device from `offset` on; those past its end fail when they are read. A truncated disk keeps what it
 * has.
 */
export function runsWithin(device: BlockDevice, offset: number, length: number, name: string): Run[] {
  const available = Math.max(0, Math.min(length, device.size - offset));
  const runs: Run[] = [];
  if (available > 0) runs.push({ kind: "stored", length: available, device, offset });
  if (available < length) {
    const at = offset + available;
    const reason = `byte ${at} lies past the end of ${name}, which has ${device.size} bytes`;
    runs.push(failingRun(length - available, new ImageError("past-end", reason, { format: "lvm2", offset: at })));
  }
  return runs;
}
