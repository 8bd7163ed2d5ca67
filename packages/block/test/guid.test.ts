import { formatGuid, formatUuid, isZero } from "@guestprobe/block";
import { expect, test } from "vitest";

// UEFI 2.10, appendix A: the EFI System Partition's GUID as text and as it lies on the disk.
const ESP = [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];

test("GUID: the first three parts are little-endian", () => {
  expect(formatGuid(Uint8Array.from(ESP))).toBe("C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
});
test("UUID: the order of the bytes", () => {
  expect(formatUuid(Uint8Array.from(ESP))).toBe("28732ac1-1ff8-d211-ba4b-00a0c93ec93b");
});
test("only the first sixteen bytes count", () => {
  const more = Uint8Array.from([...ESP, 1, 2, 3]);
  expect(formatUuid(more)).toBe("28732ac1-1ff8-d211-ba4b-00a0c93ec93b");
  expect(formatGuid(more)).toBe("C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
});
test("isZero", () => {
  expect(isZero(new Uint8Array(16))).toBe(true);
  expect(isZero(new Uint8Array(0))).toBe(true);
  expect(isZero(Uint8Array.of(0, 0, 1))).toBe(false);
});
