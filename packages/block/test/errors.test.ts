import { describePlace, ERROR_CODES, ImageError, isImageError, throwIfAborted } from "@guestprobe/block";
import { describe, expect, test } from "vitest";

const place = { format: "xfs", structure: "xfs_dinode", field: "di_magic", offset: 65792 };

describe("ImageError", () => {
  test("the message holds format, reason and place", () => {
    const error = new ImageError("corrupt", "inode 131: magic is 0x0, expected 0x494e", place);
    expect(error.message).toBe("xfs: inode 131: magic is 0x0, expected 0x494e (xfs_dinode.di_magic at byte 65792)");
    expect(error).toMatchObject({ ...place, code: "corrupt", name: "ImageError" });
    expect(error.reason).toBe("inode 131: magic is 0x0, expected 0x494e");
  });
  test("without a place the message is the reason", () => {
    expect(new ImageError("io", "gone").message).toBe("gone");
  });
  test("keeps its cause, and has no such property without one", () => {
    const cause = new Error("EIO");
    expect(new ImageError("io", "gone", { cause }).cause).toBe(cause);
    expect("cause" in new ImageError("io", "gone")).toBe(false);
  });
  test("the brand is not printed", () => expect(Object.keys(new ImageError("io", "gone"))).not.toContain("brand"));
});

describe("describePlace", () => {
  test.each([
    [{}, ""],
    [{ format: "ext" }, ""],
    [{ structure: "ext4_inode" }, "ext4_inode"],
    [{ field: "i_size" }, "i_size"],
    [{ structure: "ext4_inode", field: "i_size" }, "ext4_inode.i_size"],
    [{ offset: 0 }, "at byte 0"],
    [{ structure: "ext4_inode", offset: 7 }, "ext4_inode at byte 7"],
  ])("%j", (where, text) => expect(describePlace(where)).toBe(text));
});

describe("isImageError", () => {
  test("each code is told from the others", () => {
    for (const code of ERROR_CODES) {
      const error = new ImageError(code, "x");
      expect(ERROR_CODES.filter((other) => isImageError(error, other))).toEqual([code]);
      expect(isImageError(error)).toBe(true);
    }
  });
  test("an error of another copy of the package is one", () => {
    class Copy extends Error {
      readonly code = "io";
      constructor() {
        super("x");
        Object.defineProperty(this, Symbol.for("guestprobe.ImageError"), { value: true });
      }
    }
    expect(isImageError(new Copy(), "io")).toBe(true);
    expect(isImageError(new Copy(), "corrupt")).toBe(false);
  });
  test.each([[undefined], [null], ["io"], [{ code: "io" }], [Object.assign(new Error("x"), { code: "io" })]])(
    "%s is none",
    (value) => expect(isImageError(value)).toBe(false),
  );
});

describe("throwIfAborted", () => {
  test("no signal, and one that has not fired", () => {
    expect(() => throwIfAborted(undefined)).not.toThrow();
    expect(() => throwIfAborted(new AbortController().signal)).not.toThrow();
  });
  test("the signal's reason is the cause", () => {
    const error = expect.objectContaining({ code: "aborted", cause: "enough" });
    expect(() => throwIfAborted(AbortSignal.abort("enough"))).toThrow(error);
  });
});
