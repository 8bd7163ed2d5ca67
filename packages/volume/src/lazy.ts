import type { BlockDevice } from "@guestprobe/block";

/**
 * A device whose parts are looked up when it is first read: assembling a guest's volumes costs no read for those that
 * nobody opens. What `open` fails with is what each read fails with; an abort is not kept.
 */
export function lazyDevice(size: number, open: (signal?: AbortSignal) => Promise<BlockDevice>): BlockDevice {
  let opened: Promise<BlockDevice> | undefined;
  const device = (signal?: AbortSignal): Promise<BlockDevice> => {
    if (opened !== undefined) return opened;
    const started = open(signal);
    opened = started;
    started.catch((error: { code?: unknown }) => {
      if (error.code === "aborted" || error.code === "limit" || error.code === "io") opened = undefined;
    });
    return started;
  };
  return {
    size,
    async read(offset, length, signal) {
      return (await device(signal)).read(offset, length, signal);
    },
    async map(offset, length, signal) {
      const inner = await device(signal);
      return inner.map?.(offset, length, signal) ?? [{ offset, length, kind: "data" }];
    },
  };
}
