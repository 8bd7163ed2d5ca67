/** A signal ends work that never really waits: directories and files in memory, and GRUB's interpreter. */
import { bufferDevice, cachedDevice, ImageError, isImageError, polledSignal } from "@guestprobe/block";
import { meterDecoders } from "@guestprobe/codec";
import { ext } from "@guestprobe/ext";
import { memoryWorld, runText } from "@guestprobe/grub/script";
import { squashfs } from "@guestprobe/squashfs";
import { walkAll } from "@guestprobe/vfs";
import { afterEach, describe, expect, test, vi } from "vitest";
import { drain } from "./lib/drain.js";
import { fixtures } from "./lib/fixtures.js";

afterEach(() => {
  vi.restoreAllMocks();
  meterDecoders(undefined);
});

const image = fixtures("ext")
  .find(({ name }) => name === "ext4-1k")!
  .image();

/** A clock that runs so fast that every look at it finds the turn over: what waits for a turn has it at once. */
function fastClock(): void {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => {
    now += 50;
    return now;
  });
}

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return isImageError(error) ? error.code : String(error);
};

async function walkWith(signal: AbortSignal): Promise<number> {
  let visited = 0;
  const fs = await ext.open(cachedDevice(bufferDevice(image)));
  try {
    for await (const _ of walkAll(fs, { signal })) visited += 1;
  } catch (error) {
    if (!isImageError(error)) throw error;
    return visited;
  }
  return Number.POSITIVE_INFINITY;
}

describe("a signal that fires", () => {
  test("while a directory in memory is walked: others have their turn, and the walk ends", async () => {
    fastClock();
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 0);
    expect(await walkWith(controller.signal)).toBeLessThan(20);
  });

  test("while a script loops", async () => {
    fastClock();
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 0);
    const world = { ...memoryWorld([]), signal: controller.signal };
    expect(await codeOf(runText("grub.cfg", "while true; do true; done", { world }))).toBe("aborted");
  });
});

describe("a signal that is polled", () => {
  const signalAfter = (looks: number) => {
    let left = looks;
    return polledSignal(() => {
      left -= 1;
      if (left < 0) throw new ImageError("limit", "enough");
    });
  };

  test("ends a walk at the look at which it says so", async () => {
    const few = await walkWith(signalAfter(10));
    const more = await walkWith(signalAfter(100));
    expect(few).toBeLessThan(12);
    expect(more).toBeGreaterThan(few);
  });

  test("ends a script that reads nothing, within some hundred commands", async () => {
    let looks = 0;
    const signal = polledSignal(() => {
      looks += 1;
      if (looks === 3) throw new ImageError("limit", "enough");
    });
    const world = { ...memoryWorld([]), signal };
    expect(await codeOf(runText("grub.cfg", "while true; do true; done", { world }))).toBe("limit");
    expect(looks).toBe(3);
  });
});

test("what decoders make is told before it is handed over, and can be refused", async () => {
  const volume = fixtures("squashfs").find(({ name }) => name === "gzip")!;
  let told = 0;
  meterDecoders((bytes) => {
    told += bytes;
  });
  await drain(await squashfs.open(bufferDevice(volume.image())));
  expect(told).toBeGreaterThan(0);
  meterDecoders(() => {
    throw new ImageError("limit", "enough");
  });
  const { sound, errors } = await drain(await squashfs.open(bufferDevice(volume.image())));
  expect([sound, errors.length]).toEqual([0, 1]);
});
