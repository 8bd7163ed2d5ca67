import { bufferDevice } from "@guestprobe/block";
import { DEFAULT_GRUB_VERSION, squash4Gate } from "@guestprobe/grub";
import { expect, test } from "vitest";

/** A superblock of gzip with blocks of 128 KiB and its fragment pointer at byte 200, changed by `patch`. */
function superblock(patch: (view: DataView) => void = () => {}): Uint8Array {
  const image = new Uint8Array(4096);
  const view = new DataView(image.buffer);
  view.setUint32(0, 0x73717368, true);
  view.setUint32(12, 0x20000, true);
  view.setUint16(20, 1, true);
  view.setUint32(80, 200, true);
  patch(view);
  return image;
}
const judge = (image: Uint8Array) => squash4Gate.probe(bufferDevice(image), DEFAULT_GRUB_VERSION);

// test/reference/grub-squash4-gate.test.ts asks the real GRUB about each of these.
test("gzip, lzo and xz are read; lzma, lz4, zstd and what is unknown are refused by name", async () => {
  const verdicts = ["gzip", "lzma", "lzo", "xz", "lz4", "zstd", "7"].map(async (name, n) => {
    const answer = await judge(superblock((view) => view.setUint16(20, n + 1, true)));
    if (answer.verdict === "refuse")
      expect([answer.error, answer.reason]).toEqual(["bad-fs", expect.stringContaining(name)]);
    return answer.verdict;
  });
  const [read, refused] = ["accept", "refuse"];
  expect(await Promise.all(verdicts)).toEqual([read, refused, read, read, refused, refused, refused]);
});

test("there is neither label nor UUID to search for", async () => {
  expect(await judge(superblock())).toEqual({ verdict: "accept", label: undefined, uuid: undefined });
});

test("the version is not looked at", async () => {
  expect((await judge(superblock((view) => view.setUint16(28, 3, true)))).verdict).toBe("accept");
});

test("a block size that is no power of two, and a fragment table past the device, are refused", async () => {
  expect((await judge(superblock((view) => view.setUint32(12, 3, true)))).verdict).toBe("refuse");
  expect((await judge(superblock((view) => view.setUint32(12, 0, true)))).verdict).toBe("refuse");
  expect((await judge(superblock((view) => view.setUint32(80, 4089, true)))).verdict).toBe("refuse");
  expect((await judge(superblock((view) => view.setUint32(80, 4088, true)))).verdict).toBe("accept");
});

test("another magic, and a device too small for a superblock, are not its own", async () => {
  expect(await judge(superblock((view) => view.setUint32(0, 0x68737173, true)))).toEqual({ verdict: "not-mine" });
  expect(await judge(new Uint8Array(50))).toEqual({ verdict: "not-mine" });
});
